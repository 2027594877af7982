#include "augment/corruptions.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "decode/image.h"
#include "decode/jpeg_writer.h"
#include "kernels/resize/resize.h"

namespace fettle {
namespace {

constexpr double kNoise[] = {.08, .12, .18, .26, .38};
constexpr double kShots[] = {60, 25, 12, 5, 3};
constexpr int kDiskRadius[] = {3, 4, 6, 8, 10};
constexpr double kDiskSigma[] = {.1, .5, .5, .5, .5};
constexpr double kContrast[] = {.4, .3, .2, .1, .05};
constexpr double kBrightness[] = {.1, .2, .3, .4, .5};
constexpr double kPixelate[] = {.6, .5, .4, .3, .25};
constexpr int kJpegQuality[] = {25, 18, 15, 10, 7};

using Rgb = std::vector<uint8_t>;  // [height, width, 3]

uint8_t stored(double x) { return static_cast<uint8_t>(std::clamp(x, 0.0, 1.0) * 255); }

// By inversion; the mean is at most 60, so that exp(-mean) is far from 0.
int64_t poisson(double mean, RandomStream& stream) {
  const double u = stream.uniform();
  double p = std::exp(-mean), sum = p;
  int64_t k = 0;
  while (u > sum && k < 1000) {
    ++k;
    p *= mean / static_cast<double>(k);
    sum += p;
  }
  return k;
}

// OpenCV's BORDER_REFLECT_101: dcb|abcd|cba.
int64_t reflected(int64_t i, int64_t size) {
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  i = ((i % period) + period) % period;
  return i < size ? i : period - i;
}

struct Disk {
  int64_t reach;                // the kernel has 2 * reach + 1 a side
  std::vector<double> weights;  // sum 1
};

Disk disk_of(int radius, double sigma) {
  const int64_t reach = radius <= 8 ? 8 : radius, side = 2 * reach + 1;
  const int64_t blur_reach = radius <= 8 ? 1 : 2;
  std::vector<double> sharp(static_cast<size_t>(side * side)), gauss;
  double sum = 0;
  for (int64_t y = -reach; y <= reach; ++y) {
    for (int64_t x = -reach; x <= reach; ++x) sum += sharp[static_cast<size_t>((y + reach) * side + x + reach)] = x * x + y * y <= radius * radius ? 1 : 0;
  }
  double gauss_sum = 0;
  for (int64_t i = -blur_reach; i <= blur_reach; ++i) gauss_sum += gauss.emplace_back(std::exp(-static_cast<double>(i * i) / (2 * sigma * sigma)));
  Disk disk{reach, std::vector<double>(sharp.size())};
  for (int64_t y = 0; y < side; ++y) {
    for (int64_t x = 0; x < side; ++x) {
      double value = 0;
      for (int64_t dy = -blur_reach; dy <= blur_reach; ++dy) {
        for (int64_t dx = -blur_reach; dx <= blur_reach; ++dx) {
          value += sharp[static_cast<size_t>(reflected(y + dy, side) * side + reflected(x + dx, side))] * gauss[static_cast<size_t>(dy + blur_reach)] *
                   gauss[static_cast<size_t>(dx + blur_reach)];
        }
      }
      disk.weights[static_cast<size_t>(y * side + x)] = value / (sum * gauss_sum * gauss_sum);
    }
  }
  return disk;
}

void blur(const Disk& disk, int64_t height, int64_t width, Rgb& rgb) {
  const int64_t side = 2 * disk.reach + 1;
  std::vector<double> sums(static_cast<size_t>(width * 3));
  Rgb out(rgb.size());
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), 0.0);
    for (int64_t dy = 0; dy < side; ++dy) {
      const uint8_t* row = rgb.data() + reflected(y + dy - disk.reach, height) * width * 3;
      for (int64_t dx = 0; dx < side; ++dx) {
        const double weight = disk.weights[static_cast<size_t>(dy * side + dx)];
        if (weight == 0) continue;
        for (int64_t x = 0; x < width; ++x) {
          const uint8_t* from = row + 3 * reflected(x + dx - disk.reach, width);
          for (int64_t c = 0; c < 3; ++c) sums[static_cast<size_t>(3 * x + c)] += weight * from[c];
        }
      }
    }
    for (int64_t i = 0; i < 3 * width; ++i) out[static_cast<size_t>(y * width * 3 + i)] = stored(sums[static_cast<size_t>(i)] / 255);
  }
  rgb = std::move(out);
}

