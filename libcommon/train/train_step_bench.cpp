// Times whole training steps (forward, loss, backward, fused SGD) on one fixed batch: the C++ side of
// scripts/bench/train-step.sh. One JSON object on stdout: losses of the first steps, seconds of each timed step.
//
//   bench-train-step ARCH SIZE CHANNELS BATCH fp32|bf16 STEPS FOLDER
//
// Writes the initial weights and the batch to FOLDER, so that another implementation can start from the same values.
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
#include "models/factory.h"
#include "models/module.h"
#include "train/autocast.h"
#include "train/optimizer.h"

namespace {

using namespace fettle;
using Json = nlohmann::json;

constexpr int kCheckedSteps = 5;

int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{1024} * usage.ru_maxrss;
}

void run(char** argv) {
  const std::string arch = argv[1];
  const int64_t size = std::atoll(argv[2]), channels = std::atoll(argv[3]), batch = std::atoll(argv[4]);
  const at::ScalarType precision = std::string(argv[5]) == "bf16" ? at::kBFloat16 : at::kFloat;
  const int steps = std::atoi(argv[6]);
  const std::filesystem::path folder = argv[7];

  const Session session = start({.device = "cpu"});
  // Dropout draws from another generator on the other side.
  const auto model = make_model(describe(arch, channels, 10, arch == "mobilenet_v2" ? Json{{"dropout", 0.0}} : Json::object()), 1);
  convert_memory_format(*model, at::MemoryFormat::ChannelsLast);
  at::manual_seed(7);
  const at::Tensor images = at::randn({batch, channels, size, size}).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor labels = at::randint(10, {batch}, at::kLong);
  NamedTensors saved = named_tensors(*model);
  saved.insert(saved.begin(), {{"bench.images", images}, {"bench.labels", labels}});
  std::filesystem::create_directories(folder);
  save_weights(folder / "start.safetensors", saved);

  OptimizerOptions options;
  options.nesterov = true;
  const NamedTensors parameters = named_parameters(*model);
  Optimizer optimizer(parameters, std::vector<ParameterSetting>(parameters.size(), {.weight_decay = 5e-4}), options);
  model->train();
  Json losses = Json::array(), seconds = Json::array();
  for (int step = 0; step < kCheckedSteps + steps; ++step) {
    const auto began = std::chrono::steady_clock::now();
    at::Tensor loss;
    {
      const AutocastGuard autocast(at::kCPU, precision);
      loss = at::cross_entropy_loss(model->forward(images).to(at::kFloat), labels);
    }
    loss.backward();
    optimizer.step(0.01);
    optimizer.zero_grad();
    const double value = loss.item<double>();
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    if (step < kCheckedSteps) {
      losses.push_back(value);
    } else {
      seconds.push_back(took);
    }
  }
  const Json result = {{"losses", losses}, {"seconds", seconds}, {"threads", session.threads}, {"peak_bytes", peak_bytes()}, {"isa", session.isa}, {"commit", build_info().commit}};
  fmt::print("{}\n", result.dump());
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "ARCH SIZE CHANNELS BATCH fp32|bf16 STEPS FOLDER", run); }
