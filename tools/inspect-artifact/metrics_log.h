#pragma once
// metrics.jsonl: one JSON object a line, appended while a run is under way. "event" tells what reports it; the numbers of
// one kind of event form the columns of a table.

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::inspect_artifact {

struct Point {
  double x = 0, y = 0;
};

class EventTable {
 public:
  void add(int64_t row, const std::string& column, double value) { columns_[column].push_back({row, value}); }
  bool has(const std::string& column) const { return columns_.contains(column); }
  std::vector<std::string> columns() const;
  std::vector<Point> points(const std::string& x, const std::string& y) const;  // of the rows that hold both

 private:
  struct Cell {
    int64_t row;
    double value;
  };
  std::map<std::string, std::vector<Cell>> columns_;  // sparse: memory stays in proportion to the text, whatever its keys
};

using MetricsLog = std::map<std::string, EventTable>;  // by event: "train", "epoch"

inline constexpr const char* kMetricsLogName = "metrics.jsonl";

// What a killed process left of its last line is ignored; any other line that is no object with an "event" is
// Error(kInput) with its number. Values that are not numbers are left out.
MetricsLog parse_metrics_log(std::string_view text, const std::string& where);

// Empty when the directory has no such file; at most 256 MiB.
MetricsLog read_metrics_log(const std::filesystem::path& directory);

}  // namespace fettle::inspect_artifact
