#pragma once
// Batches of labelled images as tensors, prepared ahead by threads in buffers that are reused. The sequence of batches is known
// in advance, so any position of an epoch can be started at; what was prepared but not consumed is dropped.
//
// Training:   decode, crop (RandomResizedCrop), resize, flip, policy, colour jitter, normalise, erase
// Evaluation: decode whole, resize, centre crop, normalise
// What is drawn for a sample depends on (seed, epoch, index) alone: the same for any number of threads, batch and position.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "augment/geometry.h"
#include "augment/pixel_ops.h"
#include "augment/policy.h"
#include "data/image_cache.h"
#include "data/labelled_images.h"
#include "dataset/batch_plan.h"
#include "dataset/prefetcher.h"
#include "decode/image.h"
#include "kernels/resize/resize.h"

namespace fettle {

// Per channel, in units of pixel / 255.
struct Normalization {
  std::vector<float> mean, std;  // [C]
};

// Mean and standard deviation of every pixel of the set, in exact integer sums.
Normalization channel_statistics(const ImageSet& images);

struct BadImage {
  int64_t index = 0;
  std::string why;  // names the file
  bool operator==(const BadImage&) const = default;
};

// The samples of the plan that are in the batch.
std::vector<int64_t> kept_indices(const BatchPlan& plan, const std::vector<BadImage>& bad);

kernels::ResizeFilter resize_filter_named(const std::string& interpolation);  // "bilinear" or "bicubic"

struct Batch {
  at::Tensor images;  // [B, C, H, W] f32 or bf16, normalised, on the device; or [B, H, W, C] u8. Valid until the next call to next()
  at::Tensor labels;  // [B] int64
  const BatchPlan* plan = nullptr;  // size and sample indices as planned
  std::vector<BadImage> bad;        // samples of the plan that are not in the batch
};

struct LoaderOptions {
  int threads = 1;          // 0: batches are made by the caller
  int batches_ahead = 3;
  uint64_t seed = 0;
  bool channels_last = true;
  at::ScalarType dtype = at::kFloat;  // or kBFloat16; on the CPU also kByte: the pixels themselves, not normalised, [B, H, W, C]
  c10::Device device = c10::kCPU;
  bool augment = false;     // as training; otherwise as evaluation
  CropOptions crop;         // training
  PhotometricOptions photometric;  // training
  PixelOpSettings pixel_ops;
  double crop_share = 1;    // evaluation: see center_view
  kernels::ResizeFilter filter = kernels::ResizeFilter::kBilinear;
  // Training decodes of a JPEG what its crop needs, at a fraction of the size where the resize shrinks from there (decode_box).
  // Exact decoding decodes whole images, as evaluation does. A cache has its own rule for the fraction.
  bool exact_decode = false;
  std::shared_ptr<ImageCache> cache;  // of training images, shared by the loaders of a run; files only
  bool exif_orientation = false;
  DecodeOptions decode;
  // Evaluation: changes the pixels [H, W, C] of the sample of this index in place, between crop and normalisation. Called by several threads.
  std::function<void(int64_t index, const PixelShape& shape, uint8_t* pixels)> change_pixels;
  bool skip_bad_images = false;  // leave out what cannot be decoded instead of stopping
};

// How a training image's pixels come about, apart from what is drawn: two runs with equal ids and draws see equal pixels. Part of
// the record of a reinforced data set. "libjpeg-turbo/scaled; resize/bilinear/antialias/u8; pillow/nearest/fill=0,0,0"
std::string pipeline_id(const LoaderOptions& options);

// What a training image takes in the options' cache, which it may not find room in. `decoder` has just opened it.
int64_t cached_bytes(const ImageInfo& info, ImageDecoder& decoder, const LoaderOptions& options, const ImageCache& cache);

class ImageLoader {
 public:
  // `images`, `normalization` and `plans` must outlive the loader. Batches from `first_batch` on.
  ImageLoader(const LabelledImages& images, const Normalization& normalization, const std::vector<BatchPlan>& plans, int64_t epoch, int64_t first_batch,
              const LoaderOptions& options);
  ImageLoader(LabelledImages&&, const Normalization&, const std::vector<BatchPlan>&, int64_t, int64_t, const LoaderOptions&) = delete;
  ~ImageLoader();

  // The next batch, or false after the last one. Errors (kInput) name the file: one that cannot be read or decoded, unless those are
  // skipped; a batch of which nothing is left.
  bool next(Batch& batch);

  double wait_seconds() const;  // how long next() has waited for the threads

 private:
  struct Slot;
  struct Source;
  void prepare(int64_t job, Slot& slot) const;
  void add_sample(int64_t index, const BatchPlan& plan, Slot& slot) const;
  View open_image(int64_t index, const BatchPlan& plan, Slot& slot, Source& source) const;
  View open_cached(const CachedImage& cached, int64_t index, const BatchPlan& plan, Source& source) const;
  View view_of(int64_t index, int64_t height, int64_t width, const BatchPlan& plan) const;
  void finish(const uint8_t* pixels, bool flip, const std::optional<PixelBox>& erase, const BatchPlan& plan, int64_t position, Slot& slot) const;

  const LabelledImages& images_;
  const Normalization& normalization_;
  const std::vector<BatchPlan>& plans_;
  int64_t epoch_;
  LoaderOptions options_;
  int64_t channels_;
  int64_t most_pixels_ = 0;    // of any batch
  int64_t largest_image_ = 0;  // pixels
  std::unique_ptr<Prefetcher<Slot>> prefetcher_;
};

// Whole images in order, for validation: the last batch may be smaller.
std::vector<BatchPlan> sequential_plans(int64_t num_samples, int64_t batch_size, int64_t height, int64_t width);

}  // namespace fettle
