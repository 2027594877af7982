#pragma once
// Where two artifacts differ.

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "inspect-artifact/metric_names.h"

namespace fettle::inspect_artifact {

struct Side {
  std::filesystem::path path;
  std::string name;  // head of its column
  Manifest manifest;
};

struct Fact {
  std::string name;     // "kind", "tool.version", "inputs.data", "model.arch", "options.lr"
  nlohmann::json a, b;  // null: not there
};

struct MetricPair {
  std::optional<double> a, b;  // at least one is there
};

struct Comparison {
  Side a, b;
  std::vector<Fact> facts;                              // those that differ
  std::map<std::string, MetricPair> metrics;            // all, and wall_s of the runs
  std::map<std::string, std::map<int64_t, MetricPair>> by_size;  // stem -> N; `<stem>_mean` stays in metrics as well
  int64_t num_equal_options = 0;
};

Comparison compare(Side a, Side b);

// About twenty lines: one table with what differs, one with the metrics by size. Differences are b - a.
std::string comparison_text(const Comparison& comparison);

// {"a": {"path", "id"}, "b": ..., "differences": {name: {"a", "b"}}, "metrics": {name: {"a", "b", "difference"}}}
nlohmann::json comparison_json(const Comparison& comparison);

}  // namespace fettle::inspect_artifact
