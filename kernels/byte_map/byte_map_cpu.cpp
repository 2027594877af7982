#include "kernels/byte_map/byte_map_variants.h"

namespace fettle::kernels {

void byte_map_baseline(const ByteMapArgs& args) {
  for (int64_t i = 0; i < args.count; ++i) args.out[i] = args.table[args.in[i]];
}

}  // namespace fettle::kernels
