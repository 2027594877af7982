#include "inspect-artifact/metric_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/human.h"
#include "base/text.h"

namespace fettle::inspect_artifact {
namespace {

enum class Unit { kNone, kPercent, kDuration, kBytes, kOperations };

Unit unit_of(std::string_view name) {
  if (name.find("multiply_adds") != std::string_view::npos || name.ends_with("_flops")) return Unit::kOperations;
  if (name.ends_with("_bytes")) return Unit::kBytes;
  if (name.ends_with("_s") && !name.ends_with("_per_s")) return Unit::kDuration;
  if (name.find("percent") != std::string_view::npos) return Unit::kPercent;
  return Unit::kNone;
}

bool is_whole(double value) { return value == std::floor(value) && std::abs(value) < 1e15; }
bool is_small_or_huge(double value) { return value != 0 && (std::abs(value) < 1e-3 || std::abs(value) >= 1e6); }

}  // namespace

std::optional<SizedName> parse_sized_name(const std::string& name) {
  const size_t at = name.rfind("_at_");
  if (at == std::string::npos || at == 0) return std::nullopt;
  SizedName sized{name.substr(0, at), 0};
  const char* const end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + at + 4, end, sized.size);
  if (error != std::errc() || stop != end || sized.size < 0) return std::nullopt;
  return sized;
}

SplitMetrics split_metrics(const nlohmann::json& metrics) {
  SplitMetrics split;
  for (const auto& [name, value] : metrics.items()) {
    if (const auto sized = parse_sized_name(name)) {
      split.by_size[sized->stem][sized->size] = value.get<double>();
    } else {
      split.scalars[name] = value.get<double>();
    }
  }
  for (const auto& [stem, values] : split.by_size) {
    const auto mean = split.scalars.find(stem + "_mean");
    if (mean == split.scalars.end()) continue;
    split.means[stem] = mean->second;
    split.scalars.erase(mean);
  }
  return split;
}

std::vector<std::string> in_reading_order(std::vector<std::string> names) {
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    const bool first_a = unit_of(a) == Unit::kPercent, first_b = unit_of(b) == Unit::kPercent;
    return first_a != first_b ? first_a : a < b;
  });
  return names;
}

std::vector<std::string> without_variants(const std::vector<std::string>& names) {
  std::map<std::string, std::pair<std::vector<int64_t>, std::string>> smallest;  // name with # for its numbers
  for (const std::string& name : names) {
    std::string pattern;
    std::vector<int64_t> numbers;
    for (size_t i = 0; i < name.size();) {
      int64_t number = 0;
      const auto [stop, error] = std::from_chars(name.data() + i, name.data() + name.size(), number);
      if (name[i] != '-' && error == std::errc()) {
        numbers.push_back(number);
        pattern += '#';
        i = static_cast<size_t>(stop - name.data());
      } else {
        pattern += name[i++];
      }
    }
    const auto [entry, fresh] = smallest.try_emplace(pattern, numbers, name);
    if (!fresh && numbers < entry->second.first) entry->second = {numbers, name};
  }
  std::vector<std::string> kept;
  for (const std::string& name : names) {
    if (std::any_of(smallest.begin(), smallest.end(), [&](const auto& entry) { return entry.second.second == name; })) kept.push_back(name);
  }
  return kept;
}

std::string metric_text(std::string_view name, double value) {
  switch (unit_of(name)) {
    case Unit::kOperations: return human_count(value);
    case Unit::kBytes: return value >= 0 && value < 1e19 ? human_bytes(static_cast<uint64_t>(value)) : fmt::format("{:g}", value);
    case Unit::kDuration: return human_duration(value);
    case Unit::kPercent: return fmt::format("{:.2f}", value);
    case Unit::kNone: break;
  }
  if (is_whole(value)) return fmt::format("{:.0f}", value);
  return is_small_or_huge(value) ? fmt::format("{:.4g}", value) : fmt::format("{:.4f}", value);
}

std::string difference_text(std::string_view name, double a, double b) {
  switch (unit_of(name)) {
    case Unit::kOperations:
    case Unit::kBytes:
    case Unit::kDuration: return a > 0 ? fmt::format("{:+.1f} %", 100 * (b - a) / a) : "";
    case Unit::kPercent: return fmt::format("{:+.2f}", b - a);
    case Unit::kNone: break;
  }
  if (is_whole(a) && is_whole(b)) return fmt::format("{:+.0f}", b - a);
  return is_small_or_huge(a) || is_small_or_huge(b) ? fmt::format("{:+.4g}", b - a) : fmt::format("{:+.4f}", b - a);
}

std::string metric_label(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"val", "validation"}, {"ece", "calibration error (ECE)"}, {"nll", "negative log-likelihood"}, {"percent", "(%)"}, {"miou", "mIoU"}};
  std::string label;
  for (const std::string& word : split(name, '_')) {
    const auto known = std::find_if(std::begin(kWords), std::end(kWords), [&](const auto& entry) { return entry.first == word; });
    if (!label.empty()) label += ' ';
    if (known != std::end(kWords)) {
      label += known->second;
    } else if (word.size() > 3 && word.starts_with("top") && word.find_first_not_of("0123456789", 3) == std::string::npos) {
      label += "top-" + word.substr(3);
    } else {
      label += word;
    }
  }
  return label;
}

}  // namespace fettle::inspect_artifact
