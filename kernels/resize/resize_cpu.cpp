#include <algorithm>

#include "kernels/resize/resize_variants.h"

namespace fettle::kernels {
namespace {

constexpr int32_t kHalf = 1 << (kResizeWeightBits - 1);

uint8_t clip_to_byte(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kResizeWeightBits, 0, 255)); }

template <int kChannels>
void horizontal(const uint8_t* in, int64_t in_stride, int64_t rows, const ResizeTaps& taps, uint8_t* out, int64_t out_width) {
  for (int64_t y = 0; y < rows; ++y, in += in_stride) {
    for (int64_t x = 0; x < out_width; ++x, out += kChannels) {
      const uint8_t* const source = in + taps.first[x] * kChannels;
      const int32_t* const weights = taps.weights + x * taps.stride;
      const int32_t count = taps.count[x];
      int32_t sums[kChannels];
      std::fill_n(sums, kChannels, kHalf);
      for (int32_t k = 0; k < count; ++k) {
        for (int c = 0; c < kChannels; ++c) sums[c] += source[k * kChannels + c] * weights[k];
      }
      for (int c = 0; c < kChannels; ++c) out[c] = clip_to_byte(sums[c]);
    }
  }
}

void horizontal_any(const uint8_t* in, int64_t in_stride, int64_t rows, int64_t, int channels, const ResizeTaps& taps, uint8_t* out, int64_t out_width) {
  switch (channels) {
    case 1: return horizontal<1>(in, in_stride, rows, taps, out, out_width);
    case 2: return horizontal<2>(in, in_stride, rows, taps, out, out_width);
    case 3: return horizontal<3>(in, in_stride, rows, taps, out, out_width);
    default: return horizontal<4>(in, in_stride, rows, taps, out, out_width);
  }
}

void vertical(const uint8_t* in, int64_t in_stride, int64_t row_bytes, const ResizeTaps& taps, uint8_t* out, int64_t out_height) {
  constexpr int64_t kBlock = 64;  // sums stay in registers or the nearest cache
  for (int64_t y = 0; y < out_height; ++y, out += row_bytes) {
    const uint8_t* const source = in + taps.first[y] * in_stride;
    const int32_t* const weights = taps.weights + y * taps.stride;
    const int32_t count = taps.count[y];
    for (int64_t begin = 0; begin < row_bytes; begin += kBlock) {
      const int64_t size = std::min(kBlock, row_bytes - begin);
      int32_t sums[kBlock];
      std::fill_n(sums, kBlock, kHalf);
      for (int32_t k = 0; k < count; ++k) {
        const uint8_t* const row = source + k * in_stride + begin;
        const int32_t weight = weights[k];
        for (int64_t i = 0; i < size; ++i) sums[i] += row[i] * weight;
      }
      for (int64_t i = 0; i < size; ++i) out[begin + i] = clip_to_byte(sums[i]);
    }
  }
}

}  // namespace

ResizeVariant resize_baseline() { return {horizontal_any, vertical}; }

}  // namespace fettle::kernels
