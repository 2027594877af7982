#include "ops/matrix_products.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <bit>

namespace fettle::ops {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

bool is_onednns(const at::Tensor& x) { return x.is_cpu() && (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16); }

at::Tensor by_onednn(const at::Tensor& x, const at::Tensor& w, const std::optional<at::Tensor>& bias) {
  using Signature = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view, c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto operation = c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Signature>();
  return operation.call(x, w, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
}

class LinearFunction : public torch::autograd::Function<LinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w, const std::optional<at::Tensor>& bias) {
    ctx->save_for_backward({x, w});
    ctx->saved_data["with_bias"] = bias.has_value();
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = w.size(0);
    return product(x.reshape({-1, w.size(1)}), w, bias.value_or(at::Tensor())).view(shape);
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const variable_list saved = ctx->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], d = gradients[0].reshape({-1, w.size(0)});
    variable_list out(3);
    if (ctx->needs_input_grad(0)) out[0] = product(d, w.t()).view(x.sizes());
    if (ctx->needs_input_grad(1)) out[1] = transposed_product(d, x.reshape({-1, w.size(1)}));
    if (ctx->saved_data["with_bias"].toBool() && ctx->needs_input_grad(2)) out[2] = d.sum(at::IntArrayRef{0});
    return out;
  }
};

}  // namespace

int64_t padded_rows(int64_t rows) {
  const auto power = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(rows)));
  const int64_t step = std::max<int64_t>(16, power / 8);
  return (rows + step - 1) / step * step;
}

at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  if (is_onednns(x)) return by_onednn(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
  return bias.defined() ? at::addmm(bias, x, w.t()) : at::mm(x, w.t());
}

at::Tensor transposed_product(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != at::kFloat || !a.is_cpu()) return at::mm(a.t(), b);
  // The product's first matrix has to lie in rows: the narrower one is turned.
  if (a.size(1) <= b.size(1)) return by_onednn(a.t(), b.t(), std::nullopt);
  return by_onednn(b.t(), a.t(), std::nullopt).t();
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  const bool ours = x.is_cpu() && x.scalar_type() == at::kFloat && w.scalar_type() == at::kFloat && x.numel() > 0 && !at::autocast::is_autocast_enabled(at::kCPU);
  if (!ours) return at::linear(x, w, bias);
  return LinearFunction::apply(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
}

}  // namespace fettle::ops
