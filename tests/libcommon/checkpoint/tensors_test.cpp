#include "checkpoint/tensors.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"
#include "tests/support/temp_dir.h"

using namespace fettle;

namespace {

const std::vector<Dtype> kAll = {Dtype::kBool, Dtype::kU8,  Dtype::kI8,  Dtype::kF8E5M2, Dtype::kF8E4M3, Dtype::kF8E8M0, Dtype::kI16, Dtype::kU16, Dtype::kF16,
                                 Dtype::kBF16, Dtype::kI32, Dtype::kU32, Dtype::kF32,    Dtype::kC64,    Dtype::kF64,    Dtype::kI64, Dtype::kU64};

}  // namespace

TEST_CASE("tensors: every type of the format has one of LibTorch's, of the same width, and back") {
  for (const Dtype dtype : kAll) {
    INFO(dtype_name(dtype));
    CHECK(to_dtype(to_scalar_type(dtype)) == dtype);
    CHECK(static_cast<int64_t>(c10::elementSize(to_scalar_type(dtype))) == dtype_bytes(dtype));
  }
  test::expect_error(ExitCode::kBug, "no type for ComplexDouble", [] { to_dtype(at::kComplexDouble); });
}

TEST_CASE("tensors: an entry arrives with its shape, type and values, and outlives the file") {
  const test::TempDir dir;
  const std::vector<at::Tensor> written = {at::arange(6.0).reshape({2, 3}), at::tensor(7, at::kLong), at::zeros({0, 4}), at::tensor({1.5, -2.0}).to(at::kBFloat16)};
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < written.size(); ++i) specs.push_back({fmt::format("t{}", i), to_dtype(written[i].scalar_type()), written[i].sizes().vec()});
  SafetensorsWriter writer(dir / "x.safetensors", specs, {});
  for (const at::Tensor& tensor : written) writer.write({static_cast<const uint8_t*>(tensor.const_data_ptr()), tensor.nbytes()});
  writer.commit();
  std::vector<at::Tensor> read;
  {
    const SafetensorsFile file(dir / "x.safetensors");
    for (const TensorSpec& spec : specs) read.push_back(to_tensor(file, spec.name));
    test::expect_error(ExitCode::kInput, "no tensor 'missing'", [&] { to_tensor(file, "missing"); });
  }
  for (size_t i = 0; i < written.size(); ++i) test::check_tensors(specs[i].name, read[i], written[i]);
}
