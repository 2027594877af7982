#include "models/inverted_residual.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/weight_draws.h"

namespace fettle {

InvertedResidual::InvertedResidual(const InvertedResidualOptions& o)
    : has_shortcut_(o.stride == 1 && o.in_channels == o.out_channels), stochastic_depth_(o.stochastic_depth) {
  const auto sequence = register_module(o.mobilenet_v2_names ? "conv" : "block", std::make_shared<ModuleList>());
  const auto layer = [&](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups) {
    return sequence->append(std::make_shared<ConvolutionNorm>(in, out, kernel, stride, o.activation, o.norm, ConvolutionOptions{.groups = groups, .padding = o.padding}));
  };
  if (o.expanded_channels != o.in_channels) expansion_ = layer(o.in_channels, o.expanded_channels, 1, 1, 1);
  depthwise_ = layer(o.expanded_channels, o.expanded_channels, o.kernel, o.stride, o.expanded_channels);
  if (o.squeezed_channels > 0) {
    squeeze_ = sequence->append(std::make_shared<SqueezeExcitation>(o.expanded_channels, o.squeezed_channels, o.squeeze_activation, o.gate));
  }
  const auto projection = o.mobilenet_v2_names ? sequence : sequence->append(std::make_shared<ModuleList>());
  projection_ = projection->append(std::make_shared<Convolution>(o.expanded_channels, o.out_channels, 1, 1));
  projection_norm_ = projection->append(std::make_shared<BatchNorm>(o.out_channels, o.norm));
}

at::Tensor InvertedResidual::forward(const at::Tensor& x) {
  at::Tensor y = depthwise_->forward(expansion_ ? expansion_->forward(x) : x);
  if (squeeze_) y = squeeze_->forward(y);
  y = projection_->forward(y);
  if (!has_shortcut_) return projection_norm_->forward(y);
  if (stochastic_depth_ == 0 || !is_training()) return projection_norm_->forward(y, Activation::kNone, x);
  return stochastic_depth(projection_norm_->forward(y), stochastic_depth_, /*training=*/true).add_(x);
}

void draw_mobile_convolutions(Module& module, uint64_t seed) {
  const WeightDraws draws(seed);
  for (StateEntry& entry : state_dict(module)) {
    const at::Tensor& t = entry.tensor;
    if (t.dim() == 4) draws.normal(entry.name, t, std::sqrt(2 / static_cast<double>(t.size(0) * t.size(2) * t.size(3))));
    if (entry.name.ends_with(".bias")) draws.constant(t, 0);
  }
  reset_batch_norms(module);
}

}  // namespace fettle
