#include "data/mixing.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <cmath>

#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

MixDraw draw(const MixOptions& options, int64_t index, int64_t height = 32, int64_t width = 48) {
  RandomStream stream(3, "mix", 1, index);
  return draw_mix(stream, options, height, width);
}

struct Moments {
  double mean = 0, variance = 0;
};
Moments lambda_moments(double alpha, int draws) {
  double sum = 0, squares = 0;
  bool within = true;
  for (int64_t i = 0; i < draws; ++i) {
    const MixDraw drawn = draw({.mixup_alpha = alpha}, i);
    within = within && drawn.kind == MixKind::kMixUp && drawn.lambda >= 0 && drawn.lambda <= 1;
    sum += drawn.lambda, squares += drawn.lambda * drawn.lambda;
  }
  CHECK(within);
  return {sum / draws, squares / draws - sum / draws * (sum / draws)};
}

}  // namespace

TEST_CASE("mixing: MixUp by hand") {
  const at::Tensor images = at::tensor({1.f, 2.f, 10.f, 20.f, 100.f, 200.f}).reshape({3, 1, 1, 2});
  const at::Tensor targets = at::eye(3);
  const MixedBatch mixed = mix({.kind = MixKind::kMixUp, .lambda = 0.75, .height = 1, .width = 2}, images, targets);
  // Each is three quarters itself, and a quarter the one before; the first's is the last.
  check_tensors("images", mixed.images, at::tensor({25.75f, 51.5f, 7.75f, 15.5f, 77.5f, 155.f}).reshape({3, 1, 1, 2}));
  check_tensors("targets", mixed.targets, at::tensor({0.75f, 0.f, 0.25f, 0.25f, 0.75f, 0.f, 0.f, 0.25f, 0.75f}).reshape({3, 3}));
}

TEST_CASE("mixing: CutMix by hand") {
  const at::Tensor images = at::arange(2 * 3 * 4, at::kFloat).reshape({2, 1, 3, 4});
  // Centre (1, 2), lambda 0.75: half sides trunc(0.25 * 3) = 0 rows, trunc(0.25 * 4) = 1 column: nothing is cut.
  MixDraw drawn = cutmix_around(0.75, 1, 2, 3, 4);
  CHECK(drawn == MixDraw{MixKind::kCutMix, 1, 3, 4, {1, 1, 0, 2}});
  check_tensors("nothing cut", mix(drawn, images, at::eye(2)).images, images);
  check_tensors("nothing cut", mix(drawn, images, at::eye(2)).targets, at::eye(2));
  // lambda 0: half sides 1 and 2, rows 0..1, columns 0..3: 8 of 12 pixels.
  drawn = cutmix_around(0, 1, 2, 3, 4);
  CHECK(drawn.box == PixelBox{0, 0, 2, 4});
  CHECK(std::abs(drawn.lambda - 1.0 / 3) < 1e-15);
  const MixedBatch mixed = mix(drawn, images, at::eye(2));
  check_tensors("cut", mixed.images,
                at::tensor({12.f, 13.f, 14.f, 15.f, 16.f, 17.f, 18.f, 19.f, 8.f, 9.f, 10.f, 11.f, 0.f, 1.f, 2.f, 3.f, 4.f, 5.f, 6.f, 7.f, 20.f, 21.f, 22.f, 23.f})
                    .reshape({2, 1, 3, 4}));
  check_tensors("targets", mixed.targets, at::tensor({1 / 3.f, 2 / 3.f, 2 / 3.f, 1 / 3.f}).reshape({2, 2}), {.atol = 1e-7});
}

TEST_CASE("mixing: inputs stay, types and memory formats are kept, soft targets keep their sum") {
  at::manual_seed(1);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const at::Tensor images = at::randn({4, 3, 8, 6}).to(type).contiguous(at::MemoryFormat::ChannelsLast), before = images.clone();
    const at::Tensor targets = at::softmax(at::randn({4, 5}), 1), targets_before = targets.clone();
    for (const MixDraw& drawn : {MixDraw{MixKind::kMixUp, 0.3, 8, 6, {}}, cutmix_around(0.4, 3, 2, 8, 6)}) {
      const MixedBatch mixed = mix(drawn, images, targets);
      CHECK(mixed.images.scalar_type() == type);
      CHECK(mixed.images.is_contiguous(at::MemoryFormat::ChannelsLast));
      CHECK_FALSE(mixed.images.equal(images));
      check_tensors("images stay", images, before);
      check_tensors("targets stay", targets, targets_before);
      check_tensors("sums", mixed.targets.sum(1), at::ones({4}), {.atol = 1e-6});
    }
    const MixedBatch same = mix({}, images, targets);
    CHECK((same.images.is_same(images) && same.targets.is_same(targets)));
  }
}

TEST_CASE("mixing: a batch of one is mixed with itself") {
  const at::Tensor image = at::randn({1, 3, 8, 6}), target = at::ones({1, 2}) / 2;
  for (const MixDraw& drawn : {MixDraw{MixKind::kMixUp, 0.3, 8, 6, {}}, cutmix_around(0.4, 3, 2, 8, 6)}) {
    check_tensors("image", mix(drawn, image, target).images, image, {.atol = 1e-6});
    check_tensors("target", mix(drawn, image, target).targets, target, {.atol = 1e-7});
  }
}

