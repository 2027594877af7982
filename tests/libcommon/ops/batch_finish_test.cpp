#include "ops/batch_finish.h"

#include <ATen/ATen.h>
#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

const ops::BatchFinish kRgb{{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};

at::Tensor some_images(int64_t batch, int64_t height, int64_t width, int64_t channels) {
  at::manual_seed(3);
  return at::randint(256, {batch, height, width, channels}, at::kByte);
}

}  // namespace

TEST_CASE("ops: batch_finish equals a LibTorch composition, all forms") {
  const at::Tensor images = some_images(4, 9, 21, 3), flip = at::tensor({1, 0, 0, 1}, at::kByte);
  const at::Tensor mean = at::tensor(at::ArrayRef<float>(kRgb.mean)).to(at::kDouble).view({1, 3, 1, 1});
  const at::Tensor std = at::tensor(at::ArrayRef<float>(kRgb.std)).to(at::kDouble).view({1, 3, 1, 1});
  const at::Tensor plain = (images.permute({0, 3, 1, 2}).to(at::kDouble) / 255 - mean) / std;
  const at::Tensor mirrored = at::where(flip.to(at::kBool).view({4, 1, 1, 1}), plain.flip({3}), plain);
  for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
    ops::BatchFinish settings = kRgb;
    settings.format = format;
    const at::Tensor out = ops::batch_finish(settings, images, flip);
    CHECK(out.is_contiguous(format));
    // Three roundings of half a unit each, of terms up to 4.
    check_tensors("f32", out, mirrored.to(at::kFloat), {1e-6, 0});
    check_tensors("f32, no flip", ops::batch_finish(settings, images), plain.to(at::kFloat), {1e-6, 0});
    settings.dtype = at::kBFloat16;
    check_tensors("bf16 is f32, rounded", ops::batch_finish(settings, images, flip), out.to(at::kBFloat16));
  }
}

TEST_CASE("ops: batch_finish writes into what it is given") {
  const at::Tensor images = some_images(2, 5, 6, 3);
  const at::Tensor out = at::empty({2, 3, 5, 6}, at::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast)).fill_(77);
  CHECK(ops::batch_finish(kRgb, images, {}, out).data_ptr() == out.data_ptr());
  check_tensors("out", out, ops::batch_finish(kRgb, images));
}

TEST_CASE("ops: batch_finish refuses tensors that are not what it says") {
  const at::Tensor images = some_images(2, 5, 6, 3);
  const auto refuse = [](const std::string& part, const at::Tensor& in, const at::Tensor& flip = {}, const at::Tensor& out = {}) {
    expect_error(ExitCode::kBug, part, [&] { ops::batch_finish(kRgb, in, flip, out); });
  };
  refuse("u8 and contiguous", images.to(at::kFloat));
  refuse("u8 and contiguous", images.transpose(1, 2));
  refuse("u8 and contiguous", images[0]);
  refuse("1 channels, but 3 means", some_images(2, 5, 6, 1));
  refuse("flip must be", images, at::zeros({3}, at::kByte));
  refuse("flip must be", images, at::zeros({2}, at::kBool));
  refuse("out must be [2, 3, 5, 6]", images, {}, at::empty({2, 3, 5, 6}));
  refuse("out must be", images, {}, at::empty({2, 3, 6, 5}, at::TensorOptions().memory_format(at::MemoryFormat::ChannelsLast)));
  refuse("out must be", images, {}, at::empty({2, 3, 5, 6}, at::TensorOptions().dtype(at::kBFloat16).memory_format(at::MemoryFormat::ChannelsLast)));
}
