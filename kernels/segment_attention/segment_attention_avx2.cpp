#define FT_VECTOR_BYTES 32
#include "kernels/segment_attention/segment_attention_passes.h"

namespace fettle::kernels {

SegmentAttentionVariant segment_attention_avx2() { return kVariant; }

}  // namespace fettle::kernels
