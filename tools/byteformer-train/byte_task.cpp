#include "byteformer-train/byte_task.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/errors.h"

namespace fettle::byteformer {
namespace {

constexpr double kTrainingPasses = 3;  // the backward pass is two more forward ones

}  // namespace

ByteBatches batches_of(const Options& options, const Input& input, const ProcessGroup& group) {
  return {.batch_size = options.train.batch_size, .batch_tokens = options.batch_tokens.value_or(0), .least = group.size(), .image_size = input.size};
}

Samples samples_of(LabelledImages files, const Input& input) {
  Samples samples{.files = std::move(files)};
  if (auto lengths = file_lengths(samples.files, input)) samples.file_lengths = std::move(*lengths);
  return samples;
}

void check_batch_tokens(const Options& options, const Samples& samples, const Input& input) {
  const bool known = static_cast<int64_t>(samples.file_lengths.size()) == num_images(samples.files);
  FT_REQUIRE_USAGE(!options.batch_tokens || known, "--batch-tokens: with encoding {} contents decide how long files get; --batch-size counts files",
                   encoding_name(input.encoding->encoding));
}

void count_tokens(Samples& samples, const Input& input, const ByteFormerDescription& description) {
  samples.lengths = byte_lengths(samples.file_lengths, input);
  samples.tokens.clear();
  for (const int64_t length : samples.lengths) samples.tokens.push_back(description.num_tokens(length));
}

ClassificationResult evaluate(ByteFormer& model, const Samples& samples, const Input& input, const ByteBatches& batches, const LoaderOptions& loader, const ProcessGroup& group,
                              const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress) {
  const std::vector<BatchPlan> plans = share_of(plan_evaluation(num_images(samples.files), samples.tokens, batches), group);
  ByteLoader own(samples.files, input, plans, 0, 0, loader);
  ClassificationMeter meter;
  int64_t done = 0;
  for (ByteBatch batch; own.next(batch);) {
    meter.add(model.forward(batch.files), batch.labels);
    bad(batch.bad);
    progress(done += static_cast<int64_t>(batch.plan->indices.size()));
  }
  return total(meter, group).result();
}

ByteTask::ByteTask(Setup setup) : setup_(std::move(setup)) {
  if (setup_.sampler) {
    const multiscale::ScaledBatch batch = multiscale::largest_images(*setup_.sampler);
    FT_REQUIRE_USAGE(batch.batch_size >= setup_.group.size(), "a batch of {} pictures of {} x {} has none for each of {} processes; a larger --batch-size has", batch.batch_size, batch.height,
                     batch.width, setup_.group.size());
  }
}

int64_t ByteTask::num_batches(int64_t epoch) const {
  return static_cast<int64_t>(setup_.sampler ? multiscale::batch_sequence(*setup_.sampler, epoch).size() : plans(epoch).size());
}

const std::vector<BatchPlan>& ByteTask::plans(int64_t epoch) const {
  if (epoch != plans_epoch_) {
    plans_ = setup_.sampler ? multiscale::plan_epoch(*setup_.sampler, epoch)
                            : plan_epoch(num_images(setup_.train.files), setup_.train.tokens, batches_of(setup_.options, setup_.input, setup_.group), setup_.loader.seed, epoch);
    plans_epoch_ = epoch;
  }
  return plans_;
}

const ByteFormerCost& ByteTask::cost(int64_t num_bytes) const {
  const auto [entry, is_new] = costs_.try_emplace(num_bytes);
  if (is_new) entry->second = byteformer_cost(setup_.model.description(), num_bytes);
  return entry->second;
}

StepFacts ByteTask::facts(int64_t epoch, int64_t batch) const {
  const BatchPlan& plan = plans(epoch)[static_cast<size_t>(batch)];
  StepFacts facts;
  facts.num_samples = static_cast<int64_t>(plan.indices.size());
  facts.sample_ids = plan.indices;
  facts.report = {{"batch_size", plan.indices.size()}};
  if (setup_.sampler) facts.report.update({{"height", plan.height}, {"width", plan.width}});
  if (setup_.train.lengths.empty()) return facts;
  int64_t tokens = 0;
  const std::optional<int64_t> of_pictures = setup_.sampler ? image_length(setup_.input, plan.height, plan.width, num_channels(setup_.train.files)) : std::nullopt;
  for (const int64_t index : plan.indices) {
    if (setup_.train.lengths[static_cast<size_t>(index)] == 0) continue;  // cannot be used
    const ByteFormerCost& of_file = cost(of_pictures.value_or(setup_.train.lengths[static_cast<size_t>(index)]));
    facts.multiply_adds += kTrainingPasses * static_cast<double>(of_file.multiply_adds());
    facts.activation_bytes += static_cast<double>(of_file.activation_bytes) / setup_.group.size();
    tokens += of_file.tokens[0];
  }
  facts.report["tokens"] = tokens;
  return facts;
}

void ByteTask::start_epoch(int64_t epoch, int64_t first_batch) {
  loader_.reset();
  share_ = plans(epoch);
  for (BatchPlan& plan : share_) plan.indices = share_of(plan.indices, setup_.group);
  LoaderOptions loader = setup_.loader;
  loader.augment = true;
  loader_ = std::make_unique<ByteLoader>(setup_.train.files, setup_.input, share_, epoch, first_batch, loader, setup_.sound_augment);
}

StepLosses ByteTask::step() {
  ByteBatch batch;
  FT_CHECK(loader_->next(batch), "the loader ended before the epoch");
  add_of_all(setup_.bad_files, "train", setup_.train.files, batch.bad, setup_.group);
  const at::Tensor logits = setup_.model.forward(batch.files);
  at::Tensor targets = batch.labels;
  if (batch.partners.defined()) {
    const int64_t classes = logits.size(1);
    targets = at::lerp(at::one_hot(batch.partners, classes).to(at::kFloat), at::one_hot(batch.labels, classes).to(at::kFloat), batch.weights.unsqueeze(1));
  }
  const at::Tensor loss = at::cross_entropy_loss(logits.to(at::kFloat), targets.to(logits.device()), {}, at::Reduction::Mean, /*ignore_index=*/-100, setup_.options.label_smoothing);
  return {loss, {}, batch.labels.size(0)};
}

Json ByteTask::validate(int64_t) {
  std::vector<BadImage> bad;
  const ClassificationResult result = evaluate(setup_.model, setup_.validation, setup_.input, batches_of(setup_.options, setup_.input, setup_.group), setup_.loader, setup_.group,
                                               [&](const std::vector<BadImage>& some) { bad.insert(bad.end(), some.begin(), some.end()); }, [](int64_t) {});
  add_of_all(setup_.bad_files, "validation", setup_.validation.files, std::move(bad), setup_.group);
  return {{"val_top1_percent", result.top1_percent}, {"val_top5_percent", result.top5_percent}, {"val_ece", result.ece}, {"val_nll", result.nll}};
}

}  // namespace fettle::byteformer
