#include "inspect-artifact/metrics_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "io/file.h"

namespace fettle::inspect_artifact {
namespace {
constexpr uint64_t kMaxBytes = 256 << 20;
}

std::vector<std::string> EventTable::columns() const {
  std::vector<std::string> names;
  for (const auto& [name, cells] : columns_) names.push_back(name);
  return names;
}

std::vector<Point> EventTable::points(const std::string& x, const std::string& y) const {
  std::vector<Point> points;
  const auto xs = columns_.find(x), ys = columns_.find(y);
  if (xs == columns_.end() || ys == columns_.end()) return points;
  auto at = xs->second.begin();
  for (const Cell& cell : ys->second) {
    at = std::lower_bound(at, xs->second.end(), cell.row, [](const Cell& c, int64_t row) { return c.row < row; });
    if (at == xs->second.end()) break;
    if (at->row == cell.row) points.push_back({at->value, cell.value});
  }
  return points;
}

MetricsLog parse_metrics_log(std::string_view text, const std::string& where) {
  MetricsLog log;
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    const bool ended = end < text.size();
    begin = end + 1;
    const std::string place = fmt::format("{}, line {}", where, ++number);
    Json json;
    try {
      json = parse_json(line, place);
    } catch (const Error&) {
      if (!ended) break;
      throw;
    }
    const auto event = json.find("event");
    FT_REQUIRE(json.is_object() && event != json.end() && event->is_string(), "{}: expected an object with an \"event\"", place);
    EventTable& table = log[event->get<std::string>()];
    for (const auto& [key, value] : json.items()) {
      if (value.is_number()) table.add(number, key, value.get<double>());
    }
  }
  return log;
}

MetricsLog read_metrics_log(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / kMetricsLogName;
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  return parse_metrics_log(read_file(file, kMaxBytes), file.string());
}

}  // namespace fettle::inspect_artifact
