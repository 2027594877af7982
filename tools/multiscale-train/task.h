#pragma once
// The step function of multi-scale classification: the sampler's batches through the loader into cross-entropy.

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "data/bad_images.h"
#include "data/loader.h"
#include "data/options.h"
#include "dist/process_group.h"
#include "metrics/classification.h"
#include "models/image_classifier.h"
#include "multiscale-train/options.h"
#include "sampling/samplers.h"
#include "train/trainer.h"

namespace fettle::multiscale {

// Cost of one image at one size.
struct ImageCost {
  double multiply_adds = 0;      // forward
  double activation_elements = 0;  // estimate: what convolutions and activations keep for the backward pass
};

// Costs of a network by (height, width), counted once each.
class CostTable {
 public:
  explicit CostTable(ImageClassifier& model) : model_(model) {}
  const ImageCost& at(int64_t height, int64_t width);

 private:
  ImageClassifier& model_;
  std::map<std::pair<int64_t, int64_t>, ImageCost> costs_;
};

// Training costs three forward passes: the backward pass is two more.
inline constexpr double kTrainingPasses = 3;

// Multiply-adds of training on these batches.
double training_multiply_adds(const std::vector<ScaledBatch>& batches, CostTable& costs);

class MultiscaleTask : public TrainTask {
 public:
  // Everything handed in must outlive the task.
  struct Setup {
    const Options& options;
    SamplerOptions sampler;
    const ImageData& data;
    ImageClassifier& model;
    LoaderOptions loader;
    BadImageList* bad_images = nullptr;  // null: none is left out
    const ProcessGroup& group;
  };
  explicit MultiscaleTask(Setup setup);

  int64_t num_batches(int64_t epoch) const override { return static_cast<int64_t>(sequences_[static_cast<size_t>(epoch)].size()); }
  StepFacts facts(int64_t epoch, int64_t batch) const override;
  void start_epoch(int64_t epoch, int64_t first_batch) override;
  StepLosses step() override;
  double data_wait_seconds() const override { return loader_ ? loader_->wait_seconds() : 0; }
  Json validate(int64_t epoch) override;
  std::string best_metric() const override { return "val_top1_percent"; }

  // Accuracy and calibration of the model as it is on the validation set, at one size; stops early on a second signal only.
  ClassificationResult evaluate(int64_t size);

 private:
  Setup setup_;
  std::vector<std::vector<ScaledBatch>> sequences_;  // by epoch
  mutable CostTable costs_;
  int64_t plans_epoch_ = -1;
  std::vector<BatchPlan> plans_;  // of all processes
  std::vector<BatchPlan> share_;  // of this one: of each batch every group.size()-th image
  std::unique_ptr<ImageLoader> loader_;  // reads share_
};

}  // namespace fettle::multiscale