Rgb box_resized(const Rgb& pixels, int64_t height, int64_t width, int64_t to_height, int64_t to_width) {
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  Rgb resized(static_cast<size_t>(to_height * to_width * 3));
  kernels::ResizeArgs args;
  args.in = pixels.data();
  args.in_height = height, args.in_width = width, args.in_stride = width * 3;
  args.channels = 3;
  args.height = static_cast<double>(height), args.width = static_cast<double>(width);
  args.out = resized.data();
  args.out_height = to_height, args.out_width = to_width;
  args.filter = kernels::ResizeFilter::kBox;
  args.order = kernels::resize_order(height, width, to_height, to_width);
  std::vector<Line> workspace(static_cast<size_t>(kernels::resize_workspace_bytes(args)) / sizeof(Line) + 1);
  args.workspace = workspace.data();
  const kernels::Status status = kernels::resize(args);
  FT_CHECK(status == kernels::Status::kOk, "resize: {}", kernels::status_text(status));
  return resized;
}

void corrupt_rgb(Corruption corruption, size_t level, RandomStream& stream, int64_t height, int64_t width, Rgb& rgb) {
  switch (corruption) {
    case Corruption::kGaussianNoise:
      for (uint8_t& value : rgb) value = stored(value / 255.0 + kNoise[level] * stream.normal());
      return;
    case Corruption::kShotNoise:
      for (uint8_t& value : rgb) value = stored(static_cast<double>(poisson(value / 255.0 * kShots[level], stream)) / kShots[level]);
      return;
    case Corruption::kDefocusBlur: return blur(disk_of(kDiskRadius[level], kDiskSigma[level]), height, width, rgb);
    case Corruption::kContrast:
      for (size_t c = 0; c < 3; ++c) {
        double mean = 0;
        for (size_t i = c; i < rgb.size(); i += 3) mean += rgb[i] / 255.0;
        mean /= static_cast<double>(height * width);
        for (size_t i = c; i < rgb.size(); i += 3) rgb[i] = stored((rgb[i] / 255.0 - mean) * kContrast[level] + mean);
      }
      return;
    case Corruption::kBrightness:
      // With hue and saturation kept, a colour is in proportion to its value.
      for (size_t i = 0; i < rgb.size(); i += 3) {
        const double value = std::max({rgb[i], rgb[i + 1], rgb[i + 2]}) / 255.0, to = std::min(1.0, value + kBrightness[level]);
        for (size_t c = 0; c < 3; ++c) rgb[i + c] = stored(value == 0 ? to : rgb[i + c] / 255.0 / value * to);
      }
      return;
    case Corruption::kPixelate: {
      const int64_t small_height = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(height) * kPixelate[level]));
      const int64_t small_width = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(width) * kPixelate[level]));
      rgb = box_resized(box_resized(rgb, height, width, small_height, small_width), small_height, small_width, height, width);
      return;
    }
    case Corruption::kJpegCompression:
      rgb = decode_image(encode_jpeg(rgb.data(), height, width, kJpegQuality[level]), "a JPEG of our own").pixels;
      return;
  }
}

}  // namespace

const std::vector<std::string>& corruption_names() {
  static const std::vector<std::string> names = {"gaussian_noise", "shot_noise", "defocus_blur", "contrast", "brightness", "pixelate", "jpeg_compression"};
  return names;
}

void corrupt(Corruption corruption, int severity, RandomStream& stream, const PixelShape& shape, uint8_t* pixels) {
  FT_CHECK(severity >= 1 && severity <= kSeverities && (shape.channels == 1 || shape.channels == 3), "severity {}, {} channels", severity, shape.channels);
  const int64_t count = shape.height * shape.width, step = shape.channels == 1 ? 0 : 1;
  Rgb rgb(static_cast<size_t>(count * 3));
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < 3; ++c) rgb[static_cast<size_t>(3 * i + c)] = pixels[shape.channels * i + step * c];
  }
  corrupt_rgb(corruption, static_cast<size_t>(severity - 1), stream, shape.height, shape.width, rgb);
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < shape.channels; ++c) pixels[shape.channels * i + c] = rgb[static_cast<size_t>(3 * i + c)];
  }
}

}  // namespace fettle
