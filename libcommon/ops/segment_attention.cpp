#include "ops/segment_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/custom_function.h>

#include "base/errors.h"
#include "device/kernels.h"

namespace fettle::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

char* row_of(const at::Tensor& t, int64_t row) { return static_cast<char*>(t.mutable_data_ptr()) + row * t.stride(0) * static_cast<int64_t>(t.element_size()); }

// Calls pass(shape of some segments, their first row, workspace) on LibTorch's threads.
template <class Pass>
void over_threads(const kernels::SegmentAttentionShape& all, const Pass& pass) {
  at::parallel_for(0, all.segments, 1, [&](int64_t begin, int64_t end) {
    kernels::SegmentAttentionShape some = all;
    some.segments = end - begin;
    at::Tensor workspace = at::empty({kernels::segment_attention_workspace(some)}, at::kFloat);
    check_kernel(pass(some, begin * all.length, workspace.mutable_data_ptr<float>()), "segment_attention");
  });
}

class SegmentAttentionFunction : public torch::autograd::Function<SegmentAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, int64_t length, int64_t num_heads) {
    const kernels::SegmentAttentionShape shape = segment_attention_shape(qkv, length, num_heads);
    at::Tensor out = at::empty({qkv.size(0), qkv.size(1) / 3}, qkv.options()), logsumexp = at::empty({qkv.size(0), num_heads}, qkv.options().dtype(at::kFloat));
    over_threads(shape, [&](const kernels::SegmentAttentionShape& some, int64_t row, float* workspace) {
      return kernels::segment_attention_forward(some, {.qkv = row_of(qkv, row), .out = row_of(out, row), .logsumexp = reinterpret_cast<float*>(row_of(logsumexp, row)), .workspace = workspace});
    });
    ctx->save_for_backward({qkv, out, logsumexp});
    ctx->saved_data["length"] = length;
    ctx->saved_data["num_heads"] = num_heads;
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &qkv = saved[0], &out = saved[1], &logsumexp = saved[2], dout = gradients[0].contiguous();
    const at::Tensor dqkv = at::empty_like(qkv);
    over_threads(segment_attention_shape(qkv, ctx->saved_data["length"].toInt(), ctx->saved_data["num_heads"].toInt()), [&](const kernels::SegmentAttentionShape& some, int64_t row, float* workspace) {
      return kernels::segment_attention_backward(some, {.qkv = row_of(qkv, row),
                                                        .out = row_of(out, row),
                                                        .logsumexp = reinterpret_cast<const float*>(row_of(logsumexp, row)),
                                                        .dout = row_of(dout, row),
                                                        .dqkv = row_of(dqkv, row),
                                                        .workspace = workspace});
    });
    return {dqkv, {}, {}};
  }
};

}  // namespace

bool attends_segments(const at::Tensor& qkv, int64_t length, int64_t num_heads) {
  return qkv.is_cpu() && (qkv.scalar_type() == at::kFloat || qkv.scalar_type() == at::kBFloat16) && length <= kernels::kSegmentAttentionMaxLength &&
         qkv.size(-1) / 3 / num_heads <= kernels::kSegmentAttentionMaxWidth;
}

kernels::SegmentAttentionShape segment_attention_shape(const at::Tensor& qkv, int64_t length, int64_t num_heads) {
  return {.segments = length > 0 ? qkv.size(0) / length : 0,
          .length = length,
          .heads = num_heads,
          .width = qkv.size(1) / 3 / num_heads,
          .dtype = qkv.scalar_type() == at::kFloat ? kernels::DType::kF32 : kernels::DType::kBF16};
}

at::Tensor segment_attention(const at::Tensor& qkv, int64_t length, int64_t num_heads) {
  FT_CHECK(qkv.dim() == 2 && qkv.is_contiguous() && num_heads > 0 && qkv.size(1) % (3 * num_heads) == 0 && length > 0 && qkv.size(0) % length == 0, "{} rows in segments of {}, {} heads",
           qkv.size(0), length, num_heads);
  FT_CHECK(attends_segments(qkv, length, num_heads));
  at::RecordFunction observers(at::RecordScope::FUNCTION);
  if (observers.isActive()) {
    const at::Tensor parts = qkv.view({qkv.size(0) / length, length, 3, num_heads, qkv.size(1) / 3 / num_heads}).permute({2, 0, 3, 1, 4});
    const std::vector<c10::IValue> inputs = {parts[0], parts[1], parts[2]};
    observers.before("fettle::scaled_dot_product_attention", c10::ArrayRef<const c10::IValue>(inputs.data(), inputs.size()));
  }
  at::Tensor out = SegmentAttentionFunction::apply(qkv, length, num_heads);
  if (observers.needsOutputs()) observers.setOutputs(std::vector<c10::IValue>{out});
  return out;
}

}  // namespace fettle::ops
