#include "data/byte_loader.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/errors.h"
#include "dataset/prefetcher.h"
#include "random/stream.h"

namespace fettle::byteformer {
namespace {

// Samples of similar length come together within runs of so many batches.
constexpr int64_t kBatchesSorted = 32;

std::vector<BatchPlan> cut(const std::vector<int64_t>& order, const std::vector<int64_t>& tokens, const ByteBatches& batches) {
  std::vector<BatchPlan> plans;
  int64_t sum = 0;
  for (const int64_t sample : order) {
    const int64_t own = tokens.empty() ? 0 : tokens[static_cast<size_t>(sample)];
    const int64_t count = plans.empty() ? 0 : static_cast<int64_t>(plans.back().indices.size());
    const bool full = count >= batches.least && (batches.batch_tokens > 0 ? sum + own > batches.batch_tokens : count >= batches.batch_size);
    if (plans.empty() || full) {
      plans.push_back({batches.image_size, batches.image_size, {}});
      sum = 0;
    }
    plans.back().indices.push_back(sample);
    sum += own;
  }
  if (plans.size() > 1 && static_cast<int64_t>(plans.back().indices.size()) < batches.least) {
    const std::vector<int64_t> rest = std::move(plans.back().indices);
    plans.pop_back();
    plans.back().indices.insert(plans.back().indices.end(), rest.begin(), rest.end());
  }
  return plans;
}

}  // namespace

struct ByteLoader::Impl {
  struct Slot {
    const BatchPlan* plan = nullptr;
    std::vector<uint8_t> bytes, file, sample;
    std::vector<int64_t> offsets, labels, partners;
    std::vector<float> weights, mono;
    std::vector<BadImage> bad;
    std::optional<FileEncoder> encoder;
  };

  Impl(const LabelledImages& data, const Input& how, const std::vector<BatchPlan>& batches, int64_t of_epoch, int64_t first, const LoaderOptions& images, const SoundAugment* sounds)
      : samples(data), input(how), plans(batches), epoch(of_epoch), options(images), sound_augment(sounds), encoded(first) {
    if (input.of_images()) {
      options.dtype = at::kByte;
      loader = std::make_unique<ImageLoader>(samples, normalization, plans, epoch, first, options);
      encoder.emplace(*input.encoding);
      transformer.emplace(input.transforms);
      return;
    }
    FT_CHECK(std::holds_alternative<ImageFiles>(samples), "stored files are files");
    prefetcher = std::make_unique<Prefetcher<Slot>>(options.threads, options.threads == 0 ? 1 : options.batches_ahead + 1, first, static_cast<int64_t>(plans.size()) - first,
                                                    [this](int64_t job, Slot& slot) { prepare(job, slot); });
  }

  static void begin(Slot& slot, const BatchPlan& plan) {
    slot.plan = &plan;
    slot.bytes.clear();
    slot.offsets.assign(1, 0);
    slot.labels.clear();
    slot.partners.clear();
    slot.weights.clear();
    slot.bad.clear();
  }
  static void add(Slot& slot, const std::vector<uint8_t>& bytes, int64_t label) {
    slot.bytes.insert(slot.bytes.end(), bytes.begin(), bytes.end());
    slot.offsets.push_back(static_cast<int64_t>(slot.bytes.size()));
    slot.labels.push_back(label);
  }
  SampleKey key(int64_t batch, int64_t sample) const { return {.seed = options.seed, .epoch = epoch, .batch = batch, .sample = sample}; }

  void prepare(int64_t job, Slot& slot) const {
    const ImageFiles& files = std::get<ImageFiles>(samples);
    begin(slot, plans[static_cast<size_t>(job)]);
    if (!slot.encoder) slot.encoder.emplace(input);
    for (const int64_t index : slot.plan->indices) {
      try {
        if (sound_augment != nullptr) {
          encode_augmented(files, key(job, index), slot);
        } else {
          slot.encoder->encode(files.read(index, slot.file), files.name(index), key(job, index), slot.sample);
        }
      } catch (const Error& error) {
        if (!options.skip_bad_images || error.code() != ExitCode::kInput) throw;
        slot.bad.push_back({index, error.what()});
        continue;
      }
      add(slot, slot.sample, files.label(index));
    }
  }

