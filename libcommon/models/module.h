#pragma once
// A tree of parameters, buffers and modules under the names that the public Python libraries give them. torch::nn::Module is
// not used: its header costs every file seven seconds of compilation, and its to() makes a float of num_batches_tracked.

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace fettle {

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  bool is_training() const { return training_; }  // true at first
  void train(bool on = true);                     // this module and all below
  void eval() { train(false); }

  using Named = std::vector<std::pair<std::string, at::Tensor>>;
  using Children = std::vector<std::pair<std::string, std::shared_ptr<Module>>>;
  const Named& own_parameters() const { return parameters_; }
  const Named& own_buffers() const { return buffers_; }
  const Children& children() const { return children_; }  // in the order of registration
  Module& child(const std::string& name) const;           // a missing one is our bug

 protected:
  // Each returns what it was given. Names are unique within a module and hold no dot.
  at::Tensor register_parameter(std::string name, at::Tensor tensor);  // requires gradients from now on
  at::Tensor register_buffer(std::string name, at::Tensor tensor);
  template <typename M>
  std::shared_ptr<M> register_module(std::string name, std::shared_ptr<M> module) {
    add_child(std::move(name), module);
    return module;
  }

 private:
  void require_new(const std::string& name) const;
  void add_child(std::string name, std::shared_ptr<Module> module);

  bool training_ = true;
  Named parameters_, buffers_;
  Children children_;
};

// Children under the names "0", "1", ...: torch's Sequential and ModuleList, of which only the names matter here.
class ModuleList : public Module {
 public:
  template <typename M>
  std::shared_ptr<M> append(std::shared_ptr<M> module) {
    return register_module(std::to_string(next_++), std::move(module));
  }
  void skip() { ++next_; }  // a layer without tensors

 private:
  int64_t next_ = 0;
};

// Calls `f` for the module, then for everything below it.
void visit(Module& module, const std::function<void(Module&)>& f);

struct StateEntry {
  std::string name;   // "layer1.0.bn1.running_mean"
  at::Tensor tensor;  // the module's own tensor, not a copy
  bool is_parameter;
};

// The order of Python's state_dict(): own parameters, own buffers, then the children, each in the order of registration.
std::vector<StateEntry> state_dict(const Module& module);

// The same as (name, tensor) pairs: all of it, and the parameters alone.
Module::Named named_tensors(const Module& module);
Module::Named named_parameters(const Module& module);

// Number of elements of all parameters (buffers do not count).
int64_t num_parameters(const Module& module);

// Floating parameters and buffers to `dtype`; integer ones stay.
void convert_floating(Module& module, at::ScalarType dtype);

// Every entry of four dimensions to `format`. Convolutions in channels-last want their weights in it as well.
void convert_memory_format(Module& module, at::MemoryFormat format);

void move_to_device(Module& module, c10::Device device);

}  // namespace fettle
