#pragma once
// What a user of byteformer-train chooses. Initial values are the defaults.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bytes/byte_input.h"
#include "cli/flags.h"
#include "data/options.h"
#include "models/byteformer.h"
#include "train/options.h"

namespace fettle::byteformer {

struct Options {
  DataOptions data;

  std::string encoding = "as-stored";
  int64_t size = 224;
  int64_t jpeg_quality = 100;
  int64_t png_level = 0;
  int64_t num_samples = 0;
  int64_t max_bytes = 0;

  std::string reorder = "none";
  int64_t reorder_stride = 1024;
  int64_t reorder_window = 1024;
  bool redraw_windows = false;
  std::optional<double> keep;
  std::string noise;
  bool phi = false;
  std::string phi_file;

  std::string arch = "bf_tiny";
  std::string arch_options;
  std::string masks = "correct";
  std::optional<int64_t> max_tokens;
  std::string init;
  bool init_partial = false;
  double label_smoothing = 0.1;

  TrainOptions train{.batch_size = 48, .opt = "adamw", .lr = 1e-3, .weight_decay = 0.05};
  std::optional<int64_t> batch_tokens;

  std::string from;
  bool evaluate = false;
  std::vector<std::string> predict;
  std::string explain;
  std::string report;
};

void bind(FlagTable& table, Options& options);
void validate(const Options& options);

bool trains(const Options& options);           // rather than --predict, --evaluate or --explain
Input input_of(const Options& options);        // reads --phi-file
Json arch_options(const Options& options);

}  // namespace fettle::byteformer
