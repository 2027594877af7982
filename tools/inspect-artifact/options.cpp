#include "inspect-artifact/options.h"

#include <algorithm>

#include "base/errors.h"

namespace fettle::inspect_artifact {

void bind(FlagTable& table, Options& o) {
  table.positional("COMMAND", o.command, "show, verify, compare or plot", 1, 1, {"show", "verify", "compare", "plot"});
  table.positional("PATH", o.paths, "artifacts: one for show, two for compare, one or more for verify and plot", 1, 1000);
  table.group("verify");
  table.flag("allow-missing-inputs", o.allow_missing_inputs, "inputs that are no longer where the artifact says are no failure").common();
  table.flag("id", o.id, "the id that the artifact must have, as an earlier verify printed it").metavar("sha256:...");
  table.group("plot");
  table.flag("out", o.out, "SVG file to write").metavar("FILE").not_recorded().common();
  table.flag("overwrite", o.overwrite, "replace the file that --out names").not_recorded().common();
  table.flag("metric", o.metrics, "validation metric to draw, such as val_nll")
      .metavar("NAME")
      .default_text("accuracies and calibration errors");
}

void validate(const Options& o) {
  const std::string& command = o.command.at(0);
  const size_t paths = o.paths.size();
  if (command == "show") FT_REQUIRE_USAGE(paths == 1, "show: expected one artifact, found {}", paths);
  if (command == "compare") FT_REQUIRE_USAGE(paths == 2, "compare: expected two artifacts, found {}", paths);
  if (command == "plot") FT_REQUIRE_USAGE(!o.out.empty(), "plot: --out FILE.svg is needed");
  FT_REQUIRE_USAGE(command == "plot" || (o.out.empty() && !o.overwrite && o.metrics.empty()),
                   "--out, --overwrite and --metric belong to plot, not to {}", command);
  FT_REQUIRE_USAGE(command == "verify" || (o.id.empty() && !o.allow_missing_inputs),
                   "--id and --allow-missing-inputs belong to verify, not to {}", command);
  if (o.id.empty()) return;
  FT_REQUIRE_USAGE(paths == 1, "--id: expected one artifact, found {}", paths);
  const bool well_formed = o.id.size() == 71 && o.id.starts_with("sha256:") && std::all_of(o.id.begin() + 7, o.id.end(), [](char c) {
                             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                           });
  FT_REQUIRE_USAGE(well_formed, "--id: expected sha256: and 64 hex digits, found '{}'", o.id.substr(0, 80));
}

}  // namespace fettle::inspect_artifact