  // Draws follow from seed, epoch and sample alone.
  void encode_augmented(const ImageFiles& files, const SampleKey& sample, Slot& slot) const {
    RandomStream stream(sample.seed, "sound", sample.epoch, sample.sample);
    const auto draw = [&](int64_t index) {
      const FileEncoder::Waveform sound = slot.encoder->decode(files.read(index, slot.file), files.name(index));
      sound_augment->apply(sound.mono, sound.sample_rate_hz, files.name(index), stream);
      return sound;
    };
    const FileEncoder::Waveform sound = draw(sample.sample);
    int64_t partner = sample.sample, partner_rate_hz = sound.sample_rate_hz;
    double weight = sound_augment->draw_weight(stream);
    if (weight < 1) {
      slot.mono = sound.mono;
      partner = stream.below(files.size());
      try {
        partner_rate_hz = draw(partner).sample_rate_hz;  // in place of the sample
      } catch (const Error& error) {
        if (!options.skip_bad_images || error.code() != ExitCode::kInput) throw;
        sound.mono = slot.mono;
        weight = 1;  // what is wrong is told when it is the partner's own turn
      }
      FT_REQUIRE(partner_rate_hz == sound.sample_rate_hz, "{} and {} have {} and {} samples a second, and cannot be mixed", files.name(sample.sample), files.name(partner), sound.sample_rate_hz,
                 partner_rate_hz);
      FT_CHECK(slot.mono.size() == sound.mono.size(), "sounds that are mixed are cut to one length");
      const auto share = static_cast<float>(weight);
      for (size_t i = 0; i < slot.mono.size(); ++i) sound.mono[i] = share * slot.mono[i] + (1 - share) * sound.mono[i];
    }
    slot.encoder->encode(sound, files.name(sample.sample), sample, slot.sample);
    slot.partners.push_back(files.label(partner));
    slot.weights.push_back(static_cast<float>(weight));
  }

  // Pictures come decoded and augmented from the loader's threads; writing them as files takes less than what a step does by far.
  Slot* encode_images() {
    Batch images;
    if (!loader->next(images)) return nullptr;
    begin(own, *images.plan);
    own.bad = images.bad;
    const int64_t height = images.images.size(1), width = images.images.size(2), channels = images.images.size(3);
    const auto* pixels = images.images.const_data_ptr<uint8_t>();
    const std::vector<int64_t> indices = kept_indices(*images.plan, images.bad);
    for (int64_t i = 0; i < images.labels.size(0); ++i) {
      encoder->encode_image({pixels + i * height * width * channels, height, width, static_cast<int>(channels)}, own.sample);
      transformer->apply(own.sample, key(encoded, indices[static_cast<size_t>(i)]), "a picture");
      require_bytes(input, own.sample.size(), "a picture");
      add(own, own.sample, images.labels[i].item<int64_t>());
    }
    ++encoded;
    return &own;
  }

  const LabelledImages& samples;
  const Input& input;
  const std::vector<BatchPlan>& plans;
  const int64_t epoch;
  LoaderOptions options;
  const SoundAugment* const sound_augment;
  std::unique_ptr<Prefetcher<Slot>> prefetcher;

