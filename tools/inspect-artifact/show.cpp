#include "inspect-artifact/show.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "inspect-artifact/layout.h"
#include "inspect-artifact/metric_names.h"

namespace fettle::inspect_artifact {
namespace {

constexpr size_t kWidth = 110;
constexpr size_t kMaxValue = 60;

using Pairs = std::vector<std::pair<std::string, std::string>>;

Pairs pairs_of(const Json& object) {
  Pairs pairs;
  for (const auto& [key, value] : object.items()) pairs.emplace_back(printable(key, kMaxValue), value_text(value, kMaxValue));
  return pairs;
}

std::string section(const std::string& title, const std::string& body) { return body.empty() ? "" : "\n" + title + "\n" + body; }

// "2026-11-23T11:00:00Z, in 1 min 01 s, on cpu; ..."
std::string run_text(const Json& run) {
  std::string text;
  const auto add = [&](const char* before, const std::string& what) { text += (text.empty() ? "" : ", ") + (before + what); };
  Json rest = run;
  const auto take = [&](const char* key, bool right_type) {
    const Json value = right_type ? rest.at(key) : Json();
    if (right_type) rest.erase(key);
    return value;
  };
  const auto has = [&](const char* key) { return rest.contains(key) ? rest.at(key).type() : Json::value_t::null; };
  if (const Json started = take("started_utc", has("started_utc") == Json::value_t::string); !started.is_null())
    add("", value_text(started, kMaxValue));
  const bool timed = rest.contains("wall_s") && rest["wall_s"].is_number();
  if (const Json wall = take("wall_s", timed); !wall.is_null()) add("took ", metric_text("wall_s", wall.get<double>()));
  if (const Json device = take("device", has("device") == Json::value_t::string); !device.is_null())
    add("on ", value_text(device, kMaxValue));
  for (const auto& [key, value] : rest.items()) add("", printable(key, kMaxValue) + " " + value_text(value, kMaxValue));
  return text;
}

std::string metrics_text(const Json& metrics) {
  const SplitMetrics split = split_metrics(metrics);
  std::vector<std::string> names, stems;
  for (const auto& [name, value] : split.scalars) names.push_back(name);
  Pairs pairs;
  for (const std::string& name : in_reading_order(names)) pairs.emplace_back(printable(name), metric_text(name, split.scalars.at(name)));
  std::string text = packed(pairs, 2, kWidth);
  if (split.by_size.empty()) return text;

  std::map<int64_t, bool> sizes;
  for (const auto& [stem, values] : split.by_size) {
    stems.push_back(stem);
    for (const auto& [size, value] : values) sizes[size] = true;
  }
  stems = in_reading_order(stems);
  Rows rows{{"at"}};
  for (const std::string& stem : stems) rows[0].push_back(printable(stem));
  const auto add_row = [&](const std::string& head, const auto& value_of) {
    rows.push_back({head});
    for (const std::string& stem : stems) {
      const std::optional<double> value = value_of(stem);
      rows.back().push_back(value ? metric_text(stem, *value) : "-");
    }
  };
  for (const auto& [size, unused] : sizes) {
    add_row(std::to_string(size), [&, at = size](const std::string& stem) -> std::optional<double> {
      const auto found = split.by_size.at(stem).find(at);
      return found == split.by_size.at(stem).end() ? std::nullopt : std::optional(found->second);
    });
  }
  if (!split.means.empty()) {
    add_row("mean", [&](const std::string& stem) -> std::optional<double> {
      const auto found = split.means.find(stem);
      return found == split.means.end() ? std::nullopt : std::optional(found->second);
    });
  }
  return text + (text.empty() ? "" : "\n") + aligned(rows, std::string(stems.size() + 1, 'r'), 2);
}

// "multiscale-train 0.1.0 (abc1234, modified)"
std::string tool_text(const ToolStamp& tool) {
  return printable(fmt::format("{} {} ({}{})", tool.name, tool.version, tool.git, tool.dirty ? ", modified" : ""), kWidth);
}

}  // namespace

std::string show_text(const std::filesystem::path& directory, const Manifest& manifest) {
  std::string text = aligned({{printable(directory.string()), printable(manifest.kind, kMaxValue)}}, "ll");
  text += aligned({{"id", manifest_id(manifest)}, {"tool", tool_text(manifest.tool)}, {"run", run_text(manifest.run)}}, "ll", 2);

  Pairs options = pairs_of(manifest.options);
  for (auto& [key, value] : options) {
    if (std::find(manifest.drawn.begin(), manifest.drawn.end(), key) != manifest.drawn.end()) value += " (drawn)";
  }
  Rows inputs, files;
  for (const ArtifactInput& input : manifest.inputs) inputs.push_back({printable(input.role, kMaxValue), printable(input.path), input.id});
  for (const ArtifactFile& file : manifest.files) files.push_back({printable(file.path), human_bytes(file.bytes), file.sha256});
  text += section("model", packed(pairs_of(manifest.model), 2, kWidth));
  text += section("options", packed(options, 2, kWidth));
  text += section("inputs", aligned(inputs, "lll", 2));
  text += section("files", aligned(files, "lrl", 2));
  text += section("metrics", metrics_text(manifest.metrics));
  if (!manifest.extra.empty()) text += section("other", packed(pairs_of(manifest.extra), 2, kWidth));
  return text;
}

Json show_json(const std::filesystem::path& directory, const Manifest& manifest) {
  return {{"path", printable(directory.string())}, {"id", manifest_id(manifest)}, {"manifest", to_json(manifest)}};
}

}  // namespace fettle::inspect_artifact
