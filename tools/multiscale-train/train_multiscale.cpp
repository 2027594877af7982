#include "multiscale-train/train_multiscale.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/human.h"
#include "base/signals.h"
#include "checkpoint/state.h"
#include "device/device.h"
#include "device/precision.h"
#include "io/file.h"
#include "models/factory.h"
#include "models/state_dict.h"
#include "multiscale-train/plan.h"
#include "multiscale-train/task.h"
#include "train/autocast.h"

namespace fettle::multiscale {
namespace {

// The random streams of the run, apart from the sampler's and the loader's own.
uint64_t weights_seed(uint64_t seed) { return derive_seed(seed, "weights"); }

NamedTensors parameters_of(const torch::nn::Module& model) {
  NamedTensors parameters;
  for (const StateEntry& entry : state_dict(model)) {
    if (entry.is_parameter) parameters.emplace_back(entry.name, entry.tensor);
  }
  return parameters;
}

NamedTensors state_of(const torch::nn::Module& model) {
  NamedTensors state;
  for (const StateEntry& entry : state_dict(model)) state.emplace_back(entry.name, entry.tensor);
  return state;
}

std::vector<int64_t> evaluation_sizes(const Options& options, const SamplerOptions& sampler) {
  if (!options.eval_sizes.empty()) {
    const std::set<int64_t> sizes(options.eval_sizes.begin(), options.eval_sizes.end());
    return {sizes.begin(), sizes.end()};
  }
  std::set<int64_t> sizes{sampler.height.base};
  for (const ScaledBatch& batch : size_set(sampler, sampler.epochs - 1)) sizes.insert(batch.height);
  return {sizes.begin(), sizes.end()};
}

void print_evaluation(const Json& rows, Log& log) {
  log.info("  size    top-1 %      ECE");
  for (const Json& row : rows) log.info(fmt::format("  {:>4}  {:>9.2f}  {:>7.4f}", row["size"].get<int64_t>(), row["top1_percent"].get<double>(), row["ece"].get<double>()));
}

}  // namespace

Report train_multiscale(const Options& options, RunContext& context) {
  const device::Session& session = device::session_of(context.common);
  ImageData data = load_images(options.data, options.num_classes);
  return {};
}

}  // namespace fettle::multiscale
