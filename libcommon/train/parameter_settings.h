#pragma once
// Which parameters train, how fast and with how much decay, by patterns of their names.

#include <string>
#include <vector>

#include "checkpoint/tensors.h"
#include "train/options.h"

namespace fettle {

struct ParameterSetting {
  bool frozen = false;
  double lr_scale = 1;
  double weight_decay = 0;
};

// One a parameter, in their order. Patterns are globs over whole names, '*' matching dots as well ("layer4.*", "*.bias"); of several
// --lr-scale that match, the last counts. Error(kUsage) for a pattern that matches no parameter, and when everything is frozen.
std::vector<ParameterSetting> parameter_settings(const NamedTensors& parameters, const TrainOptions& options);

// "layer4.*=0.1" -> pattern and factor. Error(kUsage).
struct LrScale {
  std::string pattern;
  double factor = 1;
};
LrScale parse_lr_scale(const std::string& text);

}  // namespace fettle
