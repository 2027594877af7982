#include "kernels/byte_map/byte_map.h"

#include "kernels/byte_map/byte_map_variants.h"

namespace fettle::kernels {
namespace {

bool overlap(const uint8_t* a, int64_t a_count, const uint8_t* b, int64_t b_count) { return a < b + b_count && b < a + a_count; }

}  // namespace

Status byte_map_with(const ByteMapArgs& args, Isa isa) {
  if (args.count < 0) return Status::kBadSize;
  if (args.count == 0) return Status::kOk;
  if (args.in == nullptr || args.out == nullptr || args.table == nullptr) return Status::kNullPointer;
  if (overlap(args.out, args.count, args.table, 256) || (args.in != args.out && overlap(args.in, args.count, args.out, args.count))) return Status::kOverlap;
  if (isa == Isa::kAvx512 && byte_map_has_avx512()) {
    byte_map_avx512(args);
  } else {
    byte_map_baseline(args);
  }
  return Status::kOk;
}

Status byte_map(const ByteMapArgs& args) {
  Isa isa{};
  if (const Status status = active_isa(&isa); status != Status::kOk) return status;
  return byte_map_with(args, isa);
}

}  // namespace fettle::kernels
