#include "kernels/segment_attention/segment_attention.h"

#include <initializer_list>

#include "kernels/segment_attention/segment_attention_variants.h"

namespace fettle::kernels {
namespace {

Status check(const SegmentAttentionShape& s) {
  if (s.dtype != DType::kF32 && s.dtype != DType::kBF16) return Status::kBadDType;
  if (s.segments < 0 || s.length < 0 || s.length > kSegmentAttentionMaxLength || s.heads < 1 || s.heads > 4096 || s.width < 1 || s.width > kSegmentAttentionMaxWidth) return Status::kBadSize;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(s.segments, s.length * 3 * s.heads * s.width * 4, &bytes)) return Status::kBadSize;
  return Status::kOk;
}

Status variant_of_this_cpu(SegmentAttentionVariant* variant) {
  Isa isa{};
  if (const Status status = active_isa(&isa); status != Status::kOk) return status;
  *variant = isa == Isa::kAvx512 ? segment_attention_avx512() : isa == Isa::kAvx2 ? segment_attention_avx2() : segment_attention_baseline();
  return Status::kOk;
}

bool is_empty(const SegmentAttentionShape& s) { return s.segments == 0 || s.length == 0; }

}  // namespace

int64_t segment_attention_workspace(const SegmentAttentionShape& s) {
  if (check(s) != Status::kOk) return 0;
  const int64_t columns = segment_attention_padded(s.width), keys = segment_attention_padded(s.length);
  // q, k, dout and a result by rows; k and v turned; two maps; two numbers a row.
  return 4 * s.length * columns + 2 * s.width * keys + 2 * s.length * keys + 2 * keys;
}

Status segment_attention_forward(const SegmentAttentionShape& s, const SegmentAttentionForward& args) {
  if (const Status status = check(s); status != Status::kOk) return status;
  if (is_empty(s)) return Status::kOk;
  if (args.qkv == nullptr || args.out == nullptr || args.workspace == nullptr) return Status::kNullPointer;
  SegmentAttentionVariant variant{};
  if (const Status status = variant_of_this_cpu(&variant); status != Status::kOk) return status;
  variant.forward(s, args);
  return Status::kOk;
}

Status segment_attention_backward(const SegmentAttentionShape& s, const SegmentAttentionBackward& args) {
  if (const Status status = check(s); status != Status::kOk) return status;
  if (is_empty(s)) return Status::kOk;
  for (const void* pointer : {args.qkv, args.out, static_cast<const void*>(args.logsumexp), args.dout, static_cast<const void*>(args.dqkv), static_cast<const void*>(args.workspace)}) {
    if (pointer == nullptr) return Status::kNullPointer;
  }
  SegmentAttentionVariant variant{};
  if (const Status status = variant_of_this_cpu(&variant); status != Status::kOk) return status;
  variant.backward(s, args);
  return Status::kOk;
}

}  // namespace fettle::kernels
