// What a whole epoch costs beyond its training steps. Alternates the trainer over the loader (augmentation, progress, losses,
// metrics.jsonl) with a bare loop of the same steps on the same batches, prepared beforehand. One Markdown row a round.
//
//   bench-multiscale-epoch DATA ARCH SIZE SIZES STEPS ROUNDS      such as fashion-mnist resnet20 28 16:40:5 60 5
//
// SIZES "-" stands for ssc-fbs. STEPS is the length of an epoch at the base size, made by using the first images only.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/build_info.h"
#include "base/errors.h"
#include "device/device.h"
#include "device/precision.h"
#include "models/factory.h"
#include "models/state_dict.h"
#include "multiscale-train/task.h"
#include "train/autocast.h"
#include "train/optimizer.h"

namespace {

using namespace fettle;
using namespace fettle::multiscale;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

ImageSet first_images(const ImageSet& all, int64_t count) {
  ImageSet some = all;
  some.num_images = std::min(count, all.num_images);
  some.pixels.resize(static_cast<size_t>(some.num_images * all.height * all.width * all.channels));
  some.labels.resize(static_cast<size_t>(some.num_images));
  return some;
}

struct Bench {
  Options options;
  ImageSet train, validation;
  Normalization normalization;
  SamplerOptions sampler;
  LoaderOptions loader;
  std::shared_ptr<ImageClassifier> model;
  NamedTensors parameters, state;

  double trained_epoch(const std::filesystem::path& folder) {
    MultiscaleTask task({options, sampler, train, validation, normalization, *model, loader});
    TrainerSetup setup{.parameters = parameters,
                       .model_state = state,
                       .set_training_mode = [this](bool on) { model->train(on); },
                       .precision = loader.dtype,
                       .seed = loader.seed,
                       .machine = {"bench", "bench"}};
    std::filesystem::remove_all(folder);
    OutputDirectory output(folder, OutputMode::kCreate);
    Log log(stderr, LogLevel::kQuiet, false, false);
    const RunRecord record;
    Trainer(options.train, std::move(setup), task, output, record, log).run();
    std::ifstream lines(folder / "metrics.jsonl");
    double train_s = 0;
    for (std::string line; std::getline(lines, line);) {
      if (const Json json = Json::parse(line); json.at("event") == "epoch") train_s = json.at("train_s");
    }
    FT_CHECK(train_s > 0);
    return train_s;
  }

  double prepared_epoch() {
    const std::vector<BatchPlan> plans = plan_epoch(sampler, 0);
    std::vector<Batch> batches;
    LoaderOptions augmented = loader;
    augmented.augment = true;
    {
      ImageLoader source(train, normalization, plans, 0, 0, augmented);
      for (Batch batch; source.next(batch);) batches.push_back({batch.images.clone(), batch.labels.clone(), nullptr});
    }
    OptimizerOptions settings;
    settings.nesterov = true;
    Optimizer optimizer(parameters, settings);
    model->train();
    const auto began = Clock::now();
    for (const Batch& batch : batches) {
      at::Tensor loss;
      {
        const AutocastGuard autocast(at::kCPU, loader.dtype);
        loss = at::cross_entropy_loss(model->forward(batch.images).to(at::kFloat), batch.labels);
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
  const ImageDataset data = load_image_dataset(argv[1]);
  const int64_t steps = std::atoll(argv[5]), rounds = std::atoll(argv[6]);
  Bench bench;
  bench.options.arch = argv[2];
  bench.options.size = std::atoll(argv[3]);
  bench.options.size_multiple = 4;
  bench.options.train.epochs = 1;
  bench.options.train.lr = 0.01;
  if (std::string(argv[4]) == "-") {
    bench.options.sampler = "ssc-fbs";
  } else {
    bench.options.sizes = argv[4];
  }
  bench.train = first_images(data.train, steps * bench.options.train.batch_size);
  bench.validation = first_images(data.test, 1);
  bench.normalization = channel_statistics(bench.train);
  bench.sampler = sampler_options(bench.options, bench.train.num_images, bench.train.height, 1);
  const ModelDescription description = describe(bench.options.arch, data.train.channels, data.train.num_classes);
  const bool bf16 = bf16_support(c10::kCPU) == Bf16Support::kAmx;
  bench.loader = {.threads = static_cast<int>(bench.options.workers), .seed = 1, .dtype = bf16 ? at::kBFloat16 : at::kFloat, .crop = crop_options(bench.options)};
  bench.model = make_model(description, 1);
  convert_memory_format(*bench.model, at::MemoryFormat::ChannelsLast);
  for (const StateEntry& entry : state_dict(*bench.model)) {
    bench.state.emplace_back(entry.name, entry.tensor);
    if (entry.is_parameter) bench.parameters.emplace_back(entry.name, entry.tensor);
  }
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("fettle-bench-{}", getpid());
  fmt::print("{} {} {} px, {} sizes, {} base steps, {} threads, {}, commit {}\n\n", argv[1], argv[2], argv[3], argv[4], steps, session.threads,
             bf16 ? "bf16" : "fp32", build_info().commit);
  fmt::print("| round | epoch, s | prepared, s | ratio |\n|---|---|---|---|\n");
  std::vector<double> ratios;
  bench.prepared_epoch();  // warms up
  for (int64_t round = 0; round < rounds; ++round) {
    const double whole = bench.trained_epoch(folder), bare = bench.prepared_epoch();
    ratios.push_back(whole / bare);
    fmt::print("| {} | {:.2f} | {:.2f} | {:.4f} |\n", round + 1, whole, bare, whole / bare);
    std::fflush(stdout);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print("| median | | | {:.4f} ({:.4f}-{:.4f}) |\n", ratios[ratios.size() / 2], ratios.front(), ratios.back());
  std::filesystem::remove_all(folder);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fmt::print(stderr, "usage: {} DATA ARCH SIZE SIZES STEPS ROUNDS\n", argv[0]);
    return 2;
  }
  try {
    run(argv);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 70;
  }
}
