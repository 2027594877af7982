#include "models/layers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "ops/matrix_products.h"
#include "ops/norm_act.h"

namespace fettle {

at::Tensor activate(at::Tensor x, Activation activation) {
  switch (activation) {
    case Activation::kNone: return x;
    case Activation::kRelu: return x.relu_();
    case Activation::kRelu6: return at::hardtanh_(x, 0, 6);
    case Activation::kHardswish: return at::hardswish(x);
    case Activation::kSilu: return at::silu(x);
  }
  FT_CHECK(false, "activation {}", static_cast<int>(activation));
}

Padding padding_named(const std::string& name) {
  FT_CHECK(name == "symmetric" || name == "same", "{}", name);
  return name == "same" ? Padding::kTensorflowSame : Padding::kSymmetric;
}

Convolution::Convolution(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, const ConvolutionOptions& options)
    : stride_(stride), groups_(options.groups), padding_(options.padding) {
  FT_CHECK(in_channels % groups_ == 0 && out_channels % groups_ == 0, "{} and {} channels in {} groups", in_channels, out_channels, groups_);
  weight = register_parameter("weight", at::zeros({out_channels, in_channels / groups_, kernel, kernel}));
  if (options.bias) bias = register_parameter("bias", at::zeros({out_channels}));
}

namespace {

// The taps of a kernel that meet pixels of an image this small, along one side; the others meet padding alone.
struct Taps {
  int64_t first, count;
  int64_t padding;  // on both sides, of a kernel of these taps
};

Taps used_taps(int64_t size, int64_t kernel, int64_t stride, int64_t padding) {
  const int64_t last_start = (size + 2 * padding - kernel) / stride * stride - padding;
  const int64_t first = std::clamp<int64_t>(-last_start, 0, padding), end = std::min(kernel, size + padding);
  const int64_t before = padding - first, after = std::max<int64_t>(0, last_start + end - size);
  return before == after ? Taps{first, end - first, before} : Taps{0, kernel, padding};
}

}  // namespace

at::Tensor Convolution::forward(const at::Tensor& x) const {
  const int64_t kernel = weight.size(2);
  const auto convolve = [&](const at::Tensor& input, int64_t padding) {
    // A 3x3 kernel on a single pixel is its middle tap: of the last stage of a ResNet on small images eight ninths of the weights, which
    // would be cast, reordered and multiplied by zeros.
    const Taps rows = used_taps(input.size(2), kernel, stride_, padding), columns = used_taps(input.size(3), kernel, stride_, padding);
    at::Tensor taps = weight;
    if (rows.count < kernel) taps = taps.narrow(2, rows.first, rows.count);
    if (columns.count < kernel) taps = taps.narrow(3, columns.first, columns.count);
    return at::conv2d(input, taps, bias, {stride_, stride_}, {rows.padding, columns.padding}, {1, 1}, groups_);
  };
  if (padding_ == Padding::kNone) return convolve(x, 0);
  if (padding_ == Padding::kSymmetric || stride_ == 1) return convolve(x, kernel / 2);
  const auto missing = [&](int64_t size) { return std::max<int64_t>(((size + stride_ - 1) / stride_ - 1) * stride_ + kernel - size, 0); };
  const int64_t rows = missing(x.size(2)), columns = missing(x.size(3));
  if (rows == columns && rows % 2 == 0) return convolve(x, rows / 2);
  return convolve(at::constant_pad_nd(x, {columns / 2, columns - columns / 2, rows / 2, rows - rows / 2}), 0);
}

BatchNorm::BatchNorm(int64_t num_channels, const BatchNormOptions& options) : options_(options) {
  weight = register_parameter("weight", at::ones({num_channels}));
  bias = register_parameter("bias", at::zeros({num_channels}));
  running_mean = register_buffer("running_mean", at::zeros({num_channels}));
  running_var = register_buffer("running_var", at::ones({num_channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

namespace {

constexpr double kFoldedTolerance = 1e-3;  // whoever folded may have used another eps, up to TensorFlow's 1e-3

kernels::NormActivation norm_activation(Activation activation) {
  switch (activation) {
    case Activation::kRelu: return kernels::NormActivation::kRelu;
    case Activation::kRelu6: return kernels::NormActivation::kRelu6;
    case Activation::kHardswish: return kernels::NormActivation::kHardswish;
    default: return kernels::NormActivation::kNone;
  }
}

}  // namespace

at::Tensor BatchNorm::forward(const at::Tensor& x, Activation activation, const at::Tensor& residual) {
  if (is_training()) num_batches_tracked += 1;
  const kernels::NormActivation fused = norm_activation(activation);
  if (group_ != nullptr && !ops::norm_act_takes(x, residual, fused)) {
    const ops::NormAct settings{is_training(), options_.momentum, options_.eps, kernels::NormActivation::kNone, group_};
    at::Tensor y = ops::norm_act(settings, x.contiguous(at::MemoryFormat::ChannelsLast), weight, bias, running_mean, running_var);
    return activate(residual.defined() ? y + residual : y, activation);
  }
  if (ops::norm_act_takes(x, residual, fused)) {
    const ops::NormAct settings{is_training(), options_.momentum, options_.eps, fused, group_};
    const at::Tensor y = ops::norm_act(settings, x, weight, bias, running_mean, running_var, residual);
    return activation == Activation::kSilu ? activate(y, activation) : y;
  }
  at::Tensor y = at::batch_norm(x, weight, bias, running_mean, running_var, is_training(), options_.momentum, options_.eps, /*cudnn_enabled=*/true);
  if (residual.defined()) y.add_(residual);
  return activate(y, activation);
}

void BatchNorm::reset() {
  const at::NoGradGuard no_grad;
  weight.fill_(1);
  bias.zero_();
  running_mean.zero_();
  running_var.fill_(1);
  num_batches_tracked.zero_();
}

bool BatchNorm::is_folded() const {
  const at::NoGradGuard no_grad;
  const at::Tensor scale = weight.to(at::kDouble) / (running_var.to(at::kDouble) + options_.eps).sqrt();
  return at::allclose(scale, at::ones_like(scale), /*rtol=*/0, kFoldedTolerance) && running_mean.eq(0).all().item<bool>() && bias.ne(0).any().item<bool>();
}

void set_training_mode(Module& module, bool on, bool freeze_batch_norm) {
  module.train(on);
  visit(module, [&](Module& m) {
    const auto* norm = dynamic_cast<BatchNorm*>(&m);
    if (norm != nullptr && (freeze_batch_norm || !norm->weight.requires_grad())) m.eval();
  });
}

int64_t num_folded_batch_norms_in_training(Module& module) {
  int64_t count = 0;
  visit(module, [&](Module& m) {
    const auto* norm = dynamic_cast<BatchNorm*>(&m);
    count += norm != nullptr && norm->is_training() && norm->is_folded();
  });
  return count;
}

void synchronise_batch_norms(Module& module, const ProcessGroup& group) {
  visit(module, [&](Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm*>(&m)) norm->synchronise(&group);
  });
}

std::vector<at::Tensor> moving_statistics(Module& module) {
  std::vector<at::Tensor> statistics;
  visit(module, [&](Module& m) {
    const auto* norm = dynamic_cast<BatchNorm*>(&m);
    if (norm != nullptr && norm->is_training()) statistics.insert(statistics.end(), {norm->running_mean, norm->running_var});
  });
  return statistics;
}

void reset_batch_norms(Module& module) {
  visit(module, [](Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm*>(&m)) norm->reset();
  });
}

Linear::Linear(int64_t in_features, int64_t out_features, bool with_bias) {
  weight = register_parameter("weight", at::zeros({out_features, in_features}));
  if (with_bias) bias = register_parameter("bias", at::zeros({out_features}));
}

at::Tensor Linear::forward(const at::Tensor& x) const { return ops::linear(x, weight, bias); }

LayerNorm::LayerNorm(int64_t num_channels, double eps) : eps_(eps) {
  weight = register_parameter("weight", at::ones({num_channels}));
  bias = register_parameter("bias", at::zeros({num_channels}));
}

at::Tensor LayerNorm::forward(const at::Tensor& x) const { return at::layer_norm(x, weight.sizes(), weight, bias, eps_); }

SqueezeExcitation::SqueezeExcitation(int64_t num_channels, int64_t num_squeezed, Activation activation, Gate gate)
    : fc1_(register_module("fc1", std::make_shared<Convolution>(num_channels, num_squeezed, 1, 1, ConvolutionOptions{.bias = true}))),
      fc2_(register_module("fc2", std::make_shared<Convolution>(num_squeezed, num_channels, 1, 1, ConvolutionOptions{.bias = true}))),
      activation_(activation),
      gate_(gate) {}

at::Tensor SqueezeExcitation::forward(const at::Tensor& x) const {
  const at::Tensor y = fc2_->forward(activate(fc1_->forward(x.mean({2, 3}, /*keepdim=*/true)), activation_));
  return x * (gate_ == Gate::kSigmoid ? at::sigmoid(y) : at::hardsigmoid(y));
}

ConvolutionNorm::ConvolutionNorm(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, Activation activation, const BatchNormOptions& norm,
                                 const ConvolutionOptions& convolution)
    : convolution_(register_module("0", std::make_shared<Convolution>(in_channels, out_channels, kernel, stride, convolution))),
      norm_(register_module("1", std::make_shared<BatchNorm>(out_channels, norm))),
      activation_(activation) {}

at::Tensor ConvolutionNorm::forward(const at::Tensor& x) { return norm_->forward(convolution_->forward(x), activation_); }

at::Tensor stochastic_depth(const at::Tensor& y, double probability, bool training) {
  if (!training || probability == 0) return y;
  std::vector<int64_t> shape(static_cast<size_t>(y.dim()), 1);
  shape[0] = y.size(0);
  return y * at::empty(shape, y.options()).bernoulli_(1 - probability).div_(1 - probability);
}

int64_t round_channels(double channels, int64_t divisor) {
  const int64_t rounded = std::max(divisor, static_cast<int64_t>(channels + static_cast<double>(divisor) / 2) / divisor * divisor);
  return static_cast<double>(rounded) < 0.9 * channels ? rounded + divisor : rounded;
}

}  // namespace fettle
