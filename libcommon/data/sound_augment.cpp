#include "data/sound_augment.h"

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "data/mixing.h"
#include "dataset/image_files.h"
#include "decode/sound.h"

namespace fettle {
namespace {

constexpr size_t kMaxBackgroundSamples = size_t{1} << 28;

}  // namespace

SoundAugment::SoundAugment(const SoundAugmentOptions& options) : options_(options) {
  if (options.background.empty()) return;
  const ImageFiles files = open_unlabelled_images({options.background}, is_any_name);
  std::vector<uint8_t> buffer;
  Sound sound;
  size_t samples = 0;
  for (int64_t i = 0; i < files.size(); ++i) {
    if (files.relative_path(i).ends_with(".md")) continue;  // Speech Commands has a README among them
    Background background{.name = files.name(i)};
    decode_sound(files.read(i, buffer), background.name, {}, sound);
    background.sample_rate_hz = sound.sample_rate_hz;
    mix_to_mono(sound, background.mono);
    samples += background.mono.size();
    FT_REQUIRE(samples <= kMaxBackgroundSamples, "the sounds of the background have more than {} samples up to {}", kMaxBackgroundSamples, background.name);
    backgrounds_.push_back(std::move(background));
  }
  FT_REQUIRE(!backgrounds_.empty(), "'{}' holds no sounds", options.background);
}

void SoundAugment::apply(std::vector<float>& mono, int64_t sample_rate_hz, const std::string& name, RandomStream& stream) const {
  const auto count = static_cast<int64_t>(mono.size());
  if (!backgrounds_.empty()) {
    const Background& other = backgrounds_[static_cast<size_t>(stream.below(static_cast<int64_t>(backgrounds_.size())))];
    FT_REQUIRE(other.sample_rate_hz == sample_rate_hz, "{} has {} samples a second, the background {} {}", name, sample_rate_hz, other.name, other.sample_rate_hz);
    const auto gain = static_cast<float>(std::pow(10.0, options_.background_db / 20));
    const auto length = static_cast<int64_t>(other.mono.size());
    const int64_t first = stream.below(std::max<int64_t>(0, length - count) + 1);
    for (int64_t i = 0; i < count; ++i) mono[static_cast<size_t>(i)] += gain * other.mono[static_cast<size_t>((first + i) % length)];
  }
  const auto most = static_cast<int64_t>(options_.roll * static_cast<double>(count));
  if (most > 0) std::rotate(mono.begin(), mono.begin() + (stream.below(2 * most + 1) - most + count) % count, mono.end());
}

double SoundAugment::draw_weight(RandomStream& stream) const {
  return options_.mixup_alpha > 0 ? draw_mix(stream, {.mixup_alpha = options_.mixup_alpha}, 1, 1).lambda : 1;
}

}  // namespace fettle
