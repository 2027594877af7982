#include "multiscale-train/task.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "metrics/multiply_adds.h"

namespace fettle::multiscale {
const ImageCost& CostTable::at(int64_t height, int64_t width) {
  const auto [entry, is_new] = costs_.try_emplace({height, width});
  if (is_new) {
    const MultiplyAdds counted = count_multiply_adds(model_, height, width);
    entry->second.multiply_adds = static_cast<double>(counted.total);
    for (const LayerMultiplyAdds& layer : counted.layers) {
      double elements = 1;
      for (const int64_t n : layer.output_shape) elements *= static_cast<double>(n);
      // Kept for the backward pass: the convolution's output (for batch norm) and the activation after it (for the next layer).
      entry->second.activation_elements += 2 * elements;
    }
  }
  return entry->second;
}

double training_multiply_adds(const std::vector<ScaledBatch>& batches, CostTable& costs) {
  double total = 0;
  for (const ScaledBatch& batch : batches) {
    total += kTrainingPasses * static_cast<double>(batch.batch_size) * costs.at(batch.height, batch.width).multiply_adds;
  }
  return total;
}

MultiscaleTask::MultiscaleTask(Setup setup) : setup_(std::move(setup)), costs_(setup_.model) {
  for (int64_t epoch = 0; epoch < setup_.sampler.epochs; ++epoch) {
    sequences_.push_back(batch_sequence(setup_.sampler, epoch));
    for (const ScaledBatch& batch : sequences_.back()) {
      FT_REQUIRE_USAGE(batch.batch_size >= setup_.group.size(), "a batch of {} images of {} x {} has none for each of {} processes; a larger --batch-size has", batch.batch_size,
                       batch.height, batch.width, setup_.group.size());
      // Batch norm that is not synchronised sees the smallest share alone.
      const int64_t seen_together = setup_.options.train.sync_batch_norm ? batch.batch_size : batch.batch_size / setup_.group.size();
      setup_.model.require_input(seen_together, setup_.data.channels, batch.height, batch.width, /*training=*/true);
      costs_.at(batch.height, batch.width);
    }
  }
}

StepFacts MultiscaleTask::facts(int64_t epoch, int64_t batch) const {
  const ScaledBatch& planned = sequences_[static_cast<size_t>(epoch)][static_cast<size_t>(batch)];
  const ImageCost& cost = costs_.at(planned.height, planned.width);
  const double images = static_cast<double>(planned.batch_size);
  StepFacts facts;
  facts.num_samples = planned.batch_size;
  facts.multiply_adds = kTrainingPasses * images * cost.multiply_adds;
  facts.activation_bytes = std::ceil(images / setup_.group.size()) * cost.activation_elements * static_cast<double>(at::elementSize(setup_.loader.dtype));
  facts.report = {{"height", planned.height}, {"width", planned.width}, {"batch_size", planned.batch_size}};
  if (epoch == plans_epoch_) facts.sample_ids = plans_[static_cast<size_t>(batch)].indices;
  return facts;
}

void MultiscaleTask::start_epoch(int64_t epoch, int64_t first_batch) {
  loader_.reset();
  plans_ = plan_epoch(setup_.sampler, epoch);
  plans_epoch_ = epoch;
  share_ = plans_;
  for (BatchPlan& plan : share_) plan.indices = share_of(plan.indices, setup_.group);
  LoaderOptions loader = setup_.loader;
  loader.augment = true;
  loader_ = std::make_unique<ImageLoader>(setup_.data.train, setup_.data.normalization, share_, epoch, first_batch, loader);
}

StepLosses MultiscaleTask::step() {
  Batch batch;
  FT_CHECK(loader_->next(batch), "the loader ended before the epoch");
  add_of_all(setup_.bad_images, "train", setup_.data.train, batch.bad, setup_.group);
  FT_REQUIRE(batch.labels.size(0) > 0, "none of the {} images of a batch can be decoded", batch.plan->indices.size());
  at::Tensor images = batch.images, targets = batch.labels;
  RandomStream stream(setup_.loader.seed, "mix", plans_epoch_, batch.plan - share_.data());
  const MixDraw draw = draw_mix(stream, mix_options(setup_.options.data), images.size(2), images.size(3));
  if (draw.kind != MixKind::kNone) {
    const MixedBatch mixed = mix(draw, images, at::one_hot(targets, setup_.data.num_classes).to(at::kFloat));
    images = mixed.images;
    targets = mixed.targets;
  }
  const at::Tensor logits = setup_.model.forward(images);
  return {at::cross_entropy_loss(logits.to(at::kFloat), targets, {}, at::Reduction::Mean, /*ignore_index=*/-100, setup_.options.label_smoothing), {}, images.size(0)};
}

Json MultiscaleTask::validate(int64_t) {
  const ClassificationResult result = evaluate(setup_.sampler.height.base);
  return {{"val_top1_percent", result.top1_percent}, {"val_top5_percent", result.top5_percent}, {"val_ece", result.ece}, {"val_nll", result.nll}};
}

ClassificationResult MultiscaleTask::evaluate(int64_t size) {
  // The same pixels a batch at every size, so that memory stays what training needs.
  ScaledBatch base = setup_.sampler.base();
  base.batch_size = setup_.options.val_batch_size.value_or(base.batch_size);
  const std::vector<BatchPlan> plans = sequential_plans(num_images(setup_.data.validation), scaled_batch_size(base, size, size), size, size);
  const std::vector<BatchPlan> share = share_of(plans, setup_.group);
  ImageLoader loader(setup_.data.validation, setup_.data.normalization, share, 0, 0, setup_.loader);
  ClassificationMeter meter;
  Batch batch;
  std::vector<BadImage> bad;
  while (loader.next(batch)) {
    meter.add(setup_.model.forward(batch.images), batch.labels);
    bad.insert(bad.end(), batch.bad.begin(), batch.bad.end());
  }
  add_of_all(setup_.bad_images, "validation", setup_.data.validation, std::move(bad), setup_.group);
  return total(meter, setup_.group).result();
}

}  // namespace fettle::multiscale
