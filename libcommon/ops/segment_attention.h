#pragma once
// kernels/segment_attention on tensors, with a gradient: attention within segments of one length, without a copy of q, k and v by head.

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "kernels/segment_attention/segment_attention.h"

namespace fettle::ops {

// Whether segment_attention() takes it: f32 or bf16 on a CPU, segments and heads within the kernel's limits.
bool attends_segments(const at::Tensor& qkv, int64_t length, int64_t num_heads);

// The kernel's shape of such rows, which attends_segments().
kernels::SegmentAttentionShape segment_attention_shape(const at::Tensor& qkv, int64_t length, int64_t num_heads);

// qkv: [segments * length, 3 C], rows q, k, v, each by head -> [segments * length, C], of the same type. First derivatives only. Observers
// of LibTorch's operators see it as "fettle::scaled_dot_product_attention" of q, k and v [segments, heads, length, C / heads].
at::Tensor segment_attention(const at::Tensor& qkv, int64_t length, int64_t num_heads);

}  // namespace fettle::ops
