#pragma once
// ByteFormer (arXiv 2306.00238): training, evaluation and prediction from the bytes of files.

#include "byteformer-train/options.h"
#include "cli/run_tool.h"

namespace fettle::byteformer {

// Pictures as every tool opens them; stored files and sounds by class folders, whatever they are called.
ImageData open_data(const Options& options);

// Trains and writes an artifact of kind "byte-classifier"; or, with --evaluate, --predict or --explain, works with one.
Report train_byteformer(const Options& options, RunContext& context);

}  // namespace fettle::byteformer
