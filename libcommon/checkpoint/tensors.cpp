#include "checkpoint/tensors.h"

#include <ATen/ATen.h>

#include <cstring>

#include "base/errors.h"

namespace fettle {
namespace {

constexpr std::pair<Dtype, at::ScalarType> kTypes[] = {
    {Dtype::kBool, at::kBool},   {Dtype::kU8, at::kByte},      {Dtype::kI8, at::kChar},  {Dtype::kF8E5M2, at::kFloat8_e5m2}, {Dtype::kF8E4M3, at::kFloat8_e4m3fn},
    {Dtype::kI16, at::kShort},   {Dtype::kU16, at::kUInt16},   {Dtype::kF16, at::kHalf}, {Dtype::kBF16, at::kBFloat16},      {Dtype::kF8E8M0, at::kFloat8_e8m0fnu},
    {Dtype::kI32, at::kInt},     {Dtype::kU32, at::kUInt32},   {Dtype::kF32, at::kFloat}, {Dtype::kC64, at::kComplexFloat},  {Dtype::kF64, at::kDouble},
    {Dtype::kI64, at::kLong},    {Dtype::kU64, at::kUInt64},
};

}  // namespace

at::ScalarType to_scalar_type(Dtype dtype) {
  for (const auto& [stored, scalar] : kTypes) {
    if (stored == dtype) return scalar;
  }
  FT_CHECK(false, "dtype {}", static_cast<int>(dtype));
  return at::kFloat;
}

Dtype to_dtype(at::ScalarType type) {
  for (const auto& [stored, scalar] : kTypes) {
    if (scalar == type) return stored;
  }
  FT_CHECK(false, "safetensors has no type for {}", c10::toString(type));
  return Dtype::kF32;
}

at::Tensor to_tensor(const SafetensorsFile& file, const TensorInfo& info) {
  at::Tensor tensor = at::empty(info.shape, to_scalar_type(info.dtype));
  const std::span<const uint8_t> bytes = file.bytes(info);
  FT_CHECK(bytes.size() == tensor.nbytes(), "{} bytes for a tensor of {}", bytes.size(), tensor.nbytes());
  if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
  return tensor;
}

at::Tensor to_tensor(const SafetensorsFile& file, std::string_view name) {
  const TensorInfo* info = file.find(name);
  FT_REQUIRE(info != nullptr, "{}: no tensor '{}'", file.path().string(), name);
  return to_tensor(file, *info);
}

void write_tensors(const std::filesystem::path& file, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, tensor] : tensors) specs.push_back({name, to_dtype(tensor.scalar_type()), tensor.sizes().vec()});
  SafetensorsWriter writer(file, specs, metadata);
  for (const auto& [name, tensor] : tensors) {
    const at::Tensor dense = tensor.detach().to(at::kCPU).contiguous();
    writer.write({static_cast<const uint8_t*>(dense.const_data_ptr()), static_cast<size_t>(dense.nbytes())});
  }
  writer.commit();
}

}  // namespace fettle
