#include "inspect-artifact/inspect.h"

#include <fmt/format.h>

#include "inspect-artifact/compare.h"
#include "inspect-artifact/gnuplot.h"
#include "inspect-artifact/layout.h"
#include "inspect-artifact/plot.h"
#include "inspect-artifact/show.h"
#include "inspect-artifact/verify.h"
#include "io/file.h"

namespace fettle::inspect_artifact {
namespace fs = std::filesystem;
namespace {

Report show(const fs::path& path) {
  const Manifest manifest = read_manifest(path);
  return {.text = show_text(path, manifest), .result = show_json(path, manifest), .metrics = manifest.metrics};
}

Report verify_all(const Options& options, Log& log) {
  Report report;
  Json artifacts = Json::array();
  Rows rows;
  std::vector<std::string> complaints;
  for (const std::string& path : options.paths) {
    const Verification found = verify(path, {.allow_missing_inputs = options.allow_missing_inputs, .id = options.id}, log);
    Json mismatches = Json::array(), missing = Json::array();
    for (const Mismatch& m : found.mismatches) {
      mismatches.push_back({{"path", printable(m.path)}, {"expected", printable(m.expected)}, {"found", printable(m.found)}});
      complaints.push_back(printable(fmt::format("{}: expected {}, found {}", m.path, m.expected, m.found)));
    }
    for (const std::string& input : found.missing_inputs) {
      missing.push_back(printable(input));
      log.warn(printable(fmt::format("input {} is not there; not verified", input)));
    }
    artifacts.push_back({{"path", printable(path)}, {"id", found.id}, {"mismatches", mismatches}, {"missing_inputs", missing},
                         {"num_artifacts", found.num_artifacts}, {"num_files", found.num_files}, {"num_inputs", found.num_inputs}});
    if (found.mismatches.empty()) rows.push_back({printable(path), found.id});
    log.debug(fmt::format("looked at {} artifacts, {} files, {} inputs", found.num_artifacts, found.num_files, found.num_inputs));
  }
  // Four lines at most, of which the last one counts what is left out.
  constexpr size_t kMostLines = 4;
  const size_t shown = complaints.size() > kMostLines ? kMostLines - 1 : complaints.size();
  for (size_t i = 0; i < shown; ++i) log.error(complaints[i]);
  if (shown < complaints.size()) log.error(fmt::format("and {} more, which --json lists", complaints.size() - shown));
  if (!complaints.empty()) report.code = ExitCode::kAnswerNo;
  report.text = aligned(rows, "ll");
  report.result = {{"artifacts", artifacts}};
  return report;
}

Report compare_two(const fs::path& a, const fs::path& b) {
  const std::vector<std::string> names = short_names({a, b});
  const Comparison comparison = compare({a, names[0], read_manifest(a)}, {b, names[1], read_manifest(b)});
  return {.text = comparison_text(comparison), .result = comparison_json(comparison)};
}

Report plot(const Options& options) {
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(options.out, ignored))) {
    if (!options.overwrite)
      throw Error(ExitCode::kUsage, fmt::format("--out '{}' exists", printable(options.out)), "--overwrite replaces it");
    FT_REQUIRE_USAGE(fs::is_regular_file(options.out, ignored), "--out '{}' is not a file", printable(options.out));
  }
  const std::vector<std::string> names = short_names({options.paths.begin(), options.paths.end()});
  std::vector<RunCurves> runs;
  for (size_t i = 0; i < names.size(); ++i) runs.push_back(read_run(options.paths[i], names[i]));
  const std::vector<Panel> panels = panels_of(runs, options.metrics);
  FT_REQUIRE(!panels.empty(), "{}: nothing to draw yet: no losses, no validation", printable(options.paths[0]));
  write_file_atomic(options.out, run_gnuplot(plot_script(names, panels)));
  Json drawn = Json::array();
  for (const Panel& panel : panels) drawn.push_back({{"x", panel.x_label}, {"y", panel.y_label}});
  return {.text = options.out, .result = {{"out", printable(options.out)}, {"runs", names}, {"panels", drawn}}};
}

}  // namespace

Report inspect(const Options& options, RunContext& context) {
  const std::string& command = options.command.at(0);
  FT_REQUIRE_USAGE(context.common.require.empty() || command == "show",
                   "--require judges the metrics of one artifact: use it with show, not with {}", command);
  if (command == "show") return show(options.paths[0]);
  if (command == "verify") return verify_all(options, context.log);
  if (command == "compare") return compare_two(options.paths[0], options.paths[1]);
  return plot(options);
}

}  // namespace fettle::inspect_artifact
