#pragma once
// Batches of a labelled image set as tensors, prepared ahead by threads in buffers that are reused. The sequence of batches
// is known in advance, so any position of an epoch can be started at; what was prepared but not consumed is dropped.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "augment/geometry.h"
#include "data/aligned_buffer.h"
#include "dataset/batch_plan.h"
#include "dataset/image_set.h"
#include "dataset/prefetcher.h"

namespace fettle {

// Per channel, in units of pixel / 255.
struct Normalization {
  std::vector<float> mean, std;  // [C]
};

// Mean and standard deviation of every pixel of the set, in exact integer sums.
Normalization channel_statistics(const ImageSet& images);

struct Batch {
  at::Tensor images;  // [B, C, H, W] f32 or bf16, normalised, on the device; valid until the next call to next()
  at::Tensor labels;  // [B] int64
  const BatchPlan* plan = nullptr;  // size and sample indices
};

struct LoaderOptions {
  int threads = 1;          // 0: batches are made by the caller
  int batches_ahead = 3;
  uint64_t seed = 0;
  bool channels_last = true;
  at::ScalarType dtype = at::kFloat;
  c10::Device device = c10::kCPU;
  bool augment = false;     // random crop and flip; otherwise the image is resized and its centre cut out
  CropOptions crop;
  double crop_share = 1;    // of evaluation: see center_view
};

class ImageLoader {
 public:
  // `images` and `plans` must outlive the loader. Batches from `first_batch` on; draws come from
  // (seed, "geometry", epoch, sample index).
  ImageLoader(const ImageSet& images, const Normalization& normalization, const std::vector<BatchPlan>& plans, int64_t epoch, int64_t first_batch,
              const LoaderOptions& options);
  ~ImageLoader();

  // The next batch, or false after the last one.
  bool next(Batch& batch);

  double wait_seconds() const;  // how long next() has waited for the threads

 private:
  struct Slot;
  void prepare(int64_t job, Slot& slot) const;

  const ImageSet& images_;
  const Normalization& normalization_;
  const std::vector<BatchPlan>& plans_;
  int64_t epoch_;
  LoaderOptions options_;
  int64_t most_pixels_ = 0;  // of any batch
  std::unique_ptr<Prefetcher<Slot>> prefetcher_;
};

// Whole images in order, for validation: the last batch may be smaller.
std::vector<BatchPlan> sequential_plans(int64_t num_samples, int64_t batch_size, int64_t height, int64_t width);

}  // namespace fettle
