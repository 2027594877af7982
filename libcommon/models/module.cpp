#include "models/module.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/errors.h"

namespace fettle {
namespace {

void append(const Module& module, const std::string& prefix, std::vector<StateEntry>& entries) {
  for (const auto& [name, tensor] : module.own_parameters()) entries.push_back({prefix + name, tensor, true});
  for (const auto& [name, tensor] : module.own_buffers()) entries.push_back({prefix + name, tensor, false});
  for (const auto& [name, child] : module.children()) append(*child, prefix + name + ".", entries);
}

}  // namespace

void Module::train(bool on) {
  training_ = on;
  for (const auto& [name, child] : children_) child->train(on);
}

Module& Module::child(const std::string& name) const {
  const auto found = std::find_if(children_.begin(), children_.end(), [&](const auto& entry) { return entry.first == name; });
  FT_CHECK(found != children_.end(), "no module '{}'", name);
  return *found->second;
}

void Module::require_new(const std::string& name) const {
  const auto same = [&](const auto& entry) { return entry.first == name; };
  FT_CHECK(!name.empty() && name.find('.') == std::string::npos, "'{}' is no name", name);
  FT_CHECK(std::none_of(parameters_.begin(), parameters_.end(), same) && std::none_of(buffers_.begin(), buffers_.end(), same) &&
               std::none_of(children_.begin(), children_.end(), same),
           "'{}' is registered twice", name);
}

at::Tensor Module::register_parameter(std::string name, at::Tensor tensor) {
  require_new(name);
  tensor.requires_grad_(true);
  return parameters_.emplace_back(std::move(name), std::move(tensor)).second;
}

at::Tensor Module::register_buffer(std::string name, at::Tensor tensor) {
  require_new(name);
  return buffers_.emplace_back(std::move(name), std::move(tensor)).second;
}

void Module::add_child(std::string name, std::shared_ptr<Module> module) {
  require_new(name);
  FT_CHECK(module != nullptr);
  children_.emplace_back(std::move(name), std::move(module));
}

void visit(Module& module, const std::function<void(Module&)>& f) {
  f(module);
  for (const auto& [name, child] : module.children()) visit(*child, f);
}

std::vector<StateEntry> state_dict(const Module& module) {
  std::vector<StateEntry> entries;
  append(module, "", entries);
  return entries;
}

Module::Named named_tensors(const Module& module) {
  Module::Named tensors;
  for (const StateEntry& entry : state_dict(module)) tensors.emplace_back(entry.name, entry.tensor);
  return tensors;
}

Module::Named named_parameters(const Module& module) {
  Module::Named parameters;
  for (const StateEntry& entry : state_dict(module)) {
    if (entry.is_parameter) parameters.emplace_back(entry.name, entry.tensor);
  }
  return parameters;
}

int64_t num_parameters(const Module& module) {
  int64_t count = 0;
  for (const auto& [name, parameter] : named_parameters(module)) count += parameter.numel();
  return count;
}

void convert_floating(Module& module, at::ScalarType dtype) {
  for (StateEntry& entry : state_dict(module)) {
    if (entry.tensor.is_floating_point()) entry.tensor.set_data(entry.tensor.detach().to(dtype));
  }
}

void convert_memory_format(Module& module, at::MemoryFormat format) {
  for (StateEntry& entry : state_dict(module)) {
    if (entry.tensor.dim() == 4) entry.tensor.set_data(entry.tensor.detach().contiguous(format));
  }
}

void move_to_device(Module& module, c10::Device device) {
  for (StateEntry& entry : state_dict(module)) entry.tensor.set_data(entry.tensor.detach().to(device));
}

}  // namespace fettle
