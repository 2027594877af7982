#include "data/packed_bytes.h"

#include <ATen/ATen.h>

namespace fettle {

PackedBytes pack_bytes(const std::vector<at::Tensor>& files) {
  PackedBytes packed{at::cat(files), {0}};
  for (const at::Tensor& file : files) packed.offsets.push_back(packed.offsets.back() + file.numel());
  return packed;
}

}  // namespace fettle
