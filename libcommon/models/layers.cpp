#include "models/layers.h"

#include <ATen/ATen.h>

namespace fettle {

Convolution::Convolution(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride) : stride_(stride), padding_(kernel / 2) {
  weight = register_parameter("weight", at::zeros({out_channels, in_channels, kernel, kernel}));
}

at::Tensor Convolution::forward(const at::Tensor& x) const {
  return at::conv2d(x, weight, /*bias=*/{}, {stride_, stride_}, {padding_, padding_});
}

BatchNorm::BatchNorm(int64_t num_channels) {
  weight = register_parameter("weight", at::ones({num_channels}));
  bias = register_parameter("bias", at::zeros({num_channels}));
  running_mean = register_buffer("running_mean", at::zeros({num_channels}));
  running_var = register_buffer("running_var", at::ones({num_channels}));
  num_batches_tracked = register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

at::Tensor BatchNorm::forward(const at::Tensor& x) {
  if (is_training()) num_batches_tracked += 1;
  return at::batch_norm(x, weight, bias, running_mean, running_var, is_training(), /*momentum=*/0.1, /*eps=*/1e-5, /*cudnn_enabled=*/true);
}

void BatchNorm::reset() {
  const at::NoGradGuard no_grad;
  weight.fill_(1);
  bias.zero_();
  running_mean.zero_();
  running_var.fill_(1);
  num_batches_tracked.zero_();
}

void reset_batch_norms(Module& module) {
  visit(module, [](Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm*>(&m)) norm->reset();
  });
}

Linear::Linear(int64_t in_features, int64_t out_features) {
  weight = register_parameter("weight", at::zeros({out_features, in_features}));
  bias = register_parameter("bias", at::zeros({out_features}));
}

at::Tensor Linear::forward(const at::Tensor& x) const { return at::linear(x, weight, bias); }

}  // namespace fettle
