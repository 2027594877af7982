// CUDA against the CPU, bit for bit, through the adapter of libcommon/ops.
#include <ATen/ATen.h>
#include <ATen/DeviceAccelerator.h>
#include <catch2/catch.hpp>

#include "device/cuda_modules.h"
#include "ops/batch_finish.h"
#include "tests/support/skip.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;

namespace {

void check_parity(int64_t batch, int64_t height, int64_t width, int64_t channels) {
  const at::Tensor images = at::randint(256, {batch, height, width, channels}, at::kByte);
  const at::Tensor flips = at::randint(2, {batch}, at::kByte);
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
      for (const bool with_flip : {false, true}) {
        ops::BatchFinish settings{{}, {}, dtype, format};
        for (int64_t c = 0; c < channels; ++c) {
          settings.mean.push_back(0.4f + 0.01f * static_cast<float>(c));
          settings.std.push_back(0.2f + 0.013f * static_cast<float>(c));
        }
        const at::Tensor want = ops::batch_finish(settings, images, with_flip ? flips : at::Tensor());
        const at::Tensor got = ops::batch_finish(settings, images.to(at::kCUDA), with_flip ? flips.to(at::kCUDA) : at::Tensor());
        CHECK(got.is_contiguous(format));
        test::check_tensors("B H W C " + std::to_string(batch) + " " + std::to_string(height) + " " + std::to_string(width) + " " + std::to_string(channels),
                            got.cpu(), want);
      }
    }
  }
}

}  // namespace

TEST_CASE("batch_finish on CUDA equals the CPU bit for bit over a table of sizes") {
  if (cuda_table() == nullptr) return test::skip("no CUDA device");
  at::manual_seed(5);
  for (const int64_t channels : {1, 2, 3, 4, 16}) {
    for (const int64_t width : {0, 1, 31, 32, 33, 255, 257}) check_parity(3, 5, width, channels);
  }
  check_parity(0, 8, 8, 3);
  check_parity(70000, 2, 3, 3);  // more images than the grid's second dimension
  check_parity(2, 1111, 1303, 3);
}

TEST_CASE("batch_finish on CUDA works on the current stream") {
  if (cuda_table() == nullptr) return test::skip("no CUDA device");
  // A long chain of work in front on the same stream: without stream order the kernel would read zeros.
  const at::Tensor want = at::randint(1, 256, {64, 224, 224, 3}, at::kByte);
  at::Tensor images = at::zeros_like(want, at::TensorOptions().device(at::kCUDA));
  at::Tensor busy = at::rand({4096, 4096}, at::TensorOptions().device(at::kCUDA));
  for (int i = 0; i < 20; ++i) busy = at::matmul(busy, busy).clamp(0, 1);
  images.copy_(want.to(at::kCUDA));
  const ops::BatchFinish settings{{0, 0, 0}, {1, 1, 1}};
  const at::Tensor got = ops::batch_finish(settings, images);
  test::check_tensors("after a queue", got.cpu(), ops::batch_finish(settings, want));
}
