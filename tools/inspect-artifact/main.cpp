#include "cli/run_tool.h"
#include "inspect-artifact/inspect.h"
#include "inspect-artifact/options.h"

int main(int argc, char** argv) {
  const fettle::ToolInfo info{
      .name = "inspect-artifact",
      .summary = "Shows, verifies, compares and plots artifacts: the directories that Fettle's tools write.",
      .description =
          "show prints what one artifact is: tool, options, inputs, files, metrics. verify recomputes every hash and size, of its inputs "
          "and theirs as well. compare prints the options and metrics in which two artifacts differ. plot draws the curves of one or "
          "more runs, finished or not, into one SVG file.",
      .examples = {"inspect-artifact show runs/vbs", "inspect-artifact verify runs/vbs", "inspect-artifact compare runs/fixed runs/vbs",
                   "inspect-artifact plot runs/fixed runs/vbs --out curves.svg"},
      .positional_usage = "COMMAND PATH..."};
  return fettle::run_tool<fettle::inspect_artifact::Options>(argc, argv, info, {}, fettle::inspect_artifact::inspect);
}
