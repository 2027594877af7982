#pragma once
// arXiv 2309.04502 as a library: trains a classifier over a multi-scale sampler and evaluates it over test sizes.

#include "cli/run_tool.h"
#include "multiscale-train/options.h"

namespace fettle::multiscale {

// Makes the artifact (kind "classifier") in context.output; with --dry-run answers with the plan. Metrics:
//   val_top1_percent val_top5_percent val_ece val_nll          at the base size, after the last epoch
//   val_top1_percent_at_N val_ece_at_N                         at each evaluation size N
//   val_top1_percent_mean val_ece_mean                         over those sizes
//   best_val_top1_percent best_epoch                           by validation at the base size
//   train_multiply_adds  fixed_size_multiply_adds              of the run, and of ssc-fbs for the same number of epochs
Report train_multiscale(const Options& options, RunContext& context);

}  // namespace fettle::multiscale
