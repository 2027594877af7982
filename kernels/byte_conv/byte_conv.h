#pragma once
// byte_conv: an embedding followed by a strided convolution over the bytes of packed files, as a table lookup (ByteFormer, arXiv
// 2306.00238: a byte takes 256 values, so that a convolution of embeddings is a sum of rows).
//
//   y[t] = sum over j of table[x[t * stride + j]][j]  (+ positions[t])      table[v][j] = W_j E[v]
//   dtable[v][j] = sum of dy[t] over the t with x[t * stride + j] = v
//
// with t counted within a file and j from 0 while t * stride + j lies within the file and below `kernel`: what lies beyond the file's end
// contributes nothing, so that a token wholly beyond it is zero (or its position). How many tokens a file has is the caller's choice.
//
// bytes          [sum of lengths] u8: the files one after the other
// byte_offsets   [files + 1], token_offsets [files + 1]: where each begins, ascending from 0
// table, dtable  [256, kernel, width] f32
// positions      [at least the tokens of any file, width] f32, or null
// y, dy          [tokens, width] f32 or bf16
// No overlap between inputs and outputs. Alignment that of the element; the workspace's is 8 bytes, faster at 64.
// Numbers  forward: f32, in order of j, the position last; a bf16 result is rounded once, to nearest, ties to even. Backward: f32, in order
//          of the tokens. No fused multiply-add is involved; every CPU variant, any number of threads and CUDA give the same bits.

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

constexpr int64_t kByteConvMaxKernel = 1024;

struct ByteConvShape {
  int64_t files = 0;                       // >= 0
  const uint8_t* bytes = nullptr;
  const int64_t* byte_offsets = nullptr;   // on the CPU, also for CUDA: the launch depends on them
  const int64_t* token_offsets = nullptr;  // likewise
  int64_t kernel = 1;                      // 1 to kByteConvMaxKernel; kernel * 256 * width * 4 bytes fit 63 bits
  int64_t stride = 1;                      // 1 to 2^40
  int64_t width = 1;                       // >= 1
  int num_threads = 0;                     // at most so many; 0: OpenMP's default
};

// Floats of scratch that either pass of this shape needs on the CPU, for as many threads as it may use; 0 on CUDA, and for what is refused.
int64_t byte_conv_workspace(const Device& device, const ByteConvShape& shape);

struct ByteConvForward {
  const float* table = nullptr;
  const float* positions = nullptr;
  void* y = nullptr;
  DType y_dtype = DType::kF32;
  float* workspace = nullptr;
};
Status byte_conv_forward(const Device& device, const ByteConvShape& shape, const ByteConvForward& args, Stream stream);

struct ByteConvBackward {
  const void* dy = nullptr;
  DType dy_dtype = DType::kF32;
  float* dtable = nullptr;  // overwritten
  float* workspace = nullptr;
};
Status byte_conv_backward(const Device& device, const ByteConvShape& shape, const ByteConvBackward& args, Stream stream);

}  // namespace fettle::kernels
