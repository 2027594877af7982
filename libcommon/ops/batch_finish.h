#pragma once
// kernels/batch_finish on tensors, on the device and current stream where they live. There is no gradient: the input is u8.

#include <ATen/core/Tensor.h>

#include <vector>

namespace fettle::ops {

struct BatchFinish {
  std::vector<float> mean;  // [C], in units of pixel / 255
  std::vector<float> std;   // [C], positive
  c10::ScalarType dtype = c10::kFloat;                           // or kBFloat16
  at::MemoryFormat format = at::MemoryFormat::ChannelsLast;      // or Contiguous
};

// images  [B, H, W, C] u8, contiguous.  flip  undefined, or [B] u8 on the same device: nonzero mirrors the image.
// out     undefined (then made), or [B, C, H, W] of `dtype` and `format`, on the same device; not overlapping images.
// Returns out. What a tensor is not is a bug of the caller (code 70); CUDA without its modules, or refusing, is code 4.
at::Tensor batch_finish(const BatchFinish& settings, const at::Tensor& images, const at::Tensor& flip = {}, at::Tensor out = {});

}  // namespace fettle::ops
