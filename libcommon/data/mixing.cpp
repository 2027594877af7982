#include "data/mixing.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"

namespace fettle {
namespace {

// log of a Gamma(shape, 1) variate (Marsaglia and Tsang, "A simple method for generating gamma variables", 2000). Below 1 it is
// Gamma(shape + 1) U^(1 / shape), which only its logarithm can hold for small shapes.
double draw_log_gamma(RandomStream& stream, double shape) {
  if (shape < 1) {
    const double boosted = draw_log_gamma(stream, shape + 1);
    return boosted + std::log(1.0 - stream.uniform()) / shape;
  }
  const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = stream.normal();
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    const double u = 1.0 - stream.uniform();
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return std::log(d * v);
  }
}

double draw_beta(RandomStream& stream, double alpha) {
  const double first = draw_log_gamma(stream, alpha), second = draw_log_gamma(stream, alpha);
  return 1 / (1 + std::exp(second - first));
}

double share_outside(const PixelBox& box, int64_t height, int64_t width) {
  return 1.0 - static_cast<double>(box.width * box.height) / static_cast<double>(width * height);
}

// lambda a[i] + (1 - lambda) a[i - 1]
at::Tensor blend_with_previous(const at::Tensor& a, double lambda) {
  const int64_t last = a.size(0) - 1;
  at::Tensor out = a.mul(lambda);
  out.narrow(0, 1, last).add_(a.narrow(0, 0, last), 1.0 - lambda);
  out.select(0, 0).add_(a.select(0, last), 1.0 - lambda);
  return out;
}

at::Tensor within(const at::Tensor& images, const PixelBox& box) {
  return images.narrow(2, box.top, box.height).narrow(3, box.left, box.width);
}

}  // namespace

void validate(const MixOptions& o) {
  for (const double alpha : {o.mixup_alpha, o.cutmix_alpha}) FT_REQUIRE_USAGE(alpha >= 0 && std::isfinite(alpha), "mixing with alpha {}, expected a number from 0", alpha);
  for (const double probability : {o.mixup_probability, o.cutmix_probability}) {
    FT_REQUIRE_USAGE(probability >= 0 && probability <= 1, "mixing with probability {}, expected 0 to 1", probability);
  }
}

MixDraw draw_mix(RandomStream& stream, const MixOptions& options, int64_t height, int64_t width) {
  FT_CHECK(height >= 1 && width >= 1, "images of {} x {}", height, width);
  const bool mixup = options.mixup_alpha > 0, cutmix = options.cutmix_alpha > 0;
  if (!mixup && !cutmix) return {.height = height, .width = width};
  const bool chosen_cutmix = mixup && cutmix ? stream.below(2) == 1 : cutmix;
  if (!stream.bernoulli(chosen_cutmix ? options.cutmix_probability : options.mixup_probability)) return {.height = height, .width = width};
  const double lambda = draw_beta(stream, chosen_cutmix ? options.cutmix_alpha : options.mixup_alpha);
  if (!chosen_cutmix) return {MixKind::kMixUp, lambda, height, width, {}};
  const int64_t column = stream.below(width), row = stream.below(height);
  return cutmix_around(lambda, row, column, height, width);
}

MixDraw cutmix_around(double lambda, int64_t center_row, int64_t center_column, int64_t height, int64_t width) {
  FT_CHECK(lambda >= 0 && lambda <= 1 && center_row >= 0 && center_row < height && center_column >= 0 && center_column < width,
           "lambda {}, centre {} {} in {} x {}", lambda, center_row, center_column, height, width);
  const double half = 0.5 * std::sqrt(1.0 - lambda);
  const auto half_width = static_cast<int64_t>(half * static_cast<double>(width)), half_height = static_cast<int64_t>(half * static_cast<double>(height));
  const int64_t top = std::max<int64_t>(center_row - half_height, 0), left = std::max<int64_t>(center_column - half_width, 0);
  const PixelBox box{top, left, std::min(center_row + half_height, height) - top, std::min(center_column + half_width, width) - left};
  return {MixKind::kCutMix, share_outside(box, height, width), height, width, box};
}

void validate(const MixDraw& d, std::string_view name) {
  const int kind = static_cast<int>(d.kind);
  FT_REQUIRE(kind >= 0 && kind <= 2, "{} mixes by rule {}, expected 0 to 2", name, kind);
  FT_REQUIRE(d.lambda >= 0 && d.lambda <= 1, "{} has lambda {}, expected 0 to 1", name, d.lambda);
  FT_REQUIRE(d.height >= 1 && d.width >= 1 && d.height <= kMaxImageSide && d.width <= kMaxImageSide, "{} is of images of {} x {}, expected sides from 1 to {}", name,
             d.height, d.width, kMaxImageSide);
  const PixelBox& b = d.box;
  FT_REQUIRE(b.top >= 0 && b.left >= 0 && b.height >= 0 && b.width >= 0 && b.height <= d.height && b.width <= d.width && b.top <= d.height - b.height &&
                 b.left <= d.width - b.width,
             "{} takes {} x {} at row {}, column {} of images of {} x {}", name, b.height, b.width, b.top, b.left, d.height, d.width);
}

MixedBatch mix(const MixDraw& draw, const at::Tensor& images, const at::Tensor& targets) {
  FT_CHECK(images.dim() == 4 && images.size(0) >= 1 && images.is_floating_point(), "images");
  FT_CHECK(targets.dim() == 2 && targets.size(0) == images.size(0) && targets.is_floating_point(), "targets");
  switch (draw.kind) {
    case MixKind::kNone: return {images, targets};
    case MixKind::kMixUp: return {blend_with_previous(images, draw.lambda), blend_with_previous(targets, draw.lambda)};
    case MixKind::kCutMix: break;
  }
  const int64_t height = images.size(2), width = images.size(3);
  const PixelBox box = scaled_box(draw.box, draw.height, draw.width, height, width);
  const double lambda = height == draw.height && width == draw.width ? draw.lambda : share_outside(box, height, width);
  at::Tensor mixed = images.clone();
  const int64_t last = images.size(0) - 1;
  const at::Tensor from = within(images, box), to = within(mixed, box);
  to.narrow(0, 1, last).copy_(from.narrow(0, 0, last));
  to.select(0, 0).copy_(from.select(0, last));
  return {mixed, blend_with_previous(targets, lambda)};
}

}  // namespace fettle
