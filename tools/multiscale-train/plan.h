#pragma once
// What a run will cost, before it is run.

#include <nlohmann/json.hpp>
#include <string>

#include "multiscale-train/task.h"

namespace fettle::multiscale {

struct RunPlan {
  SamplerOptions sampler;
  int64_t parameters = 0;
  double multiply_adds = 0;             // of the run, forward and backward, counted batch by batch
  double fixed_size_multiply_adds = 0;  // of ssc-fbs for the same number of epochs; of as many images, where --max-steps cuts one short
  int64_t steps = 0;
  int64_t fixed_size_steps = 0;
  double activation_bytes = 0;          // estimate for the largest batch
};

RunPlan plan_run(const SamplerOptions& sampler, const TrainOptions& train, ImageClassifier& model, at::ScalarType precision);

nlohmann::json to_json(const RunPlan& plan);
std::string to_text(const RunPlan& plan);  // several lines, for --dry-run

}  // namespace fettle::multiscale
