#include "inspect-artifact/compare.h"

#include <fmt/format.h>

#include <set>

#include "base/text.h"
#include "inspect-artifact/layout.h"

namespace fettle::inspect_artifact {
namespace {

constexpr size_t kWidth = 100;
constexpr size_t kMaxValue = 28;

Json at(const Json& object, const std::string& key) {
  const auto found = object.find(key);
  return found == object.end() ? Json() : *found;
}

// Keys of either object whose values differ; returns how many are equal.
int64_t add_differences(const std::string& prefix, const Json& a, const Json& b, std::vector<Fact>& facts) {
  Json keys = a;
  keys.update(b);
  int64_t num_equal = 0;
  for (const auto& [key, unused] : keys.items()) {
    if (at(a, key) == at(b, key)) {
      ++num_equal;
    } else {
      facts.push_back({prefix + key, at(a, key), at(b, key)});
    }
  }
  return num_equal;
}

// Inputs by role; several of a role are told apart by their number.
Json inputs_of(const Manifest& manifest, bool with_path) {
  Json inputs = Json::object();
  for (const ArtifactInput& input : manifest.inputs) {
    std::string key = input.role;
    for (int i = 2; inputs.contains(key); ++i) key = fmt::format("{}.{}", input.role, i);
    inputs[key] = with_path ? fmt::format("{} ({})", input.path, input.id.substr(7, 8)) : input.id;
  }
  return inputs;
}

void add_metrics(const Manifest& manifest, std::optional<double> MetricPair::*side, Comparison& comparison) {
  const SplitMetrics split = split_metrics(manifest.metrics);
  for (const auto& [name, value] : split.scalars) comparison.metrics[name].*side = value;
  for (const auto& [stem, value] : split.means) comparison.metrics[stem + "_mean"].*side = value;
  for (const auto& [stem, values] : split.by_size) {
    for (const auto& [size, value] : values) comparison.by_size[stem][size].*side = value;
  }
  const Json wall = at(manifest.run, "wall_s");
  if (wall.is_number()) comparison.metrics["wall_s"].*side = wall.get<double>();
}

std::vector<std::string> cells(const std::string& name, const MetricPair& pair) {
  return {pair.a ? metric_text(name, *pair.a) : "-", pair.b ? metric_text(name, *pair.b) : "-",
          pair.a && pair.b ? difference_text(name, *pair.a, *pair.b) : ""};
}

void append(std::vector<std::string>& row, const std::vector<std::string>& more) { row.insert(row.end(), more.begin(), more.end()); }

bool is_mean_of_sizes(const std::string& name, const Comparison& comparison) {
  return name.ends_with("_mean") && comparison.by_size.contains(name.substr(0, name.size() - 5));
}

// One metric over the sizes: its name, the heads of the columns, a line a size, the mean.
std::string size_block(const std::string& stem, const std::set<int64_t>& sizes, bool with_mean, const Comparison& c) {
  Rows rows{{printable(c.a.name, kMaxValue), printable(c.b.name, kMaxValue), "diff"}};
  const auto& values = c.by_size.at(stem);
  for (const int64_t size : sizes) {
    const auto found = values.find(size);
    rows.push_back(cells(stem, found == values.end() ? MetricPair() : found->second));
  }
  if (with_mean) {
    const auto found = c.metrics.find(stem + "_mean");
    rows.push_back(cells(stem, found == c.metrics.end() ? MetricPair() : found->second));
  }
  return printable(stem, 40) + "\n" + aligned(rows, "rrr");
}

std::string size_tables(const Comparison& c) {
  std::vector<std::string> stems;
  std::set<int64_t> sizes;
  bool with_mean = false;
  for (const auto& [stem, values] : c.by_size) {
    stems.push_back(stem);
    for (const auto& [size, pair] : values) sizes.insert(size);
    with_mean = with_mean || c.metrics.contains(stem + "_mean");
  }
  Rows heads{{""}, {"at"}};
  for (const int64_t size : sizes) heads.push_back({std::to_string(size)});
  if (with_mean) heads.push_back({"mean"});

  const std::string left = aligned(heads, "r");
  const auto bands = [&](const std::vector<std::string>& shown) {
    std::vector<std::string> tables;
    for (const std::string& stem : shown) {
      const std::string block = size_block(stem, sizes, with_mean, c);
      const std::string wider = tables.empty() ? "" : beside(tables.back(), block, 4);
      if (tables.empty() || widest_line(wider) > kWidth) {
        tables.push_back(beside(left, block, 4));
      } else {
        tables.back() = wider;
      }
    }
    return tables;
  };
  // Beside each other if they fit; else without variants such as top-5, in as many bands as it takes.
  std::vector<std::string> tables = bands(in_reading_order(stems));
  if (tables.size() > 1) tables = bands(in_reading_order(without_variants(stems)));
  return tables.empty() ? "" : "\n" + join(tables, "\n");
}

}  // namespace

Comparison compare(Side a, Side b) {
  Comparison c{.a = std::move(a), .b = std::move(b), .facts = {}, .metrics = {}, .by_size = {}};
  const Manifest &ma = c.a.manifest, &mb = c.b.manifest;
  if (ma.kind != mb.kind) c.facts.push_back({"kind", ma.kind, mb.kind});
  const auto commit = [](const ToolStamp& tool) { return tool.git + (tool.dirty ? ", modified" : ""); };
  add_differences("tool.", {{"name", ma.tool.name}, {"version", ma.tool.version}, {"git", commit(ma.tool)}},
                  {{"name", mb.tool.name}, {"version", mb.tool.version}, {"git", commit(mb.tool)}}, c.facts);
  if (inputs_of(ma, false) != inputs_of(mb, false)) {
    std::vector<Fact> differing;
    add_differences("inputs.", inputs_of(ma, false), inputs_of(mb, false), differing);
    const Json shown_a = inputs_of(ma, true), shown_b = inputs_of(mb, true);
    for (const Fact& fact : differing) c.facts.push_back({fact.name, at(shown_a, fact.name.substr(7)), at(shown_b, fact.name.substr(7))});
  }
  add_differences("model.", ma.model, mb.model, c.facts);
  c.num_equal_options = add_differences("options.", ma.options, mb.options, c.facts);
  add_metrics(ma, &MetricPair::a, c);
  add_metrics(mb, &MetricPair::b, c);
  return c;
}

std::string comparison_text(const Comparison& c) {
  Rows rows{{"", printable(c.a.name, kMaxValue), printable(c.b.name, kMaxValue), "diff"}};
  for (const Fact& fact : c.facts) {
    // Options are what one looks for: they go by their own names.
    const std::string name = fact.name.starts_with("options.") ? fact.name.substr(8) : fact.name;
    rows.push_back({printable(name, 40), value_text(fact.a, kMaxValue), value_text(fact.b, kMaxValue)});
  }
  std::vector<std::string> names;
  int64_t num_equal_metrics = 0;
  for (const auto& [name, pair] : c.metrics) {
    if (is_mean_of_sizes(name, c)) continue;
    if (pair.a == pair.b) {
      ++num_equal_metrics;
    } else {
      names.push_back(name);
    }
  }
  for (const std::string& name : in_reading_order(names)) {
    rows.push_back({printable(name, 40)});
    append(rows.back(), cells(name, c.metrics.at(name)));
  }
  std::string text = aligned(rows, "lrrr");
  text += fmt::format("equal: {} options, {} metrics; diff is {} less {}\n", c.num_equal_options, num_equal_metrics,
                      printable(c.b.name, kMaxValue), printable(c.a.name, kMaxValue));
  return text + size_tables(c);
}

Json comparison_json(const Comparison& c) {
  const auto side = [](const Side& s) { return Json{{"path", printable(s.path.string())}, {"id", manifest_id(s.manifest)}}; };
  const auto number = [](const std::optional<double>& value) { return value ? Json(*value) : Json(); };
  Json differences = Json::object(), metrics = Json::object();
  for (const Fact& fact : c.facts) differences[fact.name] = {{"a", fact.a}, {"b", fact.b}};
  const auto add = [&](const std::string& name, const MetricPair& pair) {
    metrics[name] = {{"a", number(pair.a)}, {"b", number(pair.b)}, {"difference", pair.a && pair.b ? Json(*pair.b - *pair.a) : Json()}};
  };
  for (const auto& [name, pair] : c.metrics) add(name, pair);
  for (const auto& [stem, values] : c.by_size) {
    for (const auto& [size, pair] : values) add(fmt::format("{}_at_{}", stem, size), pair);
  }
  return {{"a", side(c.a)}, {"b", side(c.b)}, {"differences", differences}, {"metrics", metrics}};
}

}  // namespace fettle::inspect_artifact
