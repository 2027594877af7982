#include "augment/geometry.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"

namespace fettle {
namespace {

int64_t round_half_even(double value) { return std::llrint(value); }

// The sides of the largest box with a ratio that is allowed.
std::pair<int64_t, int64_t> largest_box(int64_t height, int64_t width, const CropOptions& options) {
  const double ratio = static_cast<double>(width) / static_cast<double>(height);
  if (ratio < options.ratio_min) return {std::clamp<int64_t>(round_half_even(static_cast<double>(width) / options.ratio_min), 1, height), width};
  if (ratio > options.ratio_max) return {height, std::clamp<int64_t>(round_half_even(static_cast<double>(height) * options.ratio_max), 1, width)};
  return {height, width};
}

}  // namespace

std::pair<int64_t, int64_t> box_sides(int64_t height, int64_t width, double share, double ratio) {
  const double area = static_cast<double>(height * width) * share;
  return {round_half_even(std::sqrt(area / ratio)), round_half_even(std::sqrt(area * ratio))};
}

Geometry draw_geometry(RandomStream& stream, int64_t height, int64_t width, const CropOptions& options) {
  FT_CHECK(height >= 1 && width >= 1);
  const double log_min = std::log(options.ratio_min);
  const double log_max = std::log(options.ratio_max);
  Geometry geometry;
  for (int attempt = 0; attempt < 10 && geometry.height == 0; ++attempt) {
    const double share = stream.uniform(options.scale_min, options.scale_max);
    const double ratio = std::exp(stream.uniform(log_min, log_max));
    const auto [h, w] = box_sides(height, width, share, ratio);
    if (w < 1 || h < 1 || w > width || h > height) continue;
    geometry = {stream.below(height - h + 1), stream.below(width - w + 1), h, w, false};
  }
  if (geometry.height == 0) {
    const auto [h, w] = largest_box(height, width, options);
    geometry = {(height - h) / 2, (width - w) / 2, h, w, false};
  }
  geometry.flip = stream.bernoulli(options.flip_probability);
  return geometry;
}

std::pair<int64_t, int64_t> smallest_crop(int64_t height, int64_t width, const CropOptions& options) {
  const auto [last_height, last_width] = largest_box(height, width, options);
  // A pixel less: a drawn ratio is the exponential of a logarithm.
  const int64_t lowest = box_sides(height, width, options.scale_min, options.ratio_max).first - 1;
  const int64_t narrowest = box_sides(height, width, options.scale_min, options.ratio_min).second - 1;
  return {std::clamp<int64_t>(lowest, 1, last_height), std::clamp<int64_t>(narrowest, 1, last_width)};
}

View crop_view(const Geometry& geometry, int64_t out_height, int64_t out_width) {
  return {geometry.top, geometry.left, geometry.height, geometry.width, 0, 0, static_cast<double>(geometry.height), static_cast<double>(geometry.width),
          out_height, out_width, geometry.flip};
}

View center_view(int64_t height, int64_t width, int64_t out_height, int64_t out_width, double crop_share) {
  FT_CHECK(height >= 1 && width >= 1 && out_height >= 1 && out_width >= 1 && crop_share > 0 && crop_share <= 1);
  const auto resized = [&](int64_t out) { return static_cast<int64_t>(static_cast<double>(out) / crop_share); };
  int64_t to_height = resized(out_height), to_width = resized(out_width);
  if (height * to_width >= width * to_height) {
    to_height = to_width * height / width;
  } else {
    to_width = to_height * width / height;
  }
  // The part of the source that lands in [offset, offset + out) of the resized axis.
  const auto part = [](int64_t in, int64_t resized_to, int64_t out) {
    const double scale = static_cast<double>(in) / static_cast<double>(resized_to);
    const double start = static_cast<double>(round_half_even(static_cast<double>(resized_to - out) / 2)) * scale;
    return std::pair{start, std::min(static_cast<double>(out) * scale, static_cast<double>(in) - start)};
  };
  const auto [box_top, box_height] = part(height, to_height, out_height);
  const auto [box_left, box_width] = part(width, to_width, out_width);
  return {0, 0, height, width, box_top, box_left, box_height, box_width, to_height, to_width, false};
}

}  // namespace fettle
