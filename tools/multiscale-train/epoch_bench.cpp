// Two questions to an epoch of multiscale-train: what it costs beyond its training steps (the trainer over the loader, with
// augmentation, progress and metrics, beside a bare loop of the same steps on the same batches prepared beforehand), and
// whether msc-vbs saves the time that it saves in multiply-adds. All four are timed in every round; Markdown on stdout.
//
//   bench-multiscale-epoch DATA ARCH SIZE SIZES STEPS ROUNDS      such as fashion-mnist resnet20 28 16:40:5 60 7
//
// DATA is fashion-mnist or a folder of class folders. STEPS is the length of an epoch at the base size, made of the first images, or of
// all of them several times.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "device/device.h"
#include "device/precision.h"
#include "models/factory.h"
#include "models/module.h"
#include "multiscale-train/task.h"
#include "train/autocast.h"
#include "train/bench_epoch.h"
#include "train/optimizer.h"

namespace {

using namespace fettle;
using namespace fettle::multiscale;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// An epoch of `steps` batches: of the first images, or of all of them several times.
SamplerOptions sampler_for(const Options& options, const ImageData& data, int64_t steps) {
  const int64_t wanted = steps * options.train.batch_size, used = std::min(wanted, num_images(data.train));
  SamplerOptions sampler = sampler_options(options, used, *options.sampling.size, 1);
  sampler.repeats = (wanted + used - 1) / used;
  return sampler;
}

struct Bench {
  Options options;
  const ImageData& data;
  LoaderOptions loader;
  ImageClassifier& model;
  NamedTensors parameters, state;
  SamplerOptions sampler;

  double multiply_adds() {
    CostTable costs(model);
    return training_multiply_adds(batch_sequence(sampler, 0), costs);
  }

  double trained_epoch(const std::filesystem::path& folder) {
    const ProcessGroup alone;
    MultiscaleTask task({options, sampler, data, model, loader, nullptr, alone});
    TrainerSetup setup{.parameters = parameters,
                       .model_state = state,
                       .set_training_mode = [this](bool on) { model.train(on); },
                       .precision = loader.dtype,
                       .seed = loader.seed,
                       .machine = {"bench", "bench"}};
    return trained_epoch_seconds(options.train, std::move(setup), task, folder);
  }

  double prepared_epoch() {
    const std::vector<BatchPlan> plans = plan_epoch(sampler, 0);
    std::vector<Batch> batches;
    LoaderOptions augmented = loader;
    augmented.augment = true;
    {
      ImageLoader source(data.train, data.normalization, plans, 0, 0, augmented);
      for (Batch batch; source.next(batch);) batches.push_back({batch.images.clone(), batch.labels.clone(), nullptr});
    }
    OptimizerOptions settings;
    settings.nesterov = true;
    Optimizer optimizer(parameters, std::vector<ParameterSetting>(parameters.size()), settings);
    model.train();
    const auto began = Clock::now();
    for (const Batch& batch : batches) {
      at::Tensor loss;
      {
        const AutocastGuard autocast(at::kCPU, loader.dtype);
        loss = at::cross_entropy_loss(model.forward(batch.images).to(at::kFloat), batch.labels);
      }
      loss.backward();
      optimizer.step(0.01);
      optimizer.zero_grad();
    }
    return seconds_since(began);
  }
};

void run(char** argv) {
  const Session session = start({.device = "cpu"});
  const int64_t steps = std::atoll(argv[5]), rounds = std::atoll(argv[6]);
  Options options;
  options.data.data = argv[1];
  options.arch = argv[2];
  options.sampling.size = std::atoll(argv[3]);
  options.sampling.size_multiple = std::atoll(argv[3]) >= 64 ? 32 : 4;
  options.train.epochs = 1;
  options.train.lr = 0.01;
  options.data.val_fraction = options.data.data == "fashion-mnist" ? std::nullopt : std::optional<double>(0.01);
  ImageData data = open_image_data(options.data);
  if (auto* set = std::get_if<ImageSet>(&data.validation)) set->num_images = 1;  // validation is not what is timed
  const bool bf16 = bf16_support(c10::kCPU) == Bf16Support::kAmx;
  LoaderOptions loader = loader_options(options.data, data, at::kCPU, session.threads);
  loader.seed = 1;
  loader.dtype = bf16 ? at::kBFloat16 : at::kFloat;
  const auto model = make_model(describe(options.arch, data.channels, data.num_classes), 1);
  convert_memory_format(*model, at::MemoryFormat::ChannelsLast);
  const NamedTensors parameters = named_parameters(*model), state = named_tensors(*model);
  Options fixed_options = options, variable_options = options;
  fixed_options.sampling.sampler = "ssc-fbs";
  variable_options.sampling.sizes = argv[4];
  Bench fixed{fixed_options, data, loader, *model, parameters, state, sampler_for(fixed_options, data, steps)};
  Bench variable{variable_options, data, loader, *model, parameters, state, sampler_for(variable_options, data, steps)};

  const std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("fettle-bench-{}", getpid());
  fmt::print("{} {} {} px, sizes {}, {} base steps, {} threads, {}, commit {}\n\n", argv[1], argv[2], argv[3], argv[4], steps, session.threads,
             bf16 ? "bf16" : "fp32", build_info().commit);
  fixed.prepared_epoch();  // warms up
  std::vector<double> fixed_s, variable_s, fixed_ratio, variable_ratio, share;
  for (int64_t round = 0; round < rounds; ++round) {
    fixed_s.push_back(fixed.trained_epoch(folder));
    fixed_ratio.push_back(fixed_s.back() / fixed.prepared_epoch());
    variable_s.push_back(variable.trained_epoch(folder));
    variable_ratio.push_back(variable_s.back() / variable.prepared_epoch());
    share.push_back(variable_s.back() / fixed_s.back());
  }
  std::filesystem::remove_all(folder);
  fmt::print("| | epoch, s | of prepared batches | time of ssc-fbs | multiply-adds of ssc-fbs |\n|---|---|---|---|---|\n");
  fmt::print("| ssc-fbs | {} | {} | 1 | 1 |\n", spread(fixed_s), spread(fixed_ratio));
  fmt::print("| msc-vbs | {} | {} | {} | {:.3f} |\n", spread(variable_s), spread(variable_ratio), spread(share), variable.multiply_adds() / fixed.multiply_adds());
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "DATA ARCH SIZE SIZES STEPS ROUNDS", run); }
