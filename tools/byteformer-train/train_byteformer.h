#pragma once
// ByteFormer (arXiv 2306.00238): training, evaluation and prediction from the bytes of files.

#include "byteformer-train/options.h"
#include "cli/run_tool.h"

namespace fettle::byteformer {

// Trains and writes an artifact of kind "byte-classifier"; or, with --evaluate, --predict or --explain, works with one.
Report train_byteformer(const Options& options, RunContext& context);

}  // namespace fettle::byteformer
