// What an epoch of byteformer-train costs beyond its training steps: the trainer over the loader, with decoding, augmentation, encoding,
// progress and metrics, beside a bare loop of the same steps on the same batches prepared beforehand. Both are timed in every round.
//
//   bench-byteformer-epoch DATA ENCODING SIZE KERNEL WIDTH BATCH STEPS ROUNDS      such as pictures/ tiff 32 16 64 32 100 5
//
// DATA is a folder of class folders or a list, ENCODING also as-stored, where SIZE says nothing. The network has six layers and windows of 64.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "byteformer-train/byte_task.h"
#include "byteformer-train/train_byteformer.h"
#include "device/device.h"
#include "device/precision.h"
#include "models/module.h"
#include "train/autocast.h"
#include "train/bench_epoch.h"
#include "train/optimizer.h"

namespace {

using namespace fettle;
using namespace fettle::byteformer;
using Clock = std::chrono::steady_clock;

// Keeps the plans of the first epoch short.
class ShortTask : public ByteTask {
 public:
  ShortTask(Setup setup, int64_t steps) : ByteTask(std::move(setup)), steps_(steps) {}
  int64_t num_batches(int64_t epoch) const override { return std::min(steps_, ByteTask::num_batches(epoch)); }

 private:
  int64_t steps_;
};

void run(char** argv) {
  const Session session = start({.device = "cpu"});
  Options options;
  options.data.data = argv[1];
  options.encoding = argv[2];
  options.sampling.size = std::atoll(argv[3]);
  options.data.val_fraction = 0.01;
  options.train.batch_size = std::atoll(argv[6]);
  options.train.epochs = 1;
  const int64_t steps = std::atoll(argv[7]), rounds = std::atoll(argv[8]);

  ImageData data = open_data(options);
  LoaderOptions loader = loader_options(options.data, data, c10::kCPU, session.threads);
  loader.seed = 1;
  const ProcessGroup alone;
  Input input = input_of(options, data.side);
  ByteFormerDescription description = byteformer_description(
      "bf_custom", data.num_classes, {{"kernel", std::atoll(argv[4])}, {"width", std::atoll(argv[5])}, {"num_layers", 6}, {"num_heads", 2}, {"windows", 64}, {"max_tokens", 50000}});
  Samples training = samples_of(std::move(data.train), input), validation = samples_of(std::move(data.validation), input);
  count_tokens(training, input, description);
  std::vector<int64_t> lengths = training.lengths;
  std::sort(lengths.begin(), lengths.end());
  if (!lengths.empty()) leave_out_merges(description, lengths[lengths.size() / 2]);
  count_tokens(training, input, description);
  count_tokens(validation, input, description);
  const auto model = make_byteformer(description, 1);
  const NamedTensors parameters = named_parameters(*model);
  const std::optional<multiscale::SamplerOptions> sampler = sampler_of(options, input, num_images(training.files), 1);
  const at::ScalarType precision = choose_precision("auto", bf16_support(c10::kCPU), ArchFamily::kTransformer).dtype;

  const std::filesystem::path folder = std::filesystem::temp_directory_path() / fmt::format("fettle-bench-{}", getpid());
  const auto trained_epoch = [&] {
    ShortTask task({options, input, training, validation, *model, sampler, loader, nullptr, nullptr, alone}, steps);
    TrainerSetup setup{.parameters = parameters,
                       .model_state = named_tensors(*model),
                       .set_training_mode = [&](bool on) { model->train(on); },
                       .precision = precision,
                       .seed = loader.seed,
                       .machine = {"bench", "bench"}};
    return trained_epoch_seconds(options.train, std::move(setup), task, folder);
  };
  const auto prepared_epoch = [&] {
    std::vector<BatchPlan> plans = sampler ? multiscale::plan_epoch(*sampler, 0) : plan_epoch(num_images(training.files), training.tokens, batches_of(options, input, alone), loader.seed, 0);
    plans.resize(std::min(plans.size(), static_cast<size_t>(steps)));
    std::vector<ByteBatch> batches;
    {
      LoaderOptions augmented = loader;
      augmented.augment = true;
      ByteLoader source(training.files, input, plans, 0, 0, augmented);
      for (ByteBatch batch; source.next(batch);) {
        batches.push_back(batch);
        batches.back().files.bytes = batch.files.bytes.clone();
        batches.back().labels = batch.labels.clone();
      }
    }
    OptimizerOptions settings;
    settings.kind = OptimizerOptions::Kind::kAdamW;
    Optimizer optimizer(parameters, std::vector<ParameterSetting>(parameters.size(), {.weight_decay = 0.05}), settings);
    model->train();
    const auto began = Clock::now();
    for (const ByteBatch& batch : batches) {
      at::Tensor loss;
      {
        const AutocastGuard autocast(at::kCPU, precision);
        loss = at::cross_entropy_loss(model->forward(batch.files).to(at::kFloat), batch.labels, {}, at::Reduction::Mean, -100, options.label_smoothing);
      }
      loss.backward();
      optimizer.step(1e-4);
      optimizer.zero_grad();
    }
    return std::chrono::duration<double>(Clock::now() - began).count();
  };

  prepared_epoch();  // warms up
  std::vector<double> seconds, ratio;
  for (int64_t round = 0; round < rounds; ++round) {
    seconds.push_back(trained_epoch());
    ratio.push_back(seconds.back() / prepared_epoch());
  }
  std::filesystem::remove_all(folder);
  fmt::print("| {}, size {}, kernel {}, width {}, batch {}, {} steps, {}, {} threads, commit {} | {} | {} |\n", argv[2], argv[3], argv[4], argv[5], argv[6], steps,
             precision == at::kBFloat16 ? "bf16" : "fp32", session.threads, build_info().commit, spread(seconds), spread(ratio));
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "DATA ENCODING SIZE KERNEL WIDTH BATCH STEPS ROUNDS", run); }
