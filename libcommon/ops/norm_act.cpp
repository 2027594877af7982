#include "ops/norm_act.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "device/kernels.h"

namespace fettle::ops {
namespace {

using kernels::NormActivation;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

kernels::DType kernel_dtype(at::ScalarType type) { return type == at::kBFloat16 ? kernels::DType::kBF16 : type == at::kDouble ? kernels::DType::kF64 : kernels::DType::kF32; }

kernels::NormActShape shape_of(const at::Tensor& x, NormActivation activation) {
  kernels::NormActShape shape;
  shape.channels = x.size(1);
  shape.rows = x.numel() / x.size(1);
  shape.dtype = kernel_dtype(x.scalar_type());
  shape.activation = activation;
  return shape;
}

at::Tensor workspace_of(const kernels::NormActShape& shape) { return at::empty({kernels::norm_act_workspace(shape)}, at::kDouble); }

void check(kernels::Status status) { check_kernel(status, "norm_act"); }

// What a forward pass leaves for the backward one, [4, C] in the weight's type.
enum AffineRow : int64_t { kMean, kInvStd, kScale, kShift, kAffineRows };

// Values a channel of all processes of the group, after the sums of each are added in place. sums: [2 C + 1], the last one is for the count.
double add_up(const ProcessGroup* group, const at::Tensor& sums, int64_t rows) {
  if (group == nullptr) return static_cast<double>(rows);
  double& count = sums.mutable_data_ptr<double>()[sums.numel() - 1];
  count = static_cast<double>(rows);
  group->sum(sums);
  return count;
}

struct RunningStatistics {
  at::Tensor mean, var;  // [C]
};

// Calls f with the type of numbers a channel.
template <class F>
void by_type(const at::Tensor& numbers, const F& f) {
  numbers.scalar_type() == at::kDouble ? f(double{}) : f(float{});
}

// Statistics of the batch, which also move the running ones, or the running ones.
at::Tensor affine_of(const NormAct& settings, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const RunningStatistics& running) {
  const kernels::NormActShape shape = shape_of(x, settings.activation);
  at::Tensor sums;
  auto count = static_cast<double>(shape.rows);
  if (settings.batch_statistics) {
    sums = at::empty({2 * shape.channels + 1}, at::kDouble);
    const at::Tensor workspace = workspace_of(shape);
    check(kernels::norm_act_sums({}, shape, {x.const_data_ptr(), sums.mutable_data_ptr<double>(), workspace.mutable_data_ptr<double>()}, {}));
    count = add_up(settings.group, sums, shape.rows);
    FT_CHECK(count > 1, "batch statistics of {} values a channel", count);
  }
  const at::Tensor affine = at::empty({kAffineRows, shape.channels}, weight.options().requires_grad(false));
  by_type(weight, [&](auto type) {
    using P = decltype(type);
    const P *w = weight.const_data_ptr<P>(), *b = bias.const_data_ptr<P>();
    P *mean_of = running.mean.mutable_data_ptr<P>(), *variance_of = running.var.mutable_data_ptr<P>(), *to = affine.mutable_data_ptr<P>();
    for (int64_t c = 0; c < shape.channels; ++c) {
      double mean = mean_of[c], variance = variance_of[c];
      if (settings.batch_statistics) {
        const double* sum = sums.const_data_ptr<double>();
        const double m = settings.momentum;
        const double batch_mean = sum[c] / count, batch_variance = std::max(0.0, sum[shape.channels + c] / count - batch_mean * batch_mean);
        mean_of[c] = static_cast<P>((1 - m) * mean + m * batch_mean);
        variance_of[c] = static_cast<P>((1 - m) * variance + m * batch_variance * (count / (count - 1)));
        mean = batch_mean;
        variance = batch_variance;
      }
      const double inv_std = 1 / std::sqrt(variance + settings.eps), scale = w[c] * inv_std;
      to[kMean * shape.channels + c] = static_cast<P>(mean);
      to[kInvStd * shape.channels + c] = static_cast<P>(inv_std);
      to[kScale * shape.channels + c] = static_cast<P>(scale);
      to[kShift * shape.channels + c] = static_cast<P>(b[c] - mean * scale);
    }
  });
  return affine;
}

// [4, C]: the weight's and bias's gradients; slope and offset of dx.
enum GradientRow : int64_t { kDWeight, kDBias, kSlope, kOffset, kGradientRows };

// own: the sums of this process, whose share of the weight's and bias's gradients this is; all: those of the whole batch of `count` values.
at::Tensor channel_gradients(const at::Tensor& affine, const at::Tensor& own, const at::Tensor& all, double count) {
  const int64_t channels = affine.size(1);
  at::Tensor gradients = at::empty({kGradientRows, channels}, affine.options());
  by_type(affine, [&](auto type) {
    using P = decltype(type);
    const P* of = affine.const_data_ptr<P>();
    const double *own_sum = own.const_data_ptr<double>(), *all_sum = all.const_data_ptr<double>();
    P* to = gradients.mutable_data_ptr<P>();
    for (int64_t c = 0; c < channels; ++c) {
      const double mean = of[kMean * channels + c], inv_std = of[kInvStd * channels + c], share = of[kScale * channels + c] / -count;
      const auto dweight = [&](const double* sum) { return (sum[channels + c] - mean * sum[c]) * inv_std; };
      to[kDWeight * channels + c] = static_cast<P>(dweight(own_sum));
      to[kDBias * channels + c] = static_cast<P>(own_sum[c]);
      to[kSlope * channels + c] = static_cast<P>(share * inv_std * dweight(all_sum));
      to[kOffset * channels + c] = static_cast<P>(share * all_sum[c]);
    }
  });
  return gradients;
}

const void* row(const at::Tensor& table, int64_t index) { return static_cast<const char*>(table.const_data_ptr()) + index * table.size(1) * static_cast<int64_t>(table.element_size()); }

class NormActFunction : public torch::autograd::Function<NormActFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const std::optional<at::Tensor>& residual,
                            const RunningStatistics& running, const NormAct& settings) {
    const kernels::NormActShape shape = shape_of(x, settings.activation);
    const at::Tensor affine = affine_of(settings, x, weight, bias, running);
    at::Tensor y = at::empty_like(x);
    const void* added = residual ? residual->const_data_ptr() : nullptr;
    check(kernels::norm_act_forward({}, shape, {x.const_data_ptr(), added, row(affine, kScale), row(affine, kShift), y.mutable_data_ptr()}, {}));
    const bool needs_y = residual && settings.activation != NormActivation::kNone;
    ctx->save_for_backward({x, needs_y ? y : at::Tensor(), affine});
    ctx->saved_data["activation"] = static_cast<int64_t>(settings.activation);
    ctx->saved_data["batch_statistics"] = settings.batch_statistics;
    ctx->saved_data["residual"] = residual.has_value();
    ctx->saved_data["group"] = static_cast<int64_t>(reinterpret_cast<intptr_t>(settings.batch_statistics ? settings.group : nullptr));
    return y;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &y = saved[1], &affine = saved[2];
    const bool has_residual = ctx->saved_data["residual"].toBool();
    kernels::NormActShape shape = shape_of(x, static_cast<NormActivation>(ctx->saved_data["activation"].toInt()));
    const at::Tensor dy = gradients[0].to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    // The masked gradient is the residual's; without an activation that is dy itself.
    const bool is_masked = shape.activation != NormActivation::kNone;
    const at::Tensor g = has_residual && is_masked ? at::empty_like(x) : at::Tensor();
    const at::Tensor sums = at::empty({2 * shape.channels + 1}, at::kDouble), workspace = workspace_of(shape);
    check(kernels::norm_act_gradient_sums({}, shape,
                                          {.dy = dy.const_data_ptr(),
                                           .x = x.const_data_ptr(),
                                           .y = y.defined() ? y.const_data_ptr() : nullptr,
                                           .scale = row(affine, kScale),
                                           .shift = row(affine, kShift),
                                           .g = g.defined() ? g.mutable_data_ptr() : nullptr,
                                           .sums = sums.mutable_data_ptr<double>(),
                                           .workspace = workspace.mutable_data_ptr<double>()},
                                          {}));
    const auto* group = reinterpret_cast<const ProcessGroup*>(static_cast<intptr_t>(ctx->saved_data["group"].toInt()));
    const at::Tensor all = group == nullptr ? sums : sums.clone();
    const double count = add_up(group, all, shape.rows);
    const at::Tensor channels = channel_gradients(affine, sums, all, count);
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = at::empty_like(x);
      const bool of_batch = ctx->saved_data["batch_statistics"].toBool();
      if (g.defined()) shape.activation = NormActivation::kNone;
      check(kernels::norm_act_backward({}, shape,
                                       {.dy = g.defined() ? g.const_data_ptr() : dy.const_data_ptr(),
                                        .x = x.const_data_ptr(),
                                        .scale = row(affine, kScale),
                                        .shift = row(affine, kShift),
                                        .mean = of_batch ? row(affine, kMean) : nullptr,
                                        .slope = of_batch ? row(channels, kSlope) : nullptr,
                                        .offset = of_batch ? row(channels, kOffset) : nullptr,
                                        .dx = dx.mutable_data_ptr()},
                                       {}));
    }
    const at::Tensor dresidual = !has_residual ? at::Tensor() : is_masked ? g : dy;
    return {dx, channels[kDWeight], channels[kDBias], dresidual, {}, {}};
  }
};

}  // namespace

