#pragma once
// The four commands: from what was typed to what is printed.

#include "cli/run_tool.h"
#include "inspect-artifact/options.h"

namespace fettle::inspect_artifact {

Report inspect(const Options& options, RunContext& context);

}  // namespace fettle::inspect_artifact
