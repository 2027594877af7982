#include "train/parameter_settings.h"

#include <fnmatch.h>

#include <algorithm>
#include <functional>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

// Calls f with the setting of each parameter that the pattern matches.
void for_matches(const NamedTensors& parameters, const std::string& flag, const std::string& pattern, const std::function<void(size_t)>& f) {
  bool any = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (fnmatch(pattern.c_str(), parameters[i].first.c_str(), 0) != 0) continue;
    any = true;
    f(i);
  }
  if (any) return;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : parameters) names.push_back(name);
  throw Error(ExitCode::kUsage, fmt::format("{} {}: no parameter has such a name", flag, quote(pattern)), fmt::format("the names run from '{}' to '{}'", names.front(), names.back()));
}

}  // namespace

LrScale parse_lr_scale(const std::string& text) {
  const size_t equals = text.rfind('=');
  LrScale scale;
  FT_REQUIRE_USAGE(equals != std::string::npos && equals > 0 && parse_number(text.substr(equals + 1), scale.factor) && scale.factor > 0,
                   "--lr-scale: expected PATTERN=FACTOR with a factor above 0 ('layer4.*=0.1'), found '{}'", text);
  scale.pattern = text.substr(0, equals);
  return scale;
}

std::vector<ParameterSetting> parameter_settings(const NamedTensors& parameters, const TrainOptions& options) {
  std::vector<ParameterSetting> settings;
  for (const auto& [name, tensor] : parameters) {
    settings.push_back({.weight_decay = tensor.dim() <= 1 ? options.norm_weight_decay.value_or(0) : options.weight_decay});
  }
  for (const std::string& pattern : options.no_weight_decay) for_matches(parameters, "--no-weight-decay", pattern, [&](size_t i) { settings[i].weight_decay = 0; });
  for (const std::string& text : options.lr_scale) {
    const LrScale scale = parse_lr_scale(text);
    for_matches(parameters, "--lr-scale", scale.pattern, [&](size_t i) { settings[i].lr_scale = scale.factor; });
  }
  for (const std::string& pattern : options.freeze) for_matches(parameters, "--freeze", pattern, [&](size_t i) { settings[i].frozen = true; });
  FT_REQUIRE_USAGE(std::any_of(settings.begin(), settings.end(), [](const ParameterSetting& s) { return !s.frozen; }), "--freeze: every parameter is frozen");
  return settings;
}

}  // namespace fettle
