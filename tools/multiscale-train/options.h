#pragma once
// What a user of multiscale-train chooses. Initial values are the defaults.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "data/options.h"
#include "sampling/options.h"
#include "train/options.h"

namespace fettle::multiscale {

struct Options {
  DataOptions data;
  std::string arch = "resnet20";
  std::string arch_options;  // a JSON object; empty: none
  std::string init;
  std::string init_overlay;
  bool init_partial = false;
  std::string mean, std;
  TrainOptions train;
  double label_smoothing = 0;

  SamplerFlags sampling;

  std::vector<int64_t> eval_sizes;
  std::optional<int64_t> val_batch_size;
};

void bind(FlagTable& table, Options& options);
void validate(const Options& options);

// The sampler's options for a training set of `num_samples` images; `image_size` is the base size where --size says none, `seed`
// names the streams. Error(kUsage) when they do not fit together.
SamplerOptions sampler_options(const Options& options, int64_t num_samples, int64_t image_size, uint64_t seed);

Json arch_options(const Options& options);  // --arch-options, an empty object without

}  // namespace fettle::multiscale
