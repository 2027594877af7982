#include "byteformer-train/byte_task.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/errors.h"

namespace fettle::byteformer {
namespace {

constexpr double kTrainingPasses = 3;  // the backward pass is two more forward ones

}  // namespace

Samples samples_of(LabelledImages files, const Input& input, const ByteFormerDescription& description) {
  Samples samples{std::move(files), {}, {}};
  if (auto lengths = byte_lengths(samples.files, input)) samples.lengths = std::move(*lengths);
  for (const int64_t length : samples.lengths) samples.tokens.push_back(description.num_tokens(length));
  return samples;
}

ClassificationResult evaluate(ByteFormer& model, const Samples& samples, const Input& input, int64_t batch_size, int64_t batch_tokens, const LoaderOptions& loader,
                              const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress) {
  const std::vector<BatchPlan> plans = plan_evaluation(num_images(samples.files), samples.tokens, batch_size, batch_tokens, input.size);
  ByteLoader batches(samples.files, input, plans, 0, 0, loader);
  ClassificationMeter meter;
  int64_t done = 0;
  for (ByteBatch batch; batches.next(batch);) {
    meter.add(model.forward(batch.files), batch.labels);
    bad(batch.bad);
    progress(done += static_cast<int64_t>(batch.plan->indices.size()));
  }
  return meter.result();
}

ByteTask::ByteTask(Setup setup) : setup_(std::move(setup)) {}

const std::vector<BatchPlan>& ByteTask::plans(int64_t epoch) const {
  if (epoch != plans_epoch_) {
    const Options& options = setup_.options;
    plans_ = plan_epoch(num_images(setup_.train.files), setup_.train.tokens, options.train.batch_size, options.batch_tokens.value_or(0), setup_.input.size, setup_.loader.seed, epoch);
    plans_epoch_ = epoch;
  }
  return plans_;
}

StepFacts ByteTask::facts(int64_t epoch, int64_t batch) const {
  const BatchPlan& plan = plans(epoch)[static_cast<size_t>(batch)];
  StepFacts facts;
  facts.num_samples = static_cast<int64_t>(plan.indices.size());
  facts.sample_ids = plan.indices;
  facts.report = {{"batch_size", plan.indices.size()}};
  if (setup_.train.lengths.empty()) return facts;
  int64_t tokens = 0;
  for (const int64_t index : plan.indices) {
    const ByteFormerCost cost = byteformer_cost(setup_.model.description(), setup_.train.lengths[static_cast<size_t>(index)]);
    facts.multiply_adds += kTrainingPasses * static_cast<double>(cost.multiply_adds());
    facts.activation_bytes += static_cast<double>(cost.activation_bytes);
    tokens += setup_.train.tokens[static_cast<size_t>(index)];
  }
  facts.report["tokens"] = tokens;
  return facts;
}

void ByteTask::start_epoch(int64_t epoch, int64_t first_batch) {
  loader_.reset();
  running_ = plans(epoch);
  LoaderOptions loader = setup_.loader;
  loader.augment = true;
  loader_ = std::make_unique<ByteLoader>(setup_.train.files, setup_.input, running_, epoch, first_batch, loader);
}

StepLosses ByteTask::step() {
  ByteBatch batch;
  FT_CHECK(loader_->next(batch), "the loader ended before the epoch");
  if (setup_.loader.skip_bad_images) setup_.bad_files.add("train", setup_.train.files, batch.bad);
  const at::Tensor logits = setup_.model.forward(batch.files);
  const at::Tensor loss = at::cross_entropy_loss(logits.to(at::kFloat), batch.labels.to(logits.device()), {}, at::Reduction::Mean, /*ignore_index=*/-100, setup_.options.label_smoothing);
  return {loss, {}, batch.labels.size(0)};
}

Json ByteTask::validate(int64_t) {
  const Options& options = setup_.options;
  const auto note = [&](const std::vector<BadImage>& bad) {
    if (setup_.loader.skip_bad_images) setup_.bad_files.add("validation", setup_.validation.files, bad);
  };
  const ClassificationResult result =
      evaluate(setup_.model, setup_.validation, setup_.input, options.train.batch_size, options.batch_tokens.value_or(0), setup_.loader, note, [](int64_t) {});
  return {{"val_top1_percent", result.top1_percent}, {"val_top5_percent", result.top5_percent}, {"val_ece", result.ece}, {"val_nll", result.nll}};
}

}  // namespace fettle::byteformer
