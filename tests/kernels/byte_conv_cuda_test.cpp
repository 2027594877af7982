// byte_conv on CUDA against the CPU, bit for bit, both passes and both types of results.
#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <string>
#include <vector>

#include "device/cuda_modules.h"
#include "device/kernels.h"
#include "kernels/byte_conv/byte_conv.h"
#include "tests/support/skip.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using kernels::DType;

namespace {

struct Case {
  at::Tensor bytes;
  std::vector<int64_t> byte_offsets{0}, token_offsets{0};
  int64_t kernel, stride, width;

  void add(int64_t length, int64_t tokens) {
    byte_offsets.push_back(byte_offsets.back() + length);
    token_offsets.push_back(token_offsets.back() + tokens);
  }
};

struct Passes {
  at::Tensor y, dtable;
};

Passes run(const Case& c, c10::Device device, at::ScalarType dtype, const at::Tensor& table, const at::Tensor& positions, const at::Tensor& dy) {
  const c10::OptionalDeviceGuard guard(device.is_cuda() ? std::optional(device) : std::nullopt);
  const at::Tensor bytes = c.bytes.to(device), on_table = table.to(device), on_positions = positions.to(device), on_dy = dy.to(device, dtype);
  Passes passes{at::full({c.token_offsets.back(), c.width}, 7, on_dy.options()), at::full_like(on_table, 7)};
  const kernels::ByteConvShape shape{.files = static_cast<int64_t>(c.byte_offsets.size()) - 1,
                                     .bytes = bytes.const_data_ptr<uint8_t>(),
                                     .byte_offsets = c.byte_offsets.data(),
                                     .token_offsets = c.token_offsets.data(),
                                     .kernel = c.kernel,
                                     .stride = c.stride,
                                     .width = c.width};
  const at::Tensor workspace = at::empty({kernels::byte_conv_workspace(kernel_device(device), shape)}, at::kFloat);
  const DType type = dtype == at::kFloat ? DType::kF32 : DType::kBF16;
  check_kernel(kernels::byte_conv_forward(kernel_device(device), shape,
                                          {.table = on_table.const_data_ptr<float>(), .positions = on_positions.const_data_ptr<float>(), .y = passes.y.mutable_data_ptr(), .y_dtype = type,
                                           .workspace = workspace.mutable_data_ptr<float>()},
                                          kernel_stream(device)),
               "byte_conv");
  check_kernel(kernels::byte_conv_backward(kernel_device(device), shape,
                                           {.dy = on_dy.const_data_ptr(), .dy_dtype = type, .dtable = passes.dtable.mutable_data_ptr<float>(), .workspace = workspace.mutable_data_ptr<float>()},
                                           kernel_stream(device)),
               "byte_conv");
  return passes;
}

void check_parity(Case c) {
  c.bytes = at::randint(256, {c.byte_offsets.back()}, at::kByte);
  int64_t most = 1;
  for (size_t i = 1; i < c.token_offsets.size(); ++i) most = std::max(most, c.token_offsets[i] - c.token_offsets[i - 1]);
  const at::Tensor table = at::randn({256, c.kernel, c.width}), positions = at::randn({most, c.width}), dy = at::randn({c.token_offsets.back(), c.width});
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const Passes want = run(c, at::kCPU, dtype, table, positions, dy), got = run(c, c10::Device("cuda:0"), dtype, table, positions, dy);
    const std::string what = "kernel " + std::to_string(c.kernel) + ", stride " + std::to_string(c.stride) + ", width " + std::to_string(c.width);
    test::check_tensors("forward, " + what, got.y.cpu(), want.y);
    test::check_tensors("backward, " + what, got.dtable.cpu(), want.dtable);
  }
}

}  // namespace

TEST_CASE("byte_conv on CUDA equals the CPU bit for bit over a table of sizes") {
  if (cuda_table() == nullptr) return test::skip("no CUDA device");
  at::manual_seed(6);
  for (const int64_t width : {1, 31, 32, 33, 64, 192, 200}) {
    Case c{.kernel = 8, .stride = 4, .width = width};
    for (const int64_t length : {0, 1, 7, 200, 33}) c.add(length, (length + 3) / 4);
    c.add(40, 60);   // most of them beyond the file
    c.add(1000, 3);  // fewer than there could be
    check_parity(c);
  }
  for (const int64_t kernel : {1, 2, 5, 32}) {
    Case c{.kernel = kernel, .stride = std::max<int64_t>(1, kernel / 2), .width = 64};
    c.add(150668, 150668 / c.stride);
    c.add(3001, 3001 / c.stride);
    check_parity(c);
    c.stride = kernel + 2;
    check_parity(c);
  }
  check_parity({.kernel = 4, .stride = 2, .width = 16});  // no files
}
