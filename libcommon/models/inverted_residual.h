#pragma once
// The block of MobileNetV2, MobileNetV3 and EfficientNet (arXiv 1801.04381): 1x1 expansion, depthwise convolution,
// squeeze-and-excitation, 1x1 projection without activation, and the input added where shapes agree.

#include "models/layers.h"

namespace fettle {

struct InvertedResidualOptions {
  int64_t in_channels = 0, expanded_channels = 0, out_channels = 0;  // no expansion layer when the first two are equal
  int64_t kernel = 3, stride = 1;
  Activation activation = Activation::kRelu6;
  int64_t squeezed_channels = 0;  // 0: no squeeze-and-excitation
  Activation squeeze_activation = Activation::kRelu;
  SqueezeExcitation::Gate gate = SqueezeExcitation::Gate::kSigmoid;
  BatchNormOptions norm;
  Padding padding = Padding::kSymmetric;
  double stochastic_depth = 0;  // probability of dropping the branch
  // torchvision's names: "block" with the projection as .N.0 and .N.1, or MobileNetV2's "conv" with .N and .N+1.
  bool mobilenet_v2_names = false;
};

class InvertedResidual : public Module {
 public:
  explicit InvertedResidual(const InvertedResidualOptions& options);
  at::Tensor forward(const at::Tensor& x);

 private:
  std::shared_ptr<ConvolutionNorm> expansion_, depthwise_;  // the first may be missing
  std::shared_ptr<SqueezeExcitation> squeeze_;              // may be missing
  std::shared_ptr<Convolution> projection_;
  std::shared_ptr<BatchNorm> projection_norm_;
  bool has_shortcut_;
  double stochastic_depth_;
};

// Convolutions normal with deviation sqrt(2 / (kernel^2 * out)), their biases zero, batch norm 1 and 0: what torchvision's
// three networks have in common. Linear layers are left alone.
void draw_mobile_convolutions(Module& module, uint64_t seed);

}  // namespace fettle
