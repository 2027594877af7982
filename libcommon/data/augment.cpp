#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/errors.h"

namespace fettle {
namespace {

constexpr int kWeightBits = 22;  // 32 bits less 8 for the pixel and 2 for the filter's overshoot

uint8_t clip_to_byte(int32_t accumulated) { return static_cast<uint8_t>(std::clamp(accumulated >> kWeightBits, 0, 255)); }

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

void Resizer::compute_taps(int64_t from, int64_t to, Taps& taps) {
  if (taps.from == from && taps.to == to) return;
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter_scale;  // the triangle reaches one pixel, times the shrinking
  taps.stride = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
  taps.first.assign(static_cast<size_t>(to), 0);
  taps.count.assign(static_cast<size_t>(to), 0);
  taps.weights.assign(static_cast<size_t>(to * taps.stride), 0);
  std::vector<double> weights(static_cast<size_t>(taps.stride));
  for (int64_t i = 0; i < to; ++i) {
    const double center = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), from);
    const int64_t count = last - first;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      const double distance = std::abs((static_cast<double>(k + first) - center + 0.5) / filter_scale);
      weights[static_cast<size_t>(k)] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += weights[static_cast<size_t>(k)];
    }
    for (int64_t k = 0; k < count; ++k) {
      const double weight = weights[static_cast<size_t>(k)] / sum * (1 << kWeightBits);
      taps.weights[static_cast<size_t>(i * taps.stride + k)] = static_cast<int32_t>(weight + 0.5);
    }
    taps.first[static_cast<size_t>(i)] = first;
    taps.count[static_cast<size_t>(i)] = count;
  }
  taps.from = from;
  taps.to = to;
}

void Resizer::resize(const uint8_t* source, int64_t source_width, int64_t channels, const Geometry& box, int64_t target_height, int64_t target_width,
                     uint8_t* target) {
  FT_CHECK(channels >= 1 && channels <= 4 && box.height >= 1 && box.width >= 1 && target_height >= 1 && target_width >= 1);
  const uint8_t* const corner = source + (box.top * source_width + box.left) * channels;
  const int64_t source_pitch = source_width * channels;
  const int64_t target_pitch = target_width * channels;

  const uint8_t* rows = corner;
  int64_t rows_pitch = source_pitch;
  const bool horizontal = box.width != target_width;
  if (horizontal) {
    compute_taps(box.width, target_width, horizontal_);
    between_.resize(static_cast<size_t>(box.height * target_pitch));
    for (int64_t y = 0; y < box.height; ++y) {
      const uint8_t* const in = corner + y * source_pitch;
      uint8_t* const out = between_.data() + y * target_pitch;
      for (int64_t x = 0; x < target_width; ++x) {
        const int64_t first = horizontal_.first[static_cast<size_t>(x)];
        const int64_t count = horizontal_.count[static_cast<size_t>(x)];
        const int32_t* const weights = horizontal_.weights.data() + x * horizontal_.stride;
        for (int64_t c = 0; c < channels; ++c) {
          int32_t sum = 1 << (kWeightBits - 1);
          for (int64_t k = 0; k < count; ++k) sum += in[(first + k) * channels + c] * weights[k];
          out[x * channels + c] = clip_to_byte(sum);
        }
      }
    }
    rows = between_.data();
    rows_pitch = target_pitch;
  }
  if (box.height == target_height) {
    for (int64_t y = 0; y < target_height; ++y) std::memcpy(target + y * target_pitch, rows + y * rows_pitch, static_cast<size_t>(target_pitch));
    return;
  }
  compute_taps(box.height, target_height, vertical_);
  for (int64_t y = 0; y < target_height; ++y) {
    const int64_t first = vertical_.first[static_cast<size_t>(y)];
    const int64_t count = vertical_.count[static_cast<size_t>(y)];
    const int32_t* const weights = vertical_.weights.data() + y * vertical_.stride;
    uint8_t* const out = target + y * target_pitch;
    for (int64_t x = 0; x < target_pitch; ++x) {
      int32_t sum = 1 << (kWeightBits - 1);
      for (int64_t k = 0; k < count; ++k) sum += rows[(first + k) * rows_pitch + x] * weights[k];
      out[x] = clip_to_byte(sum);
    }
  }
}

}  // namespace fettle
