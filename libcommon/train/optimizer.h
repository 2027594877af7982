#pragma once
// SGD (momentum, Nesterov) and AdamW on LibTorch's fused kernels: one pass over each weight, gradient and state.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "checkpoint/tensors.h"
#include "train/parameter_settings.h"

namespace fettle {

struct OptimizerOptions {
  enum class Kind { kSgd, kAdamW } kind = Kind::kSgd;
  bool nesterov = false;
  double momentum = 0.9;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // AdamW
};

class Optimizer {
 public:
  // `parameters`: leaves, named, with a setting each; frozen ones are left out and require no gradient from now on. Order and names
  // decide the names of the state.
  Optimizer(const NamedTensors& parameters, const std::vector<ParameterSetting>& settings, const OptimizerOptions& options);

  // One update at this learning rate, times each parameter's own factor, with the parameters' .grad(); a parameter without one is left alone.
  void step(double lr);
  void zero_grad();  // drops the gradients

  // Momentum buffers and moments, "momentum/conv1.weight": the live tensors, for saving.
  NamedTensors state() const;
  // Replaces them. Error(kInput) when a name is missing or a shape differs. The memory format of each is brought in line
  // with its weight: the fused kernels walk weight, gradient and state side by side and would give wrong numbers otherwise.
  void load_state(const NamedTensors& saved);

  const NamedTensors& parameters() const { return parameters_; }  // those that train

 private:
  struct Group {
    double weight_decay = 0, lr_scale = 1;
    std::vector<size_t> members;
  };

  NamedTensors parameters_;
  OptimizerOptions options_;
  std::vector<Group> groups_;
  std::vector<at::Tensor> first_, second_, steps_;  // momentum or first moment; second moment; AdamW's step counts
};

// `tensor` with the strides of `like` (same sizes): itself when they agree where a dimension is larger than 1, a copy otherwise.
at::Tensor with_layout_of(const at::Tensor& tensor, const at::Tensor& like);

}  // namespace fettle
