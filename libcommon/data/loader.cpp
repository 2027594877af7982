#include "data/loader.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "kernels/batch_finish/batch_finish.h"
#include "kernels/resize/resize.h"
#include "ops/batch_finish.h"

namespace fettle {

// Buffers of one batch, made by the loader's threads, which call nothing of LibTorch.
struct ImageLoader::Slot {
  const BatchPlan* plan = nullptr;
  AlignedBuffer workspace;      // of the resizing kernel
  std::vector<int64_t> labels;  // [B]
  std::vector<uint8_t> flip;    // [B]
  AlignedBuffer pixels;         // [B, H, W, C] u8
  AlignedBuffer finished;       // on the CPU: [B, C, H, W] f32 or bf16
};

namespace {

// source [.., source_width, C] to target [height, width, C].
void resize_view(const uint8_t* source, int64_t source_width, int channels, const View& view, int64_t height, int64_t width, uint8_t* target,
                 AlignedBuffer& workspace) {
  kernels::ResizeArgs args;
  args.in = source + (view.top * source_width + view.left) * channels;
  args.in_height = view.height;
  args.in_width = view.width;
  args.in_stride = source_width * channels;
  args.channels = channels;
  args.top = view.box_top;
  args.left = view.box_left;
  args.height = view.box_height;
  args.width = view.box_width;
  args.out = target;
  args.out_height = height;
  args.out_width = width;
  args.order = kernels::resize_order(view.height, view.width, view.resized_height, view.resized_width);
  args.workspace = workspace.reserve(kernels::resize_workspace_bytes(args));
  const kernels::Status status = kernels::resize(args);
  FT_CHECK(status == kernels::Status::kOk, "resize: {}", kernels::status_text(status));
}

}  // namespace

Normalization channel_statistics(const ImageSet& images) {
  const int64_t channels = images.channels;
  const int64_t pixels = images.num_images * images.height * images.width;
  std::vector<std::vector<uint64_t>> histograms(static_cast<size_t>(channels), std::vector<uint64_t>(256));
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t c = 0; c < channels; ++c) ++histograms[static_cast<size_t>(c)][images.pixels[static_cast<size_t>(i * channels + c)]];
  }
  Normalization result;
  for (const auto& histogram : histograms) {
    uint64_t sum = 0, squares = 0;
    for (uint64_t value = 0; value < 256; ++value) {
      sum += value * histogram[value];
      squares += value * value * histogram[value];
    }
    const double mean = static_cast<double>(sum) / static_cast<double>(pixels);
    const double variance = static_cast<double>(squares) / static_cast<double>(pixels) - mean * mean;
    result.mean.push_back(static_cast<float>(mean / 255));
    // A channel that is constant carries nothing: leave it at zero instead of dividing by nothing.
    result.std.push_back(variance > 0 ? static_cast<float>(std::sqrt(variance) / 255) : 1.0f);
  }
  return result;
}

ImageLoader::ImageLoader(const ImageSet& images, const Normalization& normalization, const std::vector<BatchPlan>& plans, int64_t epoch,
                         int64_t first_batch, const LoaderOptions& options)
    : images_(images), normalization_(normalization), plans_(plans), epoch_(epoch), options_(options) {
  int64_t most_pixels = 0;
  for (const BatchPlan& plan : plans) {
    most_pixels = std::max(most_pixels, plan.height * plan.width * static_cast<int64_t>(plan.indices.size()));
    for (const int64_t index : plan.indices) FT_CHECK(index >= 0 && index < images.num_images, "sample {} of {}", index, images.num_images);
  }
  most_pixels_ = most_pixels;
  prefetcher_ = std::make_unique<Prefetcher<Slot>>(options.threads, options.threads == 0 ? 1 : options.batches_ahead + 1, first_batch,
                                                   static_cast<int64_t>(plans.size()) - first_batch, [this](int64_t job, Slot& slot) { prepare(job, slot); });
}

ImageLoader::~ImageLoader() = default;

double ImageLoader::wait_seconds() const { return prefetcher_->wait_seconds(); }

