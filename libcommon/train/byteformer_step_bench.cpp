// Times whole training steps of ByteFormer (forward, loss, backward, fused AdamW) on one fixed batch of random bytes: the C++ side of
// scripts/bench/byteformer-step.sh. One JSON object on stdout: losses of the first steps, seconds of each timed step, peak memory.
//
//   bench-byteformer-step ARCH MIN_BYTES:MAX_BYTES KERNEL WINDOW BATCH fp32|bf16 STEPS whole|blocks FOLDER
//
// Lengths are spread evenly from the least to the most. `blocks`: without the stem, from embedded tokens that are the same at each step.
// Writes the initial weights and the batch to FOLDER, so that another implementation can start from the same values ("-": does not).
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "base/errors.h"
#include "checkpoint/weights.h"
#include "device/device.h"
#include "models/byteformer.h"
#include "train/autocast.h"
#include "train/optimizer.h"

namespace {

using namespace fettle;
using Json = nlohmann::json;

constexpr int kCheckedSteps = 3;

PackedBytes random_batch(const std::string& lengths, int64_t batch) {
  const int64_t least = std::atoll(lengths.c_str()), most = lengths.find(':') == std::string::npos ? least : std::atoll(lengths.c_str() + lengths.find(':') + 1);
  std::vector<at::Tensor> files;
  for (int64_t i = 0; i < batch; ++i) files.push_back(at::randint(256, {batch > 1 ? least + (most - least) * i / (batch - 1) : most}, at::kByte));
  return pack_bytes(files);
}

void run(char** argv) {
  const int64_t kernel = std::atoll(argv[3]), window = std::atoll(argv[4]), batch = std::atoll(argv[5]);
  const at::ScalarType precision = std::string(argv[6]) == "bf16" ? at::kBFloat16 : at::kFloat;
  const int steps = std::atoi(argv[7]);
  const bool whole = std::string(argv[8]) == "whole";
  const std::string folder = argv[9];

  const Session session = start({.device = "cpu"});
  at::manual_seed(7);
  const PackedBytes files = random_batch(argv[2], batch);
  const at::Tensor labels = at::randint(1000, {batch}, at::kLong);
  Json overrides = {{"kernel", kernel}, {"windows", window}, {"max_tokens", 50000}};
  ByteFormerDescription description = byteformer_description(argv[1], 1000, overrides);
  leave_out_merges(description, files.offsets.back() / batch);
  const auto model = make_byteformer(description, 1);
  if (folder != "-") {
    NamedTensors saved = named_tensors(*model);
    saved.insert(saved.begin(), {{"bench.bytes", files.bytes}, {"bench.offsets", at::tensor(files.offsets, at::kLong)}, {"bench.labels", labels}, {"bench.merges", at::tensor(description.merges, at::kLong)}});
    std::filesystem::create_directories(folder);
    save_weights(std::filesystem::path(folder) / "start.safetensors", saved);
  }

  OptimizerOptions options;
  options.kind = OptimizerOptions::Kind::kAdamW;
  const NamedTensors parameters = named_parameters(*model);
  Optimizer optimizer(parameters, std::vector<ParameterSetting>(parameters.size(), {.weight_decay = 0.05}), options);
  model->train();
  const std::vector<int64_t> counts = model->tokens_of_files(files);
  const at::Tensor tokens = whole ? at::Tensor() : model->embed(files).detach().requires_grad_(true);
  Json losses = Json::array(), seconds = Json::array();
  for (int step = 0; step < kCheckedSteps + steps; ++step) {
    const auto began = std::chrono::steady_clock::now();
    at::Tensor loss;
    {
      const AutocastGuard autocast(at::kCPU, precision);
      loss = at::cross_entropy_loss((whole ? model->forward(files) : model->classify(tokens, counts)).to(at::kFloat), labels);
    }
    loss.backward();
    optimizer.step(1e-4);
    optimizer.zero_grad();
    if (!whole) tokens.mutable_grad() = at::Tensor();
    const double value = loss.item<double>();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (step < kCheckedSteps) {
      losses.push_back(value);
    } else {
      seconds.push_back(took);
    }
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const Json result = {{"losses", losses},         {"seconds", seconds},  {"threads", session.threads},           {"peak_bytes", int64_t{1024} * usage.ru_maxrss},
                       {"estimated_bytes", batch * byteformer_cost(description, files.offsets.back() / batch).activation_bytes}, {"isa", session.isa}, {"commit", build_info().commit}};
  fmt::print("{}\n", result.dump());
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "ARCH MIN_BYTES:MAX_BYTES KERNEL WINDOW BATCH fp32|bf16 STEPS whole|blocks FOLDER", run); }
