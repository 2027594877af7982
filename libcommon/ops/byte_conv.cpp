#include "ops/byte_conv.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "base/errors.h"
#include "device/kernels.h"
#include "kernels/byte_conv/byte_conv.h"

namespace fettle::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Plan {
  kernels::ByteConvShape shape;
  kernels::Device device;
  kernels::Stream stream;
  at::Tensor workspace;
};

Plan plan_of(const ByteFiles& files, int64_t kernel, int64_t stride, int64_t width) {
  Plan plan;
  plan.shape = {.files = static_cast<int64_t>(files.byte_offsets.size()) - 1,
                .bytes = files.bytes.const_data_ptr<uint8_t>(),
                .byte_offsets = files.byte_offsets.data(),
                .token_offsets = files.token_offsets.data(),
                .kernel = kernel,
                .stride = stride,
                .width = width};
  plan.device = kernel_device(files.bytes.device());
  plan.stream = kernel_stream(files.bytes.device());
  plan.workspace = at::empty({kernels::byte_conv_workspace(plan.device, plan.shape)}, at::kFloat);
  return plan;
}

c10::OptionalDeviceGuard guard_of(const at::Tensor& bytes) { return c10::OptionalDeviceGuard(bytes.is_cuda() ? std::optional(bytes.device()) : std::nullopt); }

int64_t most_tokens(const ByteFiles& files) {
  int64_t most = 0;
  for (size_t i = 0; i + 1 < files.token_offsets.size(); ++i) most = std::max(most, files.token_offsets[i + 1] - files.token_offsets[i]);
  return most;
}

class ByteConvFunction : public torch::autograd::Function<ByteConvFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& table, const std::optional<at::Tensor>& positions, const ByteFiles& files, int64_t stride) {
    const c10::OptionalDeviceGuard guard = guard_of(files.bytes);
    const Plan plan = plan_of(files, table.size(1), stride, table.size(2));
    at::Tensor y = at::empty({files.token_offsets.back(), table.size(2)}, table.options());
    check_kernel(kernels::byte_conv_forward(plan.device, plan.shape,
                                            {.table = table.const_data_ptr<float>(),
                                             .positions = positions ? positions->const_data_ptr<float>() : nullptr,
                                             .y = y.mutable_data_ptr<float>(),
                                             .workspace = plan.workspace.mutable_data_ptr<float>()},
                                            plan.stream),
                 "byte_conv");
    ctx->save_for_backward({files.bytes});
    ctx->saved_data["byte_offsets"] = files.byte_offsets;
    ctx->saved_data["token_offsets"] = files.token_offsets;
    ctx->saved_data["kernel"] = table.size(1);
    ctx->saved_data["stride"] = stride;
    ctx->saved_data["num_positions"] = positions ? positions->size(0) : 0;
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const ByteFiles files{ctx->get_saved_variables()[0], ctx->saved_data["byte_offsets"].toIntVector(), ctx->saved_data["token_offsets"].toIntVector()};
    const c10::OptionalDeviceGuard guard = guard_of(files.bytes);
    const at::Tensor dy = gradients[0].contiguous();
    const int64_t kernel = ctx->saved_data["kernel"].toInt(), width = dy.size(1), num_positions = ctx->saved_data["num_positions"].toInt();
    at::Tensor dtable, dpositions;
    if (ctx->needs_input_grad(0)) {
      const Plan plan = plan_of(files, kernel, ctx->saved_data["stride"].toInt(), width);
      dtable = at::empty({256, kernel, width}, dy.options());
      const bool is_half = dy.scalar_type() == at::kBFloat16;
      check_kernel(kernels::byte_conv_backward(plan.device, plan.shape,
                                               {.dy = dy.const_data_ptr(),
                                                .dy_dtype = is_half ? kernels::DType::kBF16 : kernels::DType::kF32,
                                                .dtable = dtable.mutable_data_ptr<float>(),
                                                .workspace = plan.workspace.mutable_data_ptr<float>()},
                                               plan.stream),
                   "byte_conv");
    }
    if (num_positions > 0 && ctx->needs_input_grad(1)) {
      dpositions = at::zeros({num_positions, width}, dy.options());
      for (size_t i = 0; i + 1 < files.token_offsets.size(); ++i) {
        const int64_t first = files.token_offsets[i], count = files.token_offsets[i + 1] - first;
        dpositions.narrow(0, 0, count).add_(dy.narrow(0, first, count));
      }
    }
    return {dtable, dpositions, {}, {}};
  }
};

}  // namespace

at::Tensor byte_conv(const at::Tensor& table, const at::Tensor& positions, const ByteFiles& files, int64_t stride) {
  FT_CHECK(table.dim() == 3 && table.size(0) == 256 && table.scalar_type() == at::kFloat && table.is_contiguous(), "the table is [256, kernel, width] f32");
  FT_CHECK(files.byte_offsets.size() == files.token_offsets.size() && !files.byte_offsets.empty(), "{} offsets of bytes, {} of tokens", files.byte_offsets.size(), files.token_offsets.size());
  FT_CHECK(files.bytes.dim() == 1 && files.bytes.scalar_type() == at::kByte && files.bytes.is_contiguous() && files.bytes.numel() == files.byte_offsets.back() &&
               files.bytes.device() == table.device(),
           "the bytes are u8, as many as the last offset, on the table's device");
  FT_CHECK(!positions.defined() || (positions.dim() == 2 && positions.size(0) >= most_tokens(files) && positions.size(1) == table.size(2) && positions.scalar_type() == at::kFloat &&
                                    positions.is_contiguous() && positions.device() == table.device()),
           "positions are [at least {}, {}] f32", most_tokens(files), table.size(2));
  return ByteConvFunction::apply(table, positions.defined() ? std::optional(positions) : std::nullopt, files, stride);
}

}  // namespace fettle::ops
