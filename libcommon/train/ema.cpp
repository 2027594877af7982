#include "train/ema.h"

#include <ATen/ATen.h>

#include <unordered_map>
#include <utility>

#include "base/errors.h"

namespace fettle {

NamedTensors clones(const NamedTensors& tensors) {
  NamedTensors copies;
  for (const auto& [name, tensor] : tensors) copies.emplace_back(name, tensor.detach().clone());
  return copies;
}

void copy_by_name(const NamedTensors& from, const NamedTensors& into, const std::string& what) {
  const at::NoGradGuard no_grad;
  std::unordered_map<std::string, at::Tensor> by_name(from.begin(), from.end());
  FT_REQUIRE(by_name.size() == into.size(), "{}: {} tensors, expected {}", what, by_name.size(), into.size());
  for (const auto& [name, tensor] : into) {
    const auto found = by_name.find(name);
    FT_REQUIRE(found != by_name.end(), "{}: '{}' is missing", what, name);
    FT_REQUIRE(found->second.sizes() == tensor.sizes(), "{}: '{}' has another shape", what, name);
    at::Tensor target = tensor;
    target.copy_(found->second);
  }
}

Ema::Ema(NamedTensors live, double decay) : live_(std::move(live)), average_(clones(live_)), decay_(decay) {}

void Ema::update() {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> averages, values;
  for (size_t i = 0; i < live_.size(); ++i) {
    at::Tensor& average = average_[i].second;
    if (average.is_floating_point()) {
      averages.push_back(average);
      values.push_back(live_[i].second);
    } else {
      average.copy_(live_[i].second);
    }
  }
  at::_foreach_lerp_(averages, values, 1 - decay_);
}

void Ema::swap() {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < live_.size(); ++i) {
    const at::Tensor kept = live_[i].second.clone();
    live_[i].second.copy_(average_[i].second);
    average_[i].second.copy_(kept);
  }
}

void Ema::load(const NamedTensors& saved) { copy_by_name(saved, average_, "the training state's average"); }

}  // namespace fettle
