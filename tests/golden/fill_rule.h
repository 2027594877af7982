#pragma once
// The golden cases' rule for weights and images without files: every value is a hash of (name, seed, index). Integer
// arithmetic modulo 2^64, floating arithmetic in double, rounded once to float.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace fettle::golden {

std::vector<double> uniform(const std::string& name, uint64_t seed, int64_t count);  // multiples of 2^-24 in [0, 1)

// The value of a floating state_dict entry: float32 [shape], by the name's last component and the number of dimensions.
at::Tensor filled(const std::string& name, at::IntArrayRef shape, uint64_t seed, double gain);

// [B, C, H, W] float32: an offset a plane, 16x16 blocks, and noise.
at::Tensor synthetic_image(at::IntArrayRef shape, uint64_t seed);

std::string sha256_of(const std::vector<at::Tensor>& tensors);  // of their bytes, row-major, one after the other

}  // namespace fettle::golden
