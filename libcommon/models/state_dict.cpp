#include "models/state_dict.h"

namespace fettle {
namespace {

void append(const torch::nn::Module& module, const std::string& prefix, std::vector<StateEntry>& entries) {
  for (const auto& item : module.named_parameters(/*recurse=*/false)) entries.push_back({prefix + item.key(), item.value(), true});
  for (const auto& item : module.named_buffers(/*recurse=*/false)) entries.push_back({prefix + item.key(), item.value(), false});
  for (const auto& item : module.named_children()) append(*item.value(), prefix + item.key() + ".", entries);
}

}  // namespace

std::vector<StateEntry> state_dict(const torch::nn::Module& module) {
  std::vector<StateEntry> entries;
  append(module, "", entries);
  return entries;
}

int64_t num_parameters(const torch::nn::Module& module) {
  int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

void convert_floating(torch::nn::Module& module, at::ScalarType dtype) {
  for (StateEntry& entry : state_dict(module)) {
    if (entry.tensor.is_floating_point()) entry.tensor.set_data(entry.tensor.detach().to(dtype));
  }
}

void convert_memory_format(torch::nn::Module& module, at::MemoryFormat format) {
  for (StateEntry& entry : state_dict(module)) {
    if (entry.tensor.dim() == 4) entry.tensor.set_data(entry.tensor.detach().contiguous(format));
  }
}

}  // namespace fettle
