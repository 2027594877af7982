#pragma once
// The layers that networks are made of: LibTorch's operators under the public libraries' tensor names. torch::nn's
// constructors draw weights from the global generator; these start at fixed values, and each network draws its own.

#include "models/module.h"

namespace fettle {

// x: [B, in, H, W] -> [B, out, ceil(H / stride), ceil(W / stride)]. Odd kernel, padding kernel / 2, no bias.
class Convolution : public Module {
 public:
  Convolution(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  // [out, in, kernel, kernel], zeros

 private:
  int64_t stride_;
  int64_t padding_;
};

// Batch norm over [B, C, H, W], eps 1e-5, momentum 0.1, unbiased running variance. In training mode B * H * W must exceed 1.
class BatchNorm : public Module {
 public:
  explicit BatchNorm(int64_t num_channels);
  at::Tensor forward(const at::Tensor& x);
  void reset();  // to what a new one holds

  at::Tensor weight, bias;               // [C], ones and zeros
  at::Tensor running_mean, running_var;  // [C], zeros and ones
  at::Tensor num_batches_tracked;        // [] int64
};

// x: [B, in] -> [B, out].
class Linear : public Module {
 public:
  Linear(int64_t in_features, int64_t out_features);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  // [out, in], zeros
  at::Tensor bias;    // [out], zeros
};

// reset() of every BatchNorm in the module.
void reset_batch_norms(Module& module);

}  // namespace fettle
