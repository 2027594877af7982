#include "multiscale-train/plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/human.h"
#include "models/module.h"

namespace fettle::multiscale {
namespace {

std::string set_text(const std::vector<ScaledBatch>& set) {
  std::string text;
  for (const ScaledBatch& batch : set) text += fmt::format("{}{}:{}", text.empty() ? "" : " ", batch.height, batch.batch_size);
  return text;
}

nlohmann::json set_json(const std::vector<ScaledBatch>& set) {
  nlohmann::json json = nlohmann::json::array();
  for (const ScaledBatch& batch : set) json.push_back({{"height", batch.height}, {"width", batch.width}, {"batch_size", batch.batch_size}});
  return json;
}

}  // namespace

RunPlan plan_run(const SamplerOptions& sampler, const TrainOptions& train, ImageClassifier& model, at::ScalarType precision) {
  RunPlan plan;
  plan.sampler = sampler;
  plan.parameters = num_parameters(model);
  CostTable costs(model);
  SamplerOptions fixed = sampler;
  fixed.kind = SamplerKind::kSscFbs;
  fixed.curriculum = CurriculumLaw::kNone;
  int64_t steps_left = train.max_steps.value_or(INT64_MAX);
  for (int64_t epoch = 0; epoch < sampler.epochs && steps_left > 0; ++epoch) {
    std::vector<ScaledBatch> batches = batch_sequence(sampler, epoch);
    std::vector<ScaledBatch> fixed_batches = batch_sequence(fixed, epoch);
    const auto num_batches = static_cast<int64_t>(batches.size()), steps = (num_batches + train.grad_accum_steps - 1) / train.grad_accum_steps;
    if (steps > steps_left) {
      batches.resize(static_cast<size_t>(steps_left * train.grad_accum_steps));
      int64_t images = 0;
      for (const ScaledBatch& batch : batches) images += batch.batch_size;
      const ScaledBatch base = fixed.base();
      fixed_batches.assign(static_cast<size_t>(images / base.batch_size), base);
      if (images % base.batch_size > 0) {
        fixed_batches.push_back(base);
        fixed_batches.back().batch_size = images % base.batch_size;
      }
    }
    steps_left -= std::min(steps, steps_left);
    plan.multiply_adds += training_multiply_adds(batches, costs);
    plan.fixed_size_multiply_adds += training_multiply_adds(fixed_batches, costs);
    plan.steps += static_cast<int64_t>(batches.size());
    plan.fixed_size_steps += static_cast<int64_t>(fixed_batches.size());
    for (const ScaledBatch& batch : batches) {
      plan.activation_bytes = std::max(plan.activation_bytes, static_cast<double>(batch.batch_size) * costs.at(batch.height, batch.width).activation_elements *
                                                                  static_cast<double>(at::elementSize(precision)));
    }
  }
  return plan;
}

nlohmann::json to_json(const RunPlan& plan) {
  nlohmann::json epochs = nlohmann::json::array();
  for (int64_t epoch = 0; epoch < plan.sampler.epochs; ++epoch) {
    epochs.push_back({{"sizes", set_json(size_set(plan.sampler, epoch))}, {"steps", static_cast<int64_t>(batch_sequence(plan.sampler, epoch).size())}});
  }
  return {{"epochs", epochs},
          {"steps", plan.steps},
          {"parameters", plan.parameters},
          {"multiply_adds", plan.multiply_adds},
          {"fixed_size_multiply_adds", plan.fixed_size_multiply_adds},
          {"fixed_size_steps", plan.fixed_size_steps},
          {"compute_ratio", plan.multiply_adds / plan.fixed_size_multiply_adds},
          {"activation_bytes_estimate", plan.activation_bytes}};
}

std::string to_text(const RunPlan& plan) {
  std::string text = fmt::format("training images  {}\nparameters       {}\n", with_thousands(plan.sampler.num_samples), with_thousands(plan.parameters));
  // Epochs that draw from the same set share a line.
  int64_t first = 0;
  while (first < plan.sampler.epochs) {
    const std::vector<ScaledBatch> set = size_set(plan.sampler, first);
    int64_t last = first;
    int64_t fewest = INT64_MAX, most = 0;
    for (; last < plan.sampler.epochs && size_set(plan.sampler, last) == set; ++last) {
      const int64_t steps = static_cast<int64_t>(batch_sequence(plan.sampler, last).size());
      fewest = std::min(fewest, steps);
      most = std::max(most, steps);
    }
    const std::string epochs = last - first == 1 ? fmt::format("epoch {}", first + 1) : fmt::format("epochs {}-{}", first + 1, last);
    const std::string steps = fewest == most ? fmt::format("{}", most) : fmt::format("{}-{}", fewest, most);
    text += fmt::format("{:<16} {} steps each, size:batch {}\n", epochs, steps, set_text(set));
    first = last;
  }
  text += fmt::format("steps            {} ({} at the base size alone)\n", with_thousands(plan.steps), with_thousands(plan.fixed_size_steps));
  text += fmt::format("multiply-adds    {}, {:.3f} of the {} that ssc-fbs takes\n", human_count(plan.multiply_adds),
                      plan.multiply_adds / plan.fixed_size_multiply_adds, human_count(plan.fixed_size_multiply_adds));
  text += fmt::format("activations      about {} at the largest batch (estimate)\n", human_bytes(static_cast<uint64_t>(plan.activation_bytes)));
  return text;
}

}  // namespace fettle::multiscale
