#pragma once
// What a trained network answers.

#include "byteformer-train/options.h"
#include "cli/run_tool.h"

namespace fettle::byteformer {

Report evaluate(const Options& options, RunContext& context);  // --evaluate
Report predict(const Options& options, RunContext& context);   // --predict
Report explain(const Options& options, RunContext& context);   // --explain

}  // namespace fettle::byteformer
