#define FT_VECTOR_BYTES 16
#include "kernels/segment_attention/segment_attention_passes.h"

namespace fettle::kernels {

SegmentAttentionVariant segment_attention_baseline() { return kVariant; }

}  // namespace fettle::kernels
