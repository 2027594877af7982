#pragma once
// Batches of labelled bytes, in the order of a plan.

#include <memory>
#include <vector>

#include "bytes/byte_input.h"
#include "data/loader.h"
#include "data/packed_bytes.h"
#include "data/sound_augment.h"

namespace fettle::byteformer {

struct ByteBatch {
  PackedBytes files;
  at::Tensor labels;  // [B] int64
  // Where sounds were mixed: each with one of the class partners[i] [B] int64, which has the weight 1 - weights[i] [B] f32. Else undefined.
  at::Tensor partners, weights;
  const BatchPlan* plan = nullptr;
  std::vector<BadImage> bad;  // samples of the plan that are not in the batch
};

// `images.augment` says whether pictures are drawn as for training; with `sounds` those that are encoded are. All arguments outlive it.
class ByteLoader {
 public:
  ByteLoader(const LabelledImages& samples, const Input& input, const std::vector<BatchPlan>& plans, int64_t epoch, int64_t first_batch, const LoaderOptions& images,
             const SoundAugment* sounds = nullptr);
  ~ByteLoader();
  bool next(ByteBatch& batch);  // false after the last; what it gave is valid until the next call
  double wait_seconds() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The bytes of each sample before its transforms, nothing where contents decide: of stored files, of sounds that become WAV, all of which are
// decoded for it unless `num_samples` says how long they are, of pictures whose encoding has one size. 0 of a file that cannot be used.
std::optional<std::vector<int64_t>> file_lengths(const LabelledImages& samples, const Input& input);

// What the network reads of files of so many bytes.
std::vector<int64_t> byte_lengths(std::vector<int64_t> file_lengths, const Input& input);

// Of a picture of that size after its encoding and transforms, nothing where contents decide.
std::optional<int64_t> image_length(const Input& input, int64_t height, int64_t width, int64_t channels);

// The batches of an epoch: every sample once, in an order that follows from (seed, epoch). With the samples' tokens, files of similar length
// come together; else `tokens` is empty. With batch_tokens > 0 a batch has as many of them as keep its tokens below that, else batch_size but for the
// last; at least `least` in any case, one for each of several processes.
struct ByteBatches {
  int64_t batch_size = 1;
  int64_t batch_tokens = 0;
  int64_t least = 1;
  int64_t image_size = 0;  // height and width of the plans
};
std::vector<BatchPlan> plan_epoch(int64_t num_samples, const std::vector<int64_t>& tokens, const ByteBatches& batches, uint64_t seed, int64_t epoch);

// All samples in order, as batches for evaluation.
std::vector<BatchPlan> plan_evaluation(int64_t num_samples, const std::vector<int64_t>& tokens, const ByteBatches& batches);

}  // namespace fettle::byteformer
