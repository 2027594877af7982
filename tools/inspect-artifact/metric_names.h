#pragma once
// What metrics' names say: the unit at the end, and `<stem>_at_<N>` for a value at evaluation size N (pixels).

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::inspect_artifact {

// "val_ece_at_16" -> {"val_ece", 16}; nothing when it is no such name.
struct SizedName {
  std::string stem;
  int64_t size = 0;
};
std::optional<SizedName> parse_sized_name(const std::string& name);

struct SplitMetrics {
  std::map<std::string, double> scalars;
  std::map<std::string, std::map<int64_t, double>> by_size;  // stem -> N -> value
  std::map<std::string, double> means;                       // stem -> `<stem>_mean`, of stems in by_size
};
SplitMetrics split_metrics(const nlohmann::json& metrics);

// Percentages first, then by name.
std::vector<std::string> in_reading_order(std::vector<std::string> names);

// Leaves out names that differ from another one only in a larger number: val_top5_percent beside val_top1_percent.
std::vector<std::string> without_variants(const std::vector<std::string>& names);

// The value as its unit wants it: 3.05 T multiply-adds, 2 min 05 s, 91.50 (percent), 0.0210.
std::string metric_text(std::string_view name, double value);

// b - a with its sign; a relative change in percent for sizes, times and counts of operations.
std::string difference_text(std::string_view name, double a, double b);

// For an axis: "val_top1_percent" -> "validation top-1 (%)".
std::string metric_label(std::string_view name);

}  // namespace fettle::inspect_artifact
