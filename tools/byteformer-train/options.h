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
#include "sampling/options.h"
#include "train/options.h"

namespace fettle::byteformer {

struct Options {
  DataOptions data;

  std::string recipe = "none";

  std::string encoding = "as-stored";
  int64_t jpeg_quality = 100;
  int64_t png_level = 0;
  int64_t num_samples = 0;
  int64_t max_bytes = 0;
  std::string background;
  double background_db = -50;
  double sound_roll = 0;

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
  std::string longer_files = "auto";
  std::string init;
  bool init_partial = false;
  double label_smoothing = 0.1;

  multiscale::SamplerFlags sampling{.sampler = "ssc-fbs", .size_multiple = 4};
  TrainOptions train{.batch_size = 48, .opt = "adamw", .lr = 3e-4, .weight_decay = 0.05};
  std::optional<int64_t> batch_tokens;

  std::string from;
  bool evaluate = false;
  bool sweep = false;
  std::vector<std::string> predict;
  std::string explain;
  std::string report;
};

void bind(FlagTable& table, Options& options);
void validate(const Options& options);

bool trains(const Options& options);  // rather than --predict, --evaluate or --explain
bool encodes_images(const Options& options);
bool augments_sounds(const Options& options);
// Reads --phi-file. Pictures are encoded at --size, else at the side that all have, if they have, else at 224.
Input input_of(const Options& options, std::optional<int64_t> image_side);
Json arch_options(const Options& options);
std::string positions_of(const std::string& longer_files);  // of ByteFormerDescription; "" for auto

// The sampler of pictures that are encoded; nothing for files as stored and sounds, and with --batch-tokens.
std::optional<multiscale::SamplerOptions> sampler_of(const Options& options, const Input& input, int64_t num_samples, uint64_t seed);

}  // namespace fettle::byteformer
