#pragma once
// A module's parameters and buffers by name, in the order of Python's state_dict(), and conversions that LibTorch's own
// Module::to() gets wrong or does not offer.

#include <torch/nn/module.h>

#include <string>
#include <vector>

namespace fettle {

struct StateEntry {
  std::string name;   // "layer1.0.bn1.running_mean"
  at::Tensor tensor;  // the module's own tensor, not a copy
  bool is_parameter;
};

// Module by module: own parameters, own buffers, then the children, each in the order of registration.
std::vector<StateEntry> state_dict(const torch::nn::Module& module);

// Number of elements of all parameters (buffers do not count).
int64_t num_parameters(const torch::nn::Module& module);

// Floating parameters and buffers to `dtype`; integer ones stay (Module::to() would make num_batches_tracked a float).
void convert_floating(torch::nn::Module& module, at::ScalarType dtype);

// Every entry of four dimensions to `format`. Convolutions in channels-last want their weights in it as well.
void convert_memory_format(torch::nn::Module& module, at::MemoryFormat format);

}  // namespace fettle
