#pragma once
// What evaluate-model does, as a library.

#include "cli/run_tool.h"
#include "evaluate-model/options.h"

namespace fettle::evaluate {

// With --data: a table by size, the weakest classes and the worst pairs; with --predict: a line an image or file; with --export alone: the file's
// path. The --json object has "sizes" (one object a size: accuracy, calibration bins, accuracy by class, confusion as [label, answer,
// images]) and "class_names", or "predictions". Keys say "image" of files too. Metrics, with --data:
//   top1_percent top5_percent nll ece        at the first size
//   top1_percent_at_N ece_at_N               at each size N; not for networks of stored files or sounds
//   top1_percent_mean ece_mean               over the sizes
//   top1_percent_NAME                        with --corruptions: mean over the severities of NAME, at the first size
//   top1_percent_corrupted ece_corrupted     over all corruptions and severities
Report evaluate_model(const Options& options, RunContext& context);

}  // namespace fettle::evaluate
