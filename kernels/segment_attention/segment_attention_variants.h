#pragma once
// What lies between segment_attention's functions and their variants.

#include "kernels/segment_attention/segment_attention.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

// Columns of the workspace's matrices are padded to whole vectors of the widest instruction set.
constexpr int64_t kSegmentAttentionLanes = 16;

constexpr int64_t segment_attention_padded(int64_t columns) { return (columns + kSegmentAttentionLanes - 1) / kSegmentAttentionLanes * kSegmentAttentionLanes; }

// The arguments checked, with at least one segment of at least one row.
struct SegmentAttentionVariant {
  void (*forward)(const SegmentAttentionShape& shape, const SegmentAttentionForward& args);
  void (*backward)(const SegmentAttentionShape& shape, const SegmentAttentionBackward& args);
};
SegmentAttentionVariant segment_attention_baseline();
SegmentAttentionVariant segment_attention_avx2();
SegmentAttentionVariant segment_attention_avx512();

}  // namespace fettle::kernels
