#pragma once
// batch_finish in plain loops. The double value is the formula itself; the f32 value follows the header's order of
// roundings (scale and bias from double, one product, one sum), which every variant must meet bit for bit.

#include <cstdint>
#include <cstring>
#include <vector>

#include "kernels/batch_finish/batch_finish.h"

namespace fettle::test {

inline uint16_t round_to_bf16(float value) {  // finite values; by comparison of distances, not by bit arithmetic
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t low = bits & 0xffff0000u, high = low + 0x10000u;
  float below, above;
  std::memcpy(&below, &low, sizeof below);
  std::memcpy(&above, &high, sizeof above);
  const double down = static_cast<double>(value) - below, up = static_cast<double>(above) - value;  // signs agree with value's
  const bool take_high = (up < 0 ? -up : up) < (down < 0 ? -down : down) || (up == down && ((low >> 16) & 1u) == 1);
  return static_cast<uint16_t>((take_high ? high : low) >> 16);
}

inline float from_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float out;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

struct ReferenceValue {
  double exact;    // (in / 255 - mean) / std
  float rounded;   // what f32 must hold
  double bound;    // of |rounded - exact|, from the header
};

// In the memory order of args.out_layout.
inline std::vector<ReferenceValue> batch_finish_reference(const kernels::BatchFinishArgs& args) {
  const int64_t height = args.height, width = args.width, channels = args.channels;
  std::vector<ReferenceValue> out(static_cast<size_t>(args.batch * height * width * channels));
  for (int64_t b = 0; b < args.batch; ++b) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        for (int64_t c = 0; c < channels; ++c) {
          const bool flip = args.flip != nullptr && args.flip[b] != 0;
          const uint8_t in = args.in[((b * height + y) * width + (flip ? width - 1 - x : x)) * channels + c];
          const double mean = args.mean[c], std = args.std[c];
          const auto scale = static_cast<float>(1 / (255 * std)), bias = static_cast<float>(-mean / std);
          volatile float product = static_cast<float>(in) * scale;  // volatile: no fused multiply-add, whatever the flags
          ReferenceValue value{(in / 255.0 - mean) / std, product + bias, 0};
          const auto size = [](double v) { return v < 0 ? -v : v; };
          value.bound = 0x1p-23 * (size(in / 255.0 / std) + size(mean / std) + size(value.exact));
          const bool nhwc = args.out_layout == kernels::ImageLayout::kNhwc;
          out[static_cast<size_t>(nhwc ? ((b * height + y) * width + x) * channels + c : ((b * channels + c) * height + y) * width + x)] = value;
        }
      }
    }
  }
  return out;
}

}  // namespace fettle::test
