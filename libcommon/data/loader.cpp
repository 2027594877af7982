#include "data/loader.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/errors.h"
#include "data/aligned_buffer.h"
#include "kernels/batch_finish/batch_finish.h"
#include "ops/batch_finish.h"

namespace fettle {

// Buffers of one batch and the tools to fill it, for the loader's threads, which call nothing of LibTorch.
struct ImageLoader::Slot {
  const BatchPlan* plan = nullptr;
  std::vector<int64_t> labels;  // [B]
  std::vector<uint8_t> flip;    // [B]
  std::vector<std::optional<PixelBox>> erase;  // [B]
  std::vector<BadImage> bad;
  AlignedBuffer pixels;         // [B, H, W, C] u8; on the CPU of one image, which is finished while it is in the cache
  AlignedBuffer finished;       // on the CPU: [B, C, H, W] f32 or bf16

  // One image at a time.
  std::optional<ImageDecoder> decoder;
  std::vector<uint8_t> file;
  CachedImage decoded;
  AlignedBuffer workspace;      // of the resizing kernel
  std::vector<uint8_t> scratch; // of pixel operations
};

struct ImageLoader::Source {
  const uint8_t* pixels = nullptr;  // [.., width, C]
  int64_t width = 0;
};

namespace {

// The view of pixels [.., source_width, C] to target [height, width, C].
void resize_view(const uint8_t* source, int64_t source_width, int channels, const View& view, kernels::ResizeFilter filter, int64_t height, int64_t width,
                 uint8_t* target, AlignedBuffer& workspace) {
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
  args.filter = filter;
  args.order = kernels::resize_order(view.height, view.width, view.resized_height, view.resized_width);
  args.workspace = workspace.reserve(kernels::resize_workspace_bytes(args));
  const kernels::Status status = kernels::resize(args);
  FT_CHECK(status == kernels::Status::kOk, "resize: {}", kernels::status_text(status));
}

void mirror_rows(uint8_t* pixels, int64_t height, int64_t width, int64_t channels) {
  for (int64_t y = 0; y < height; ++y, pixels += width * channels) {
    for (int64_t left = 0, right = width - 1; left < right; ++left, --right) std::swap_ranges(pixels + left * channels, pixels + (left + 1) * channels, pixels + right * channels);
  }
}

// A training crop of a picture of which only a part was decoded, perhaps smaller: the crop lies at `placed` in it.
View placed_view(const View& crop, const PlacedBox& placed, const Image& image) {
  View view = crop;
  const auto place = [](double begin, double length, int64_t limit, int64_t& first, int64_t& count, double& box_begin, double& box_length) {
    first = static_cast<int64_t>(std::floor(begin));
    count = std::min(static_cast<int64_t>(std::ceil(begin + length)), limit) - first;
    box_begin = begin - static_cast<double>(first);
    box_length = std::min(length, static_cast<double>(count) - box_begin);
  };
  place(placed.top, placed.height, image.height, view.top, view.height, view.box_top, view.box_height);
  place(placed.left, placed.width, image.width, view.left, view.width, view.box_left, view.box_width);
  return view;
}

// Where a training crop lies in the whole picture at 1 / denominator.
PlacedBox shrunk(const View& crop, int64_t denominator) {
  const auto part = [denominator](int64_t pixels) { return static_cast<double>(pixels) / static_cast<double>(denominator); };
  return {part(crop.top), part(crop.left), part(crop.height), part(crop.width)};
}

int64_t shrunk_bytes(int64_t height, int64_t width, int64_t denominator) {
  return (height + denominator - 1) / denominator * ((width + denominator - 1) / denominator) * 3;
}

bool must_turn(const ImageInfo& info, const LoaderOptions& options) { return options.exif_orientation && info.orientation != 1; }

// The shrink that an image is kept at, and read at where it is not kept.
int64_t cached_denominator(const ImageInfo& info, ImageDecoder& decoder, const LoaderOptions& options, const ImageCache& cache) {
  if (options.exact_decode || must_turn(info, options)) return 1;
  const auto [lowest, narrowest] = smallest_crop(info.height, info.width, options.crop);
  return decoder.denominator(lowest, narrowest, cache.target_height(), cache.target_width());
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

std::string pipeline_id(const LoaderOptions& options) {
  std::string decoding = options.exact_decode ? "exact" : "scaled";
  if (options.cache && !options.exact_decode) decoding += fmt::format("-for-{}x{}", options.cache->target_height(), options.cache->target_width());
  return fmt::format("libjpeg-turbo/{}; resize/{}/antialias/u8; {}", decoding,
                     options.filter == kernels::ResizeFilter::kBilinear ? "bilinear" : "bicubic", pipeline_id(options.pixel_ops));
}

int64_t cached_bytes(const ImageInfo& info, ImageDecoder& decoder, const LoaderOptions& options, const ImageCache& cache) {
  return shrunk_bytes(info.height, info.width, cached_denominator(info, decoder, options, cache));
}

ImageLoader::ImageLoader(const LabelledImages& images, const Normalization& normalization, const std::vector<BatchPlan>& plans, int64_t epoch,
                         int64_t first_batch, const LoaderOptions& options)
    : images_(images), normalization_(normalization), plans_(plans), epoch_(epoch), options_(options), channels_(num_channels(images)) {
  FT_CHECK(options.dtype != at::kByte || options.device.is_cpu(), "pixels as they are stay on the CPU");
  if (!options.augment) options_.cache = nullptr;  // it holds what training reads
  for (const BatchPlan& plan : plans) {
    most_pixels_ = std::max(most_pixels_, plan.height * plan.width * static_cast<int64_t>(plan.indices.size()));
    largest_image_ = std::max(largest_image_, plan.height * plan.width);
    for (const int64_t index : plan.indices) FT_CHECK(index >= 0 && index < num_images(images), "sample {} of {}", index, num_images(images));
  }
  prefetcher_ = std::make_unique<Prefetcher<Slot>>(options.threads, options.threads == 0 ? 1 : options.batches_ahead + 1, first_batch,
                                                   static_cast<int64_t>(plans.size()) - first_batch, [this](int64_t job, Slot& slot) { prepare(job, slot); });
}

ImageLoader::~ImageLoader() = default;

double ImageLoader::wait_seconds() const { return prefetcher_->wait_seconds(); }

void ImageLoader::prepare(int64_t job, Slot& slot) const {
  const BatchPlan& plan = plans_[static_cast<size_t>(job)];
  slot.plan = &plan;
  slot.labels.clear();
  slot.flip.clear();
  slot.erase.clear();
  slot.bad.clear();
  // Room for the largest batch at once: buffers never move and are faulted in only once.
  const bool cpu = options_.device.is_cpu();
  slot.pixels.reserve((cpu ? largest_image_ : most_pixels_) * channels_);
  if (cpu) slot.finished.reserve(most_pixels_ * channels_ * static_cast<int64_t>(at::elementSize(options_.dtype)));
  for (const int64_t index : plan.indices) {
    try {
      add_sample(index, plan, slot);
    } catch (const Error& error) {
      if (!options_.skip_bad_images || error.code() != ExitCode::kInput) throw;
      slot.bad.push_back({index, error.what()});
    }
  }
  if (slot.labels.empty() && !slot.bad.empty()) {
    FT_FAIL(ExitCode::kInput, "none of the {} images of a batch can be used; the first: {}", slot.bad.size(), slot.bad[0].why);
  }
}

View ImageLoader::view_of(int64_t index, int64_t height, int64_t width, const BatchPlan& plan) const {
  if (!options_.augment) return center_view(height, width, plan.height, plan.width, options_.crop_share);
  RandomStream stream(options_.seed, "geometry", epoch_, index);
  return crop_view(draw_geometry(stream, height, width, options_.crop), plan.height, plan.width);
}

View ImageLoader::open_cached(const CachedImage& cached, int64_t index, const BatchPlan& plan, Source& source) const {
  source = {cached.image.pixels.data(), cached.image.width};
  const View view = view_of(index, cached.height, cached.width, plan);
  return placed_view(view, shrunk(view, cached.denominator), cached.image);
}

// What the sample's view needs of its file, decoded.
View ImageLoader::open_image(int64_t index, const BatchPlan& plan, Slot& slot, Source& source) const {
  const ImageFiles& files = std::get<ImageFiles>(images_);
  if (!slot.decoder) slot.decoder.emplace(options_.decode);
  ImageDecoder& decoder = *slot.decoder;
  const ImageInfo info = decoder.open(files.read(index, slot.file), files.name(index));
  const bool turn = must_turn(info, options_);
  const bool on_its_side = turn && info.orientation >= 5;
  const int64_t height = on_its_side ? info.width : info.height, width = on_its_side ? info.height : info.width;
  const View view = view_of(index, height, width, plan);
  ImageCache* const cache = options_.cache.get();
  const bool exact = !options_.augment || options_.exact_decode || turn;
  int64_t denominator = 1;
  if (cache != nullptr) {
    denominator = cached_denominator(info, decoder, options_, *cache);
  } else if (!exact) {
    denominator = decoder.denominator(view.height, view.width, plan.height, plan.width);
  }

  CachedImage& decoded = slot.decoded;
  const bool keep = cache != nullptr && cache->has_room(shrunk_bytes(height, width, denominator));
  PlacedBox placed = shrunk(view, denominator);
  if (exact || keep) {
    if (denominator == 1) {
      decoder.decode(decoded.image);
    } else {
      decoder.decode_box({0, 0, height, width}, denominator, decoded.image);
    }
    if (turn) apply_orientation(decoded.image, info.orientation);
  } else {
    placed = decoder.decode_box({view.top, view.left, view.height, view.width}, denominator, decoded.image);
  }
  source = {decoded.image.pixels.data(), decoded.image.width};
  if (keep) {
    decoded.height = height, decoded.width = width, decoded.denominator = denominator;
    cache->add(index, decoded);
  }
  return options_.augment ? placed_view(view, placed, decoded.image) : view;
}

void ImageLoader::add_sample(int64_t index, const BatchPlan& plan, Slot& slot) const {
  View view;
  Source source;
  int64_t label = 0;
  if (const auto* set = std::get_if<ImageSet>(&images_)) {
    view = view_of(index, set->height, set->width, plan);
    source = {set->image(index).data(), set->width};
    label = set->labels[static_cast<size_t>(index)];
  } else {
    const CachedImage* const cached = options_.cache ? options_.cache->find(index) : nullptr;
    view = cached != nullptr ? open_cached(*cached, index, plan, source) : open_image(index, plan, slot, source);
    label = std::get<ImageFiles>(images_).label(index);
  }

  const auto position = static_cast<int64_t>(slot.labels.size());
  const bool cpu = options_.device.is_cpu();
  uint8_t* const target = static_cast<uint8_t*>(slot.pixels.data()) + (cpu ? 0 : position) * plan.height * plan.width * channels_;
  resize_view(source.pixels, source.width, static_cast<int>(channels_), view, options_.filter, plan.height, plan.width, target, slot.workspace);
  std::optional<PixelBox> erase;
  if (options_.augment) {
    RandomStream stream(options_.seed, "photometric", epoch_, index);
    const Photometric drawn = draw_photometric(stream, options_.photometric, plan.height, plan.width);
    if (!drawn.ops.empty()) {
      // Operations come after the flip, which is otherwise left to the last pass.
      if (view.flip) mirror_rows(target, plan.height, plan.width, channels_);
      view.flip = false;
      apply_ops(drawn, options_.pixel_ops, {plan.height, plan.width, channels_}, target, slot.scratch);
    }
    erase = drawn.erase;
  } else if (options_.change_pixels) {
    options_.change_pixels(index, {plan.height, plan.width, channels_}, target);
  }
  if (cpu) finish(target, view.flip, erase, plan, position, slot);
  slot.labels.push_back(label);
  slot.flip.push_back(view.flip ? 1 : 0);
  slot.erase.push_back(erase);
}

// One image's bytes to normalised floats.
void ImageLoader::finish(const uint8_t* pixels, bool flip, const std::optional<PixelBox>& erase, const BatchPlan& plan, int64_t position, Slot& slot) const {
  const PixelShape shape{plan.height, plan.width, channels_};
  const int64_t element_bytes = static_cast<int64_t>(at::elementSize(options_.dtype));
  void* const out = static_cast<uint8_t*>(slot.finished.data()) + position * shape.values() * element_bytes;
  if (options_.dtype == at::kByte) {
    std::copy_n(pixels, shape.values(), static_cast<uint8_t*>(out));
    if (flip) mirror_rows(static_cast<uint8_t*>(out), plan.height, plan.width, channels_);
    if (erase) pixel_ops::erase(static_cast<uint8_t*>(out), shape, *erase, {});  // black
    return;
  }
  const uint8_t mirrored = flip ? 1 : 0;
  kernels::BatchFinishArgs args;
  args.in = pixels;
  args.flip = &mirrored;
  args.mean = normalization_.mean.data();
  args.std = normalization_.std.data();
  args.out = out;
  args.batch = 1;
  args.height = plan.height;
  args.width = plan.width;
  args.channels = static_cast<int>(channels_);
  args.out_dtype = options_.dtype == at::kFloat ? kernels::DType::kF32 : kernels::DType::kBF16;
  args.out_layout = options_.channels_last ? kernels::ImageLayout::kNhwc : kernels::ImageLayout::kNchw;
  args.num_threads = 1;
  const kernels::Status status = kernels::batch_finish({}, args, {});
  FT_CHECK(status == kernels::Status::kOk, "batch_finish: {}", kernels::status_text(status));
  if (erase) zero_box(out, shape, element_bytes, options_.channels_last, *erase);
}

bool ImageLoader::next(Batch& batch) {
  Slot* const slot = prefetcher_->next();
  if (slot == nullptr) return false;
  const auto size = static_cast<int64_t>(slot->labels.size());
  const int64_t height = slot->plan->height, width = slot->plan->width;
  const at::Tensor labels = at::from_blob(slot->labels.data(), {size}, at::kLong);
  batch.plan = slot->plan;
  batch.bad = slot->bad;
  if (options_.dtype == at::kByte) {
    batch.images = at::from_blob(slot->finished.data(), {size, height, width, channels_}, at::kByte);
    batch.labels = labels;
    return true;
  }
  if (options_.device.is_cpu()) {
    const std::vector<int64_t> strides = options_.channels_last
                                             ? std::vector<int64_t>{height * width * channels_, 1, width * channels_, channels_}
                                             : std::vector<int64_t>{channels_ * height * width, height * width, width, 1};
    batch.images = at::from_blob(slot->finished.data(), {size, channels_, height, width}, strides, at::TensorOptions().dtype(options_.dtype));
    batch.labels = labels;
    return true;
  }
  // Through pinned memory, so that the copy does not wait for the step before it; LibTorch keeps that memory until the copy is done.
  const auto staged = [&](const at::Tensor& host) { return host.pin_memory().to(options_.device, /*non_blocking=*/true); };
  const at::Tensor pixels = staged(at::from_blob(slot->pixels.data(), {size, height, width, channels_}, at::kByte));
  const at::Tensor flip = staged(at::from_blob(slot->flip.data(), {size}, at::kByte));
  const auto format = options_.channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
  batch.images = ops::batch_finish({normalization_.mean, normalization_.std, options_.dtype, format}, pixels, flip);
  for (int64_t i = 0; i < size; ++i) {
    const std::optional<PixelBox>& box = slot->erase[static_cast<size_t>(i)];
    if (box) batch.images[i].narrow(1, box->top, box->height).narrow(2, box->left, box->width).zero_();
  }
  batch.labels = staged(labels);
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

std::vector<int64_t> kept_indices(const BatchPlan& plan, const std::vector<BadImage>& bad) {
  std::vector<int64_t> kept = plan.indices;
  std::erase_if(kept, [&](int64_t index) { return std::any_of(bad.begin(), bad.end(), [&](const BadImage& one) { return one.index == index; }); });
  return kept;
}

kernels::ResizeFilter resize_filter_named(const std::string& interpolation) { return interpolation == "bicubic" ? kernels::ResizeFilter::kBicubic : kernels::ResizeFilter::kBilinear; }

}  // namespace fettle
