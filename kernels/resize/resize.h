#pragma once
// resize: one box of an 8-bit image to another size, antialiased: the filter widens when shrinking. It gives the pixels of
// Pillow's Image.crop(...).resize(size, filter) bit for bit.
//
//   for each axis   scale = box / out,  f = max(scale, 1),  c = start + (i + 0.5) * scale,  r = R * f
//                   taps k = max(0, int(c - r + 0.5)) .. min(in, int(c + r + 0.5)) - 1
//                   w[k] = filter((k + 0.5 - c) / f), divided by their sum, rounded to units of 2^-22
//                   out[i] = clip8((sum_k w[k] * in[k] + 2^21) >> 22)
//   with 8 bits between the two passes; an axis whose box is the whole of `in` at the size of `out` is copied.
//   order     which pass comes first. Values differ by one here and there, more where a cubic overshoots.
//   bilinear  R = 1, filter(x) = 1 - |x|
//   bicubic   R = 2, Keys' cubic with a = -0.5
//   box       R = 0.5, 1 for -0.5 < x <= 0.5
//
// in         [in_height, in_width, C] u8, rows in_stride bytes apart (>= in_width * C). The filter sees nothing outside `in`:
//            for a crop, let it be the crop.
// box        top, left, height, width in pixels of `in`, may be fractional; inside it, height and width > 0.
// out        [out_height, out_width, C] u8, dense; must not overlap in.
// workspace  resize_workspace_bytes(args) bytes, aligned to 64.
// Sizes      1 <= C <= 4; sides from 1 to 2^20; C * in_stride * in_height and the output below 2^40 bytes.
// Numbers    integers: every CPU variant gives the same bytes. One thread; no CUDA version: loader threads resize.

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

enum class ResizeFilter : int { kBilinear, kBicubic, kBox };
enum class ResizeOrder : int { kHorizontalFirst, kVerticalFirst };

// The order of Pillow from 13 on: vertically first where more than twice as many rows go as columns. (Before: always horizontally.)
inline ResizeOrder resize_order(int64_t in_height, int64_t in_width, int64_t out_height, int64_t out_width) {
  const int64_t rows = in_height - out_height, columns = in_width - out_width;
  return rows > 0 && rows > 2 * columns ? ResizeOrder::kVerticalFirst : ResizeOrder::kHorizontalFirst;
}

struct ResizeArgs {
  const uint8_t* in = nullptr;
  int64_t in_height = 0, in_width = 0, in_stride = 0;
  int channels = 0;
  double top = 0, left = 0, height = 0, width = 0;  // the box
  uint8_t* out = nullptr;
  int64_t out_height = 0, out_width = 0;
  ResizeFilter filter = ResizeFilter::kBilinear;
  ResizeOrder order = ResizeOrder::kHorizontalFirst;
  void* workspace = nullptr;
};

// 0 for sizes that resize() refuses.
int64_t resize_workspace_bytes(const ResizeArgs& args);

Status resize(const ResizeArgs& args);

}  // namespace fettle::kernels
