#pragma once
// Initial weights as a pure function of (seed, tensor name): LibTorch's global generator is neither read nor moved, and a
// layer more or less changes no other layer's weights. Drawn in double on the CPU, where LibTorch takes the same path on
// every instruction set (Gaussians lean on libm), then rounded to the tensor's type.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

namespace fettle {

class WeightDraws {
 public:
  explicit WeightDraws(uint64_t seed) : seed_(seed) {}
  void normal(std::string_view name, at::Tensor tensor, double standard_deviation) const;  // mean 0
  void uniform(std::string_view name, at::Tensor tensor, double bound) const;              // in [-bound, bound)
  void constant(at::Tensor tensor, double value) const;

 private:
  uint64_t seed_;
};

}  // namespace fettle
