#pragma once
// The step function of classification from bytes, and the evaluation of a network on them.

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "byteformer-train/options.h"
#include "data/bad_images.h"
#include "data/byte_loader.h"
#include "dist/process_group.h"
#include "metrics/classification.h"
#include "train/trainer.h"

namespace fettle::byteformer {

// Labelled samples and what is known of them before they are read.
struct Samples {
  LabelledImages files;
  std::vector<int64_t> file_lengths;  // in bytes, before transforms; empty where contents decide; 0 of what cannot be used
  std::vector<int64_t> lengths;       // likewise, as the network reads them
  std::vector<int64_t> tokens;        // likewise
};
ByteBatches batches_of(const Options& options, const Input& input, const ProcessGroup& group);
Samples samples_of(LabelledImages files, const Input& input);  // with file_lengths
void check_batch_tokens(const Options& options, const Samples& samples, const Input& input);  // --batch-tokens needs their lengths
void count_tokens(Samples& samples, const Input& input, const ByteFormerDescription& description);

// Runs the network, in evaluation mode, over the samples, each process over its share; what they know together. `bad` gets this process's
// files that could not be read, `progress` the number of files that it is done with.
ClassificationResult evaluate(ByteFormer& model, const Samples& samples, const Input& input, const ByteBatches& batches, const LoaderOptions& loader, const ProcessGroup& group,
                              const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress);

class ByteTask : public TrainTask {
 public:
  struct Setup {
    const Options& options;
    const Input& input;
    const Samples& train;
    const Samples& validation;
    ByteFormer& model;
    std::optional<multiscale::SamplerOptions> sampler;  // of pictures
    LoaderOptions loader;
    const SoundAugment* sound_augment;  // null: sounds are taken as they are
    BadImageList* bad_files;  // null: none is left out
    const ProcessGroup& group;
  };
  explicit ByteTask(Setup setup);

  int64_t num_batches(int64_t epoch) const override;
  StepFacts facts(int64_t epoch, int64_t batch) const override;
  void start_epoch(int64_t epoch, int64_t first_batch) override;
  StepLosses step() override;
  double data_wait_seconds() const override { return loader_ ? loader_->wait_seconds() : 0; }
  Json validate(int64_t epoch) override;
  std::string best_metric() const override { return "val_top1_percent"; }

 private:
  const std::vector<BatchPlan>& plans(int64_t epoch) const;
  const ByteFormerCost& cost(int64_t num_bytes) const;

  Setup setup_;
  mutable int64_t plans_epoch_ = -1;
  mutable std::vector<BatchPlan> plans_;              // of all processes
  mutable std::map<int64_t, ByteFormerCost> costs_;  // by bytes
  std::vector<BatchPlan> share_;  // of the epoch that the loader reads: of each batch every group.size()-th file
  std::unique_ptr<ByteLoader> loader_;
};

}  // namespace fettle::byteformer
