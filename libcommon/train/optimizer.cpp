#include "train/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "base/errors.h"

namespace fettle {

at::Tensor with_layout_of(const at::Tensor& tensor, const at::Tensor& like) {
  bool same = true;
  for (int64_t d = 0; d < like.dim(); ++d) same = same && (like.size(d) <= 1 || tensor.stride(d) == like.stride(d));
  return same ? tensor : at::empty_like(like, tensor.options()).copy_(tensor);
}

Optimizer::Optimizer(const NamedTensors& parameters, const std::vector<ParameterSetting>& settings, const OptimizerOptions& options) : options_(options) {
  const at::NoGradGuard no_grad;
  FT_CHECK(parameters.size() == settings.size(), "{} parameters, {} settings", parameters.size(), settings.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, parameter] = parameters[i];
    const ParameterSetting& setting = settings[i];
    if (setting.frozen) {
      at::Tensor(parameter).requires_grad_(false);
      continue;
    }
    const auto same = [&](const Group& group) { return group.weight_decay == setting.weight_decay && group.lr_scale == setting.lr_scale; };
    auto group = std::find_if(groups_.begin(), groups_.end(), same);
    if (group == groups_.end()) group = groups_.insert(group, {setting.weight_decay, setting.lr_scale, {}});
    group->members.push_back(parameters_.size());
    parameters_.emplace_back(name, parameter);
    first_.push_back(at::zeros_like(parameter));
    if (options.kind != OptimizerOptions::Kind::kAdamW) continue;
    second_.push_back(at::zeros_like(parameter));
    steps_.push_back(at::zeros({}, parameter.options().dtype(at::kFloat)));
  }
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
}

void Optimizer::step(double lr) {
  const at::NoGradGuard no_grad;
  for (const Group& group : groups_) {
    std::vector<at::Tensor> weights, gradients, first, second, steps;
    for (const size_t i : group.members) {
      const at::Tensor& weight = parameters_[i].second;
      if (!weight.grad().defined()) continue;
      weights.push_back(weight);
      gradients.push_back(with_layout_of(weight.grad(), weight));
      first.push_back(first_[i]);
      if (options_.kind != OptimizerOptions::Kind::kAdamW) continue;
      second.push_back(second_[i]);
      steps.push_back(steps_[i]);
    }
    if (weights.empty()) continue;
    const double group_lr = lr * group.lr_scale;
    if (options_.kind == OptimizerOptions::Kind::kAdamW) {
      at::_foreach_add_(steps, 1);
      at::_fused_adamw_(weights, gradients, first, second, /*max_exp_avg_sqs=*/{}, steps, group_lr, options_.beta1, options_.beta2, group.weight_decay,
                        options_.eps, /*amsgrad=*/false, /*maximize=*/false);
    } else {
      // Buffers start at zero, so that the first step is like any other: 0 * momentum + gradient.
      // Without momentum the kernel insists on no buffers at all.
      const bool plain = options_.momentum == 0;
      if (plain) first.clear();
      at::_fused_sgd_(weights, gradients, first, group.weight_decay, options_.momentum, group_lr, /*dampening=*/0, options_.nesterov && !plain,
                      /*maximize=*/false, /*is_first_step=*/false);
    }
  }
}

NamedTensors Optimizer::state() const {
  NamedTensors state;
  const bool adam = options_.kind == OptimizerOptions::Kind::kAdamW;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back((adam ? "first_moment/" : "momentum/") + parameters_[i].first, first_[i]);
    if (!adam) continue;
    state.emplace_back("second_moment/" + parameters_[i].first, second_[i]);
    state.emplace_back("step/" + parameters_[i].first, steps_[i]);
  }
  return state;
}

void Optimizer::load_state(const NamedTensors& saved) {
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : state()) {
    const auto found = std::find_if(saved.begin(), saved.end(), [&, n = name](const auto& entry) { return entry.first == n; });
    FT_REQUIRE(found != saved.end(), "the training state has no optimiser tensor '{}'", name);
    FT_REQUIRE(found->second.sizes() == tensor.sizes(), "the training state's '{}' has another shape than its weight", name);
    at::Tensor target = tensor;
    target.copy_(found->second);  // into the layout of the weight
  }
}

}  // namespace fettle
