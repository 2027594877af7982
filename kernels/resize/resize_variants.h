#pragma once
// What lies between resize() and its variants.

#include "kernels/resize/resize.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

// Taps of one axis. Weights are kept twice: whole, and split for 16-bit products as w = 2^11 * high + low, 0 <= low < 2^11.
struct ResizeTaps {
  int32_t* first;      // [out] first source pixel
  int32_t* count;      // [out] number of taps
  int32_t* weights;    // [out, stride]; zero beyond count
  int16_t* split;      // [out, stride / 4, 2 (high, low), 4]
  int64_t stride;      // a multiple of 4
};

inline constexpr int kResizeWeightBits = 22;  // 32 less 8 for the pixel and 2 for the filter's overshoot
inline constexpr int kResizeLowBits = 11;

// Rows of in [rows, in_width, C] to out [rows, out_width, C]; `readable` bytes from `in` on may be read.
using ResizeHorizontal = void (*)(const uint8_t* in, int64_t in_stride, int64_t rows, int64_t readable, int channels, const ResizeTaps& taps,
                                  uint8_t* out, int64_t out_width);
// Rows of row_bytes each to out [out_height, row_bytes].
using ResizeVertical = void (*)(const uint8_t* in, int64_t in_stride, int64_t row_bytes, const ResizeTaps& taps, uint8_t* out, int64_t out_height);

struct ResizeVariant {
  ResizeHorizontal horizontal;
  ResizeVertical vertical;
};
ResizeVariant resize_baseline();
ResizeVariant resize_avx2();

// resize() with one instruction set, which the CPU must have.
Status resize_with(const ResizeArgs& args, Isa isa);

}  // namespace fettle::kernels