TEST_CASE("mixing: CutMix at another size scales its box, and lambda follows") {
  const MixDraw drawn = cutmix_around(0.4, 10, 20, 32, 48);
  const at::Tensor images = at::stack({at::zeros({1, 16, 24}), at::ones({1, 16, 24})});
  const MixedBatch mixed = mix(drawn, images, at::eye(2));
  const double pasted = mixed.images[0].mean().item<double>();
  CHECK(std::abs(1 - pasted - drawn.lambda) < 0.03);
  check_tensors("targets", mixed.targets, at::tensor({1 - pasted, pasted, pasted, 1 - pasted}, at::kFloat).reshape({2, 2}), {.atol = 1e-6});
  CHECK(scaled_box(drawn.box, 32, 48, 32, 48) == drawn.box);
}

TEST_CASE("mixing: lambda is Beta(alpha, alpha)") {
  constexpr int kDraws = 20000;
  for (const double alpha : {0.2, 0.8, 1.0, 4.0}) {
    CAPTURE(alpha);
    const Moments found = lambda_moments(alpha, kDraws);
    const double variance = 1 / (4 * (2 * alpha + 1));
    CHECK(std::abs(found.mean - 0.5) < 5 * std::sqrt(variance / kDraws));
    CHECK(std::abs(found.variance - variance) < 5 * variance / std::sqrt(kDraws));
  }
  // alpha 1 is uniform: a tenth in each tenth.
  int tenths[10] = {};
  for (int64_t i = 0; i < kDraws; ++i) ++tenths[std::min(9, static_cast<int>(draw({.mixup_alpha = 1}, i).lambda * 10))];
  for (const int count : tenths) CHECK(std::abs(count - kDraws / 10) < 5 * 43);
  // So small an alpha that its gammas underflow: one or the other side, never a NaN.
  const Moments tiny = lambda_moments(1e-4, 2000);
  CHECK(std::abs(tiny.mean - 0.5) < 0.06);
  CHECK(tiny.variance > 0.24);
}

TEST_CASE("mixing: which of the two, whether, and where") {
  const MixOptions both{.mixup_alpha = 0.2, .mixup_probability = 0.5, .cutmix_alpha = 1, .cutmix_probability = 0.8};
  int counts[3] = {};
  double outside = 0, top = 0;
  constexpr int kDraws = 20000;
  for (int64_t i = 0; i < kDraws; ++i) {
    const MixDraw drawn = draw(both, i);
    validate(drawn, "what was drawn");
    CHECK(drawn == draw(both, i));
    ++counts[static_cast<int>(drawn.kind)];
    if (drawn.kind != MixKind::kCutMix) continue;
    const double share = 1 - static_cast<double>(drawn.box.height * drawn.box.width) / (32 * 48);
    CHECK(share == drawn.lambda);
    outside += drawn.lambda;
    top += static_cast<double>(drawn.box.top) + static_cast<double>(drawn.box.height) / 2;
  }
  CHECK(std::abs(counts[1] - kDraws * 0.25) < 5 * 61);
  CHECK(std::abs(counts[2] - kDraws * 0.4) < 5 * 69);
  CHECK(std::abs(top / counts[2] - 16) < 0.6);
  CHECK(outside / counts[2] > 0.6);  // boxes are clipped: more is left than the half of a uniform lambda
  CHECK(draw({}, 0) == MixDraw{.height = 32, .width = 48});
  for (int64_t i = 0; i < 50; ++i) {
    CHECK(draw({.cutmix_alpha = 1}, i).kind == MixKind::kCutMix);
    CHECK(draw({.mixup_alpha = 1, .mixup_probability = 0}, i).kind == MixKind::kNone);
  }
}

TEST_CASE("mixing: options and records out of range are refused by name") {
  expect_error(ExitCode::kUsage, "alpha -1", [] { validate(MixOptions{.mixup_alpha = -1}); });
  expect_error(ExitCode::kUsage, "alpha inf", [] { validate(MixOptions{.cutmix_alpha = HUGE_VAL}); });
  expect_error(ExitCode::kUsage, "probability 2", [] { validate(MixOptions{.cutmix_probability = 2}); });
  const auto refused = [](const std::string& part, auto change) {
    MixDraw record = cutmix_around(0.4, 10, 20, 32, 48);
    validate(record, "batch 3");
    change(record);
    expect_error(ExitCode::kInput, part, [&] { validate(record, "batch 3"); });
  };
  refused("batch 3 mixes by rule 3", [](MixDraw& d) { d.kind = static_cast<MixKind>(3); });
  refused("batch 3 has lambda nan", [](MixDraw& d) { d.lambda = std::nan(""); });
  refused("lambda 1.5", [](MixDraw& d) { d.lambda = 1.5; });
  refused("images of 0 x 48", [](MixDraw& d) { d.height = 0; });
  refused("takes 33 x", [](MixDraw& d) { d.box.height = 33; });
  refused("column -1", [](MixDraw& d) { d.box.left = -1; });
}
