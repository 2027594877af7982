#pragma once
// What is typed behind inspect-artifact.

#include <string>
#include <vector>

#include "cli/flags.h"

namespace fettle::inspect_artifact {

struct Options {
  std::vector<std::string> command;  // one: show, verify, compare, plot
  std::vector<std::string> paths;    // artifacts

  bool allow_missing_inputs = false;  // verify
  std::string id;                     // verify: "" or "sha256:<64 hex digits>"

  std::string out;                   // plot: the SVG file
  bool overwrite = false;            // plot
  std::vector<std::string> metrics;  // plot: validation metrics; empty: chosen by rule
};

void bind(FlagTable& table, Options& options);
void validate(const Options& options);  // Error(kUsage)

}  // namespace fettle::inspect_artifact
