#pragma once
// Attention within short segments of consecutive rows, forward and backward, on the calling thread: the windows of ByteFormer (arXiv
// 2306.00238, section 3.3). Callers have many segments and divide them among their threads.
//
//   s = q k^T / sqrt(width)     p = softmax(s)     out = p v     logsumexp = log(sum over j of exp(s_ij))
//   dv = p^T dout     ds = p * (dout v^T - sum(dout * out))     dq = ds k / sqrt(width)     dk = ds^T q / sqrt(width)
//
// for each segment of `length` rows and each head of `width` channels by itself.
//
// qkv, dqkv    [segments * length, 3, heads, width]  f32 or bf16
// out, dout    [segments * length, heads, width]     of the same type
// logsumexp    [segments * length, heads]            f32
// No overlap between inputs and outputs. Alignment that of the element; the workspace's is 64 bytes.
// Numbers  f32 throughout: sums of products in an order that the instruction set decides, exp to 2 units in the last place; bf16 results are
//          rounded once. What is not finite spreads as in the formulas.

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

constexpr int64_t kSegmentAttentionMaxLength = 256;
constexpr int64_t kSegmentAttentionMaxWidth = 256;

struct SegmentAttentionShape {
  int64_t segments = 0;  // >= 0
  int64_t length = 0;    // 0 to kSegmentAttentionMaxLength
  int64_t heads = 1;     // 1 to 4096
  int64_t width = 1;     // 1 to kSegmentAttentionMaxWidth
  DType dtype = DType::kF32;
};

// Floats of scratch that either pass of this shape needs; 0 for what is refused.
int64_t segment_attention_workspace(const SegmentAttentionShape& shape);

struct SegmentAttentionForward {
  const void* qkv = nullptr;
  void* out = nullptr;
  float* logsumexp = nullptr;  // null: not wanted
  float* workspace = nullptr;
};
Status segment_attention_forward(const SegmentAttentionShape& shape, const SegmentAttentionForward& args);

struct SegmentAttentionBackward {
  const void* qkv = nullptr;
  const void* out = nullptr;
  const float* logsumexp = nullptr;
  const void* dout = nullptr;
  void* dqkv = nullptr;
  float* workspace = nullptr;
};
Status segment_attention_backward(const SegmentAttentionShape& shape, const SegmentAttentionBackward& args);

}  // namespace fettle::kernels
