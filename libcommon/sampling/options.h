#pragma once
// The samplers' flags, for every tool that trains on images.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/flags.h"
#include "sampling/samplers.h"

namespace fettle::multiscale {

struct SamplerFlags {
  std::string sampler = "msc-vbs";
  std::optional<int64_t> size;
  std::string sizes;
  int64_t size_multiple = 32;
  std::string curriculum = "none";
  std::string curriculum_from;
  double curriculum_fraction = 0.5;
  std::vector<int64_t> curriculum_stages;
};

void bind(FlagTable& table, SamplerFlags& flags);
void validate(const SamplerFlags& flags);

// What a sampler needs to know of the run besides.
struct SampledRun {
  int64_t num_samples = 0;
  int64_t image_size = 0;  // the base size where --size says none
  int64_t batch_size = 0;
  int64_t epochs = 0;
  int64_t repeats = 1;
  uint64_t seed = 0;  // names the streams
};

// Error(kUsage) when they do not fit together.
SamplerOptions sampler_options(const SamplerFlags& flags, const SampledRun& run);

// "MIN:MAX" of two numbers; Error(kUsage) that begins with `flag`.
Bounds parse_bounds(const std::string& text, const std::string& flag);

}  // namespace fettle::multiscale
