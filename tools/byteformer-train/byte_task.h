#pragma once
// The step function of classification from bytes, and the evaluation of a network on them.

#include <functional>
#include <memory>
#include <vector>

#include "data/byte_loader.h"
#include "byteformer-train/options.h"
#include "data/bad_images.h"
#include "metrics/classification.h"
#include "train/trainer.h"

namespace fettle::byteformer {

// Labelled samples and what is known of them before they are read.
struct Samples {
  LabelledImages files;
  std::vector<int64_t> lengths;  // in bytes, as the network reads them; empty where contents decide
  std::vector<int64_t> tokens;   // likewise
};
Samples samples_of(LabelledImages files, const Input& input, const ByteFormerDescription& description);

// Runs the network, in evaluation mode, over all samples.
ClassificationResult evaluate(ByteFormer& model, const Samples& samples, const Input& input, int64_t batch_size, int64_t batch_tokens, const LoaderOptions& loader,
                              const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress);

class ByteTask : public TrainTask {
 public:
  struct Setup {
    const Options& options;
    const Input& input;
    const Samples& train;
    const Samples& validation;
    ByteFormer& model;
    LoaderOptions loader;
    BadImageList& bad_files;
  };
  explicit ByteTask(Setup setup);

  int64_t num_batches(int64_t epoch) const override { return static_cast<int64_t>(plans(epoch).size()); }
  StepFacts facts(int64_t epoch, int64_t batch) const override;
  void start_epoch(int64_t epoch, int64_t first_batch) override;
  StepLosses step() override;
  double data_wait_seconds() const override { return loader_ ? loader_->wait_seconds() : 0; }
  Json validate(int64_t epoch) override;
  std::string best_metric() const override { return "val_top1_percent"; }

 private:
  const std::vector<BatchPlan>& plans(int64_t epoch) const;

  Setup setup_;
  mutable int64_t plans_epoch_ = -1;
  mutable std::vector<BatchPlan> plans_;
  std::vector<BatchPlan> running_;  // of the epoch that the loader reads
  std::unique_ptr<ByteLoader> loader_;
};

}  // namespace fettle::byteformer
