#pragma once
// batch_finish: the last step of a loader, in one pass over the pixels.
//
//   out[b, c, y, x] = in[b, y, x', c] * scale[c] + bias[c],   x' = flip[b] ? W - 1 - x : x
//   scale[c] = 1 / (255 * std[c]),  bias[c] = -mean[c] / std[c]       (that is (in / 255 - mean) / std)
//
// in      [B, H, W, C] u8, dense.
// flip    [B] u8, nonzero mirrors the image left to right; null mirrors none.
// mean    [C] f32 in host memory, in units of in / 255.  std  [C] f32 in host memory, positive.
// out     f32 or bf16, logically [B, C, H, W]; in memory [B, C, H, W] (kNchw) or [B, H, W, C] (kNhwc, channels-last), dense.
// Sizes   B, H, W >= 0 (an empty batch is legal), 1 <= C <= 16, H * W * C < 2^31.
// Memory  out must not overlap in, mean, std or flip. `in` may have any alignment, out that of its element.
// Numbers scale and bias are computed in double and rounded to f32; then one f32 product and one f32 sum, each rounded (no
//         fused multiply-add); bf16 rounds that sum to nearest, ties to even. Every CPU variant, any number of threads and
//         CUDA give the same bits. Against the formula in exact arithmetic the f32 value is off by at most
//         2^-23 * (|in * scale| + |bias| + |out|), half a unit in the last place each for scale, bias, product and sum; bf16
//         adds 2^-8 * |out|, half a unit of its eight bits.
// Values  mean, std whose out would not be finite in f32 are refused (kBadValue).

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

constexpr int kBatchFinishMaxChannels = 16;

enum class ImageLayout : int { kNchw, kNhwc };

struct BatchFinishArgs {
  const uint8_t* in = nullptr;    // [B, H, W, C]
  const uint8_t* flip = nullptr;  // [B], or null
  const float* mean = nullptr;    // [C], host
  const float* std = nullptr;     // [C], host
  void* out = nullptr;            // [B, C, H, W] or [B, H, W, C]
  int64_t batch = 0;
  int64_t height = 0;
  int64_t width = 0;
  int channels = 0;
  DType out_dtype = DType::kF32;
  ImageLayout out_layout = ImageLayout::kNhwc;
  int num_threads = 0;            // CPU: at most so many; 1 enters no OpenMP region (loader threads); 0: OpenMP's default
};

// Checks the arguments, then runs on the device: the CPU returns when done, CUDA when the launch is queued on `stream`.
Status batch_finish(const Device& device, const BatchFinishArgs& args, Stream stream);

}  // namespace fettle::kernels
