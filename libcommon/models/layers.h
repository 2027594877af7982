#pragma once
// The layers that networks are made of: LibTorch's operators under the public libraries' tensor names. torch::nn's
// constructors draw weights from the global generator; these start at fixed values, and each network draws its own.

#include "dist/process_group.h"
#include "models/module.h"

namespace fettle {

enum class Activation { kNone, kRelu, kRelu6, kHardswish, kSilu };

// Overwrites x where its backward allows it.
at::Tensor activate(at::Tensor x, Activation activation);

// kTensorflowSame: zeros so that the output has ceil(size / stride) pixels, the odd one below and to the right (timm's
// pad_type "same"). Equal to kSymmetric at stride 1, and at stride 2 on odd sizes. kNone: floor((size - kernel) / stride) + 1.
enum class Padding { kSymmetric, kTensorflowSame, kNone };

// As descriptions spell it: "symmetric" or "same".
Padding padding_named(const std::string& name);

struct ConvolutionOptions {
  int64_t groups = 1;
  bool bias = false;
  Padding padding = Padding::kSymmetric;  // kernel / 2 on every side, the kernel odd
};

// x: [B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)], but for Padding::kNone.
class Convolution : public Module {
 public:
  Convolution(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, const ConvolutionOptions& options = {});
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  // [out, in / groups, kernel, kernel], zeros
  at::Tensor bias;    // [out], zeros; undefined without

 private:
  int64_t stride_;
  int64_t groups_;
  Padding padding_;
};

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;  // weight of the new batch in the running statistics
};

// Batch norm over [B, C, H, W], unbiased running variance. In training mode B * H * W must exceed 1.
class BatchNorm : public Module {
 public:
  explicit BatchNorm(int64_t num_channels, const BatchNormOptions& options = {});
  // activation(norm(x) + residual); an undefined residual is none.
  at::Tensor forward(const at::Tensor& x, Activation activation = Activation::kNone, const at::Tensor& residual = {});
  void reset();  // to what a new one holds
  bool is_folded() const;  // in evaluation it adds its bias, which is not zero, and does nothing else
  void synchronise(const ProcessGroup* group) { group_ = group; }  // statistics over the batches of all its processes

  at::Tensor weight, bias;               // [C], ones and zeros
  at::Tensor running_mean, running_var;  // [C], zeros and ones
  at::Tensor num_batches_tracked;        // [] int64

 private:
  BatchNormOptions options_;
  const ProcessGroup* group_ = nullptr;
};

// x: [..., in] -> [..., out].
class Linear : public Module {
 public:
  Linear(int64_t in_features, int64_t out_features, bool with_bias = true);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  // [out, in], zeros
  at::Tensor bias;    // [out], zeros; undefined without
};

// Over the last dimension: x: [..., C] -> [..., C].
class LayerNorm : public Module {
 public:
  LayerNorm(int64_t num_channels, double eps);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight, bias;  // [C], ones and zeros

 private:
  double eps_;
};

// Squeeze-and-excitation (arXiv 1709.01507): x * gate(fc2(activation(fc1(mean over pixels)))), 1x1 convolutions with bias.
class SqueezeExcitation : public Module {
 public:
  enum class Gate { kSigmoid, kHardsigmoid };
  SqueezeExcitation(int64_t num_channels, int64_t num_squeezed, Activation activation, Gate gate);
  at::Tensor forward(const at::Tensor& x) const;

 private:
  std::shared_ptr<Convolution> fc1_, fc2_;
  Activation activation_;
  Gate gate_;
};

// Convolution ("0"), batch norm ("1"), activation: torchvision's Conv2dNormActivation.
class ConvolutionNorm : public Module {
 public:
  ConvolutionNorm(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride, Activation activation, const BatchNormOptions& norm = {},
                  const ConvolutionOptions& convolution = {});
  at::Tensor forward(const at::Tensor& x);

 private:
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<BatchNorm> norm_;
  Activation activation_;
};

// In training, drops the residual branch y of whole samples with the given probability and scales the kept ones by
// 1 / (1 - probability) (arXiv 1603.09382). Draws from LibTorch's generator.
at::Tensor stochastic_depth(const at::Tensor& y, double probability, bool training);

// channels rounded to a multiple of the divisor, to the nearer one but never below 0.9 of it (the MobileNets' rule).
int64_t round_channels(double channels, int64_t divisor = 8);

// train(on) of the module, but batch norm whose weight does not train, or all of it, keeps to its running statistics.
void set_training_mode(Module& module, bool on, bool freeze_batch_norm);

// How many BatchNorms are the identity but for their bias, as where they were folded into the convolutions before them, and would now
// normalise by the batch instead: another network. Of a module in training mode.
int64_t num_folded_batch_norms_in_training(Module& module);

// Every BatchNorm of the module takes its training statistics from the batches of all processes; the group outlives the module's use.
void synchronise_batch_norms(Module& module, const ProcessGroup& group);

// Running means and variances of the module's BatchNorms that training moves.
std::vector<at::Tensor> moving_statistics(Module& module);

// reset() of every BatchNorm in the module.
void reset_batch_norms(Module& module);

}  // namespace fettle
