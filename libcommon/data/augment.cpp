#include "data/augment.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"

namespace fettle {
namespace {

int64_t round_half_even(double value) { return std::llrint(value); }

}  // namespace

Geometry whole_image(int64_t height, int64_t width) { return {0, 0, height, width, false}; }

Geometry draw_geometry(RandomStream& stream, int64_t height, int64_t width, const CropOptions& options) {
  FT_CHECK(height >= 1 && width >= 1);
  const double area = static_cast<double>(height * width);
  const double log_min = std::log(options.ratio_min);
  const double log_max = std::log(options.ratio_max);
  Geometry geometry;
  for (int attempt = 0; attempt < 10 && geometry.height == 0; ++attempt) {
    const double target = area * stream.uniform(options.scale_min, options.scale_max);
    const double ratio = std::exp(stream.uniform(log_min, log_max));
    const int64_t w = round_half_even(std::sqrt(target * ratio));
    const int64_t h = round_half_even(std::sqrt(target / ratio));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    geometry = {stream.below(height - h + 1), stream.below(width - w + 1), h, w, false};
  }
  if (geometry.height == 0) {
    const double ratio = static_cast<double>(width) / static_cast<double>(height);
    int64_t h = height;
    int64_t w = width;
    if (ratio < options.ratio_min) {
      h = std::clamp<int64_t>(round_half_even(static_cast<double>(w) / options.ratio_min), 1, height);
    } else if (ratio > options.ratio_max) {
      w = std::clamp<int64_t>(round_half_even(static_cast<double>(h) * options.ratio_max), 1, width);
    }
    geometry = {(height - h) / 2, (width - w) / 2, h, w, false};
  }
  geometry.flip = stream.bernoulli(options.flip_probability);
  return geometry;
}

}  // namespace fettle