  Normalization normalization;
  std::unique_ptr<ImageLoader> loader;
  std::optional<Encoder> encoder;
  std::optional<ByteTransformer> transformer;
  Slot own;
  int64_t encoded;  // batches
};

ByteLoader::ByteLoader(const LabelledImages& samples, const Input& input, const std::vector<BatchPlan>& plans, int64_t epoch, int64_t first_batch, const LoaderOptions& images,
                       const SoundAugment* sounds)
    : impl_(std::make_unique<Impl>(samples, input, plans, epoch, first_batch, images, sounds)) {}

ByteLoader::~ByteLoader() = default;

double ByteLoader::wait_seconds() const { return impl_->loader ? impl_->loader->wait_seconds() : impl_->prefetcher->wait_seconds(); }

bool ByteLoader::next(ByteBatch& batch) {
  Impl::Slot* const slot = impl_->loader ? impl_->encode_images() : impl_->prefetcher->next();
  if (slot == nullptr) return false;
  FT_REQUIRE(!slot->labels.empty(), "none of the {} files of a batch can be used; the first: {}", slot->bad.size(), slot->bad.at(0).why);
  batch.files = {at::from_blob(slot->bytes.data(), {static_cast<int64_t>(slot->bytes.size())}, at::kByte), slot->offsets};
  batch.labels = at::from_blob(slot->labels.data(), {static_cast<int64_t>(slot->labels.size())}, at::kLong);
  const auto count = static_cast<int64_t>(slot->partners.size());
  batch.partners = count > 0 ? at::from_blob(slot->partners.data(), {count}, at::kLong) : at::Tensor();
  batch.weights = count > 0 ? at::from_blob(slot->weights.data(), {count}, at::kFloat) : at::Tensor();
  batch.plan = slot->plan;
  batch.bad = slot->bad;
  return true;
}

std::optional<std::vector<int64_t>> file_lengths(const LabelledImages& samples, const Input& input) {
  const auto count = static_cast<size_t>(num_images(samples));
  const auto all = [count](std::optional<int64_t> length) { return length ? std::optional(std::vector<int64_t>(count, *length)) : std::nullopt; };
  if (input.of_images()) return all(encoded_image_bytes(*input.encoding, input.size, input.size, static_cast<int>(num_channels(samples))));
  const ImageFiles& files = std::get<ImageFiles>(samples);
  std::vector<int64_t> lengths(count);
  if (!input.encoding) {
    for (size_t i = 0; i < count; ++i) lengths[i] = static_cast<int64_t>(files.file_bytes(static_cast<int64_t>(i)));
    return lengths;
  }
  if (input.num_samples > 0) return all(encoded_sound_bytes(*input.encoding, input.num_samples));
  if (!encoded_sound_bytes(*input.encoding, 1)) return std::nullopt;
  at::parallel_for(0, static_cast<int64_t>(count), 16, [&](int64_t begin, int64_t end) {
    FileEncoder decoder(input);
    std::vector<uint8_t> buffer;
    for (int64_t i = begin; i < end; ++i) {
      try {
        const auto num_samples = static_cast<int64_t>(decoder.decode(files.read(i, buffer), files.name(i)).mono.size());
        lengths[static_cast<size_t>(i)] = encoded_sound_bytes(*input.encoding, num_samples).value();
      } catch (const Error& error) {
        if (error.code() != ExitCode::kInput) throw;
      }
    }
  });
  return lengths;
}

std::vector<int64_t> byte_lengths(std::vector<int64_t> file_lengths, const Input& input) {
  const ByteTransformer transformer(input.transforms);
  for (int64_t& length : file_lengths) length = transformer.output_length(input.max_bytes > 0 ? std::min(length, input.max_bytes) : length);
  return file_lengths;
}

std::optional<int64_t> image_length(const Input& input, int64_t height, int64_t width, int64_t channels) {
  const auto bytes = encoded_image_bytes(*input.encoding, height, width, static_cast<int>(channels));
  return bytes ? std::optional(byte_lengths({*bytes}, input)[0]) : std::nullopt;
}

std::vector<BatchPlan> plan_epoch(int64_t num_samples, const std::vector<int64_t>& tokens, const ByteBatches& batches, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(num_samples));
  std::iota(order.begin(), order.end(), 0);
  RandomStream stream(seed, "order", epoch);
  stream.shuffle(order);
  if (tokens.empty()) return cut(order, tokens, batches);
  int64_t run = batches.batch_size * kBatchesSorted;
  if (batches.batch_tokens > 0) {
    const int64_t mean = std::max<int64_t>(1, std::accumulate(tokens.begin(), tokens.end(), int64_t{0}) / std::max<int64_t>(1, num_samples));
    run = std::max<int64_t>(1, batches.batch_tokens / mean) * kBatchesSorted;
  }
  for (int64_t first = 0; first < num_samples; first += run) {
    const auto begin = order.begin() + first, end = order.begin() + std::min(num_samples, first + run);
    std::stable_sort(begin, end, [&](int64_t a, int64_t b) { return tokens[static_cast<size_t>(a)] < tokens[static_cast<size_t>(b)]; });
  }
  std::vector<BatchPlan> plans = cut(order, tokens, batches);
  stream.shuffle(plans);
  return plans;
}

std::vector<BatchPlan> plan_evaluation(int64_t num_samples, const std::vector<int64_t>& tokens, const ByteBatches& batches) {
  std::vector<int64_t> order(static_cast<size_t>(num_samples));
  std::iota(order.begin(), order.end(), 0);
  return cut(order, tokens, batches);
}

}  // namespace fettle::byteformer
