#pragma once
// Between safetensors entries and tensors.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/safetensors.h"

namespace fettle {

using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// The two sets of types agree one to one but for complex double and LibTorch's quantised types, which the format lacks.
at::ScalarType to_scalar_type(Dtype dtype);
Dtype to_dtype(at::ScalarType type);  // Error(kBug) for a type without a counterpart

// A copy on the CPU, contiguous, of the entry's own type.
at::Tensor to_tensor(const SafetensorsFile& file, const TensorInfo& info);

// The tensor of this name; Error(kInput) that names the file when there is none.
at::Tensor to_tensor(const SafetensorsFile& file, std::string_view name);

// Writes a .safetensors file, complete or not at all, in this order; memory formats are not kept.
void write_tensors(const std::filesystem::path& file, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata);

}  // namespace fettle
