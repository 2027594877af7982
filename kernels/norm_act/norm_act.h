#pragma once
// norm_act: batch normalisation (arXiv 1502.03167), an optional residual, and an activation, channels-last; forward and backward in two
// passes each over what must be read.
//
//   y = act(z),  z = x * scale[c] + shift[c] + residual,      scale = weight * inv_std,  shift = bias - mean * scale
//   g = dy * act'(z)
//   dbias = sum(g),  dweight = (sum(g * x) - mean * sum(g)) * inv_std,  dresidual = g
//   dx = g * scale + (x - mean) * slope[c] + offset[c],       slope = -scale * inv_std * dweight / rows,  offset = -scale * dbias / rows
//
// norm_act_sums          x -> sum(x), sum(x * x)                              reads x
// norm_act_forward       x, residual -> y                                     reads x and residual, writes y
// norm_act_gradient_sums dy, x, y -> sum(g), sum(g * x), g if asked           reads dy, x, with a residual y; writes g if asked
// norm_act_backward      dy (or g), x -> dx                                   reads dy, x; writes dx
// What lies between them is a few numbers a channel and the caller's: statistics of several processes are added there.
//
// act'    from z, which is computed again from x; with a residual from y: kRelu and kRelu6 only.
//         0 where kRelu's output is 0 and where kRelu6's is 0 or 6. A NaN passes through every activation.
// x, residual, y, dy, g, dx   [rows, channels], dense, of `dtype`: f32, bf16 or f64; rows = B * H * W.
// Numbers a channel           [channels] f32, f64 where dtype is f64; sums [2, channels] f64.
// Memory  y may be x or residual, dx and g may be dy; no other overlap. Alignment that of the element.
// Numbers sums in double (of bf16 in f32 over 16 rows, then in double), over fixed runs of rows whose sums are then added in order;
//         everything else in f32 (f64), each operation rounded (no fused multiply-add), bf16 results to nearest, ties to even.
//         Every CPU variant and any number of threads give the same bits.

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

enum class NormActivation : int { kNone, kRelu, kRelu6, kHardswish };

struct NormActShape {
  int64_t rows = 0;      // >= 0
  int64_t channels = 0;  // >= 1
  DType dtype = DType::kF32;
  NormActivation activation = NormActivation::kNone;
  int num_threads = 0;   // at most so many; 0: OpenMP's default
};

// Doubles of scratch that the sums of this shape need.
int64_t norm_act_workspace(const NormActShape& shape);

struct NormActSums {
  const void* x = nullptr;
  double* sums = nullptr;       // [2, channels]
  double* workspace = nullptr;
};
Status norm_act_sums(const Device& device, const NormActShape& shape, const NormActSums& args, Stream stream);

struct NormActForward {
  const void* x = nullptr;
  const void* residual = nullptr;  // or null
  const void* scale = nullptr;
  const void* shift = nullptr;
  void* y = nullptr;
};
Status norm_act_forward(const Device& device, const NormActShape& shape, const NormActForward& args, Stream stream);

struct NormActGradientSums {
  const void* dy = nullptr;
  const void* x = nullptr;
  const void* y = nullptr;      // the forward pass's, where it had a residual; null otherwise
  const void* scale = nullptr;  // as in the forward pass
  const void* shift = nullptr;
  void* g = nullptr;            // or null
  double* sums = nullptr;       // [2, channels]
  double* workspace = nullptr;
};
Status norm_act_gradient_sums(const Device& device, const NormActShape& shape, const NormActGradientSums& args, Stream stream);

struct NormActBackward {
  const void* dy = nullptr;     // g, with kNone as the activation, where norm_act_gradient_sums wrote it
  const void* x = nullptr;
  const void* scale = nullptr;
  const void* shift = nullptr;
  const void* mean = nullptr;   // with slope and offset; all three null for fixed statistics, where dx = g * scale
  const void* slope = nullptr;
  const void* offset = nullptr;
  void* dx = nullptr;
};
Status norm_act_backward(const Device& device, const NormActShape& shape, const NormActBackward& args, Stream stream);

}  // namespace fettle::kernels