void ImageLoader::prepare(int64_t job, Slot& slot) const {
  const BatchPlan& plan = plans_[static_cast<size_t>(job)];
  const size_t batch = plan.indices.size();
  const int64_t source_bytes = images_.height * images_.width * images_.channels;
  const int64_t target_bytes = plan.height * plan.width * images_.channels;
  slot.plan = &plan;
  // Room for the largest batch at once: buffers never move and are faulted in only once.
  uint8_t* const pixels = static_cast<uint8_t*>(slot.pixels.reserve(most_pixels_ * images_.channels));
  slot.flip.resize(batch);
  slot.labels.resize(batch);
  for (size_t i = 0; i < batch; ++i) {
    const int64_t index = plan.indices[i];
    View view = center_view(images_.height, images_.width, plan.height, plan.width, options_.crop_share);
    if (options_.augment) {
      RandomStream stream(options_.seed, "geometry", epoch_, index);
      view = crop_view(draw_geometry(stream, images_.height, images_.width, options_.crop), plan.height, plan.width);
    }
    resize_view(images_.pixels.data() + index * source_bytes, images_.width, static_cast<int>(images_.channels), view, plan.height, plan.width,
                pixels + static_cast<int64_t>(i) * target_bytes, slot.workspace);
    slot.flip[i] = view.flip ? 1 : 0;
    slot.labels[i] = images_.labels[static_cast<size_t>(index)];
  }
  if (!options_.device.is_cpu()) return;
  kernels::BatchFinishArgs args;
  args.in = pixels;
  args.flip = slot.flip.data();
  args.mean = normalization_.mean.data();
  args.std = normalization_.std.data();
  args.out = slot.finished.reserve(most_pixels_ * images_.channels * static_cast<int64_t>(at::elementSize(options_.dtype)));
  args.batch = static_cast<int64_t>(batch);
  args.height = plan.height;
  args.width = plan.width;
  args.channels = static_cast<int>(images_.channels);
  args.out_dtype = options_.dtype == at::kFloat ? kernels::DType::kF32 : kernels::DType::kBF16;
  args.out_layout = options_.channels_last ? kernels::ImageLayout::kNhwc : kernels::ImageLayout::kNchw;
  args.num_threads = 1;
  const kernels::Status status = kernels::batch_finish({}, args, {});
  FT_CHECK(status == kernels::Status::kOk, "batch_finish: {}", kernels::status_text(status));
}

bool ImageLoader::next(Batch& batch) {
  Slot* const slot = prefetcher_->next();
  if (slot == nullptr) return false;
  const int64_t size = static_cast<int64_t>(slot->plan->indices.size());
  const int64_t channels = images_.channels, height = slot->plan->height, width = slot->plan->width;
  const at::Tensor labels = at::from_blob(slot->labels.data(), {size}, at::kLong);
  batch.plan = slot->plan;
  if (options_.device.is_cpu()) {
    const std::vector<int64_t> strides = options_.channels_last
                                             ? std::vector<int64_t>{height * width * channels, 1, width * channels, channels}
                                             : std::vector<int64_t>{channels * height * width, height * width, width, 1};
    batch.images = at::from_blob(slot->finished.data(), {size, channels, height, width}, strides, at::TensorOptions().dtype(options_.dtype));
    batch.labels = labels;
    return true;
  }
  const at::Tensor pixels = at::from_blob(slot->pixels.data(), {size, height, width, channels}, at::kByte).to(options_.device);
  const at::Tensor flip = at::from_blob(slot->flip.data(), {size}, at::kByte).to(options_.device);
  const auto format = options_.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  batch.images = ops::batch_finish({normalization_.mean, normalization_.std, options_.dtype, format}, pixels, flip);
  batch.labels = labels.to(options_.device);
  return true;
}

std::vector<BatchPlan> sequential_plans(int64_t num_samples, int64_t batch_size, int64_t height, int64_t width) {
  std::vector<BatchPlan> plans;
  for (int64_t first = 0; first < num_samples; first += batch_size) {
    BatchPlan plan{height, width, {}};
    for (int64_t i = first; i < std::min(first + batch_size, num_samples); ++i) plan.indices.push_back(i);
    plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace fettle