bool norm_act_takes(const at::Tensor& x, const at::Tensor& residual, NormActivation activation) {
  const auto type = x.scalar_type();
  if (!x.is_cpu() || x.dim() != 4 || x.numel() == 0 || !x.is_contiguous(at::MemoryFormat::ChannelsLast)) return false;
  if (type != at::kFloat && type != at::kBFloat16 && type != at::kDouble) return false;
  if (!residual.defined()) return true;
  return activation != NormActivation::kHardswish && residual.is_cpu() && residual.scalar_type() == type && residual.sizes() == x.sizes() &&
         residual.is_contiguous(at::MemoryFormat::ChannelsLast);
}

at::Tensor norm_act(const NormAct& settings, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& running_mean,
                    const at::Tensor& running_var, const at::Tensor& residual) {
  FT_CHECK(norm_act_takes(x, residual, settings.activation), "norm_act takes channels-last tensors of one type on the CPU");
  const at::ScalarType type = x.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  for (const at::Tensor& numbers : {weight, bias, running_mean, running_var}) {
    FT_CHECK(numbers.dim() == 1 && numbers.size(0) == x.size(1) && numbers.scalar_type() == type && numbers.is_cpu() && numbers.is_contiguous(),
             "norm_act needs [{}] numbers of type {}", x.size(1), c10::toString(type));
  }
  return NormActFunction::apply(x, weight, bias, residual.defined() ? std::optional(residual) : std::nullopt, RunningStatistics{running_mean, running_var}, settings);
}

}  // namespace fettle::ops
