// What is drawn for sounds, by itself and through the loader of bytes.
#include <ATen/ATen.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <vector>

#include "bytes/encodings.h"
#include "data/byte_loader.h"
#include "data/sound_augment.h"
#include "tests/support/expect_error.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::byteformer;
using test::expect_error;
namespace fs = std::filesystem;

namespace {

constexpr size_t kWavFloatHeaderBytes = 58;
constexpr int64_t kRate = 8000;

void write_wav(const fs::path& path, const std::vector<float>& samples, int64_t rate = kRate) {
  fs::create_directories(path.parent_path());
  std::vector<uint8_t> bytes;
  Encoder({.encoding = Encoding::kWavFloat32}).encode_sound(samples, rate, bytes);
  test::write_text(path, std::string(bytes.begin(), bytes.end()));
}

std::vector<float> ramp(int64_t count, float step) {
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(step * static_cast<float>(i + 1));
  return values;
}

std::vector<float> applied(const SoundAugment& augment, std::vector<float> mono, int64_t index) {
  RandomStream stream(1, "sound", 0, index);
  augment.apply(mono, kRate, "a sound", stream);
  return mono;
}

// The samples of each file of a batch, which are WAV of float32.
std::vector<std::vector<float>> samples_of(const ByteBatch& batch) {
  std::vector<std::vector<float>> all;
  const auto* bytes = batch.files.bytes.const_data_ptr<uint8_t>();
  for (int64_t i = 0; i < batch.files.size(); ++i) {
    const auto first = static_cast<size_t>(batch.files.offsets[static_cast<size_t>(i)]), end = static_cast<size_t>(batch.files.offsets[static_cast<size_t>(i) + 1]);
    std::vector<float> samples((end - first - kWavFloatHeaderBytes) / 4);
    std::memcpy(samples.data(), bytes + end - 4 * samples.size(), 4 * samples.size());
    all.push_back(samples);
  }
  return all;
}

}  // namespace

TEST_CASE("sound_augment: a roll moves samples by up to its share, either way, and loses none") {
  const SoundAugment augment({.roll = 0.1});
  const std::vector<float> sound = ramp(50, 1);
  std::set<int64_t> shifts;
  for (int64_t i = 0; i < 300; ++i) {
    std::vector<float> rolled = applied(augment, sound, i);
    CHECK(applied(augment, sound, i) == rolled);
    const int64_t shift = std::find(rolled.begin(), rolled.end(), 1.0F) - rolled.begin();
    shifts.insert(shift > 25 ? shift - 50 : shift);
    std::rotate(rolled.begin(), rolled.begin() + shift, rolled.end());
    REQUIRE(rolled == sound);
  }
  CHECK(shifts == std::set<int64_t>{-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5});
  CHECK(applied(SoundAugment(SoundAugmentOptions()), sound, 3) == sound);
  CHECK(applied(augment, {1, 2, 3}, 3) == std::vector<float>{1, 2, 3});  // a tenth of three is no sample
}

TEST_CASE("sound_augment: a background is laid over from any place, at its level, and repeated where it is short") {
  const test::TempDir dir;
  write_wav(dir / "long/noise.wav", ramp(30, 0.01F));
  write_wav(dir / "short/noise.wav", {0.5F, -0.5F, 0.25F});
  test::write_text(dir / "long/README.md", "no sound");
  const std::vector<float> silence(10);
  const SoundAugment over({.background = (dir / "long").string(), .background_db = -20});
  std::set<int64_t> firsts;
  for (int64_t i = 0; i < 300; ++i) {
    const std::vector<float> sound = applied(over, silence, i);
    firsts.insert(std::lround(sound[0] * 1000) - 1);
    for (size_t k = 0; k < 10; ++k) REQUIRE(sound[k] == Approx(sound[0] + 0.001F * static_cast<float>(k)).margin(1e-6));
  }
  CHECK(firsts.size() == 21);
  CHECK(*firsts.begin() == 0);
  CHECK(*firsts.rbegin() == 20);
  const std::vector<float> repeated = applied(SoundAugment({.background = (dir / "short/noise.wav").string(), .background_db = 0}), silence, 0);
  CHECK(repeated == std::vector<float>{0.5F, -0.5F, 0.25F, 0.5F, -0.5F, 0.25F, 0.5F, -0.5F, 0.25F, 0.5F});

  RandomStream stream(1, "sound");
  std::vector<float> other(4);
  expect_error(ExitCode::kInput, "a.wav has 16000 samples a second, the background", [&] { over.apply(other, 16000, "a.wav", stream); });
  test::write_text(dir / "long/bad.wav", "no sound");
  expect_error(ExitCode::kInput, "bad.wav", [&] { SoundAugment({.background = (dir / "long").string()}); });
  expect_error(ExitCode::kInput, "does not exist", [&] { SoundAugment({.background = (dir / "none").string()}); });
}

TEST_CASE("byte_loader: sounds are mixed with others of the training set, and say with what") {
  const test::TempDir dir;
  for (int i = 0; i < 20; ++i) write_wav(dir / "data" / (i < 10 ? "a" : "b") / (std::to_string(10 + i) + ".wav"), std::vector<float>(i < 10 ? 40 : 60, 0.01F * static_cast<float>(i + 1)));
  DataSource source;
  source.data = (dir / "data").string();
  source.val_fraction = 0.2;
  source.is_sample = is_any_name;
  const LabelledImages files = open_image_files(source).train;
  const int64_t count = num_images(files);
  Input input;
  input.encoding = EncodingOptions{.encoding = Encoding::kWavFloat32};
  input.num_samples = 50;
  const SoundAugment augment({.mixup_alpha = 1});
  const std::vector<BatchPlan> plans = plan_evaluation(count, {}, {.batch_size = count});
  const auto batch_of = [&](int threads, int64_t epoch, const SoundAugment* sounds) {
    LoaderOptions options;
    options.threads = threads;
    options.seed = 4;
    ByteLoader loader(files, input, plans, epoch, 0, options, sounds);
    ByteBatch batch;
    REQUIRE(loader.next(batch));
    batch.files.bytes = batch.files.bytes.clone();
    for (at::Tensor* tensor : {&batch.labels, &batch.partners, &batch.weights}) {
      if (tensor->defined()) *tensor = tensor->clone();
    }
    return batch;
  };
  const ByteBatch plain = batch_of(0, 0, nullptr), mixed = batch_of(0, 0, &augment), again = batch_of(2, 0, &augment), later = batch_of(0, 1, &augment);
  CHECK_FALSE(plain.partners.defined());
  CHECK(at::equal(mixed.files.bytes, again.files.bytes));
  CHECK(at::equal(mixed.partners, again.partners));
  CHECK(at::equal(mixed.weights, again.weights));
  CHECK_FALSE(at::equal(mixed.weights, later.weights));
  CHECK(at::equal(mixed.labels, plain.labels));

  // Each sound is a constant, which tells it: the partner follows from what is left after the sample's own share.
  const auto own = samples_of(plain), sounds = samples_of(mixed);
  REQUIRE(sounds.size() == static_cast<size_t>(count));
  std::set<int64_t> partners;
  for (size_t i = 0; i < sounds.size(); ++i) {
    const float weight = mixed.weights[static_cast<int64_t>(i)].item<float>();
    const double rest = (sounds[i][0] - weight * own[i][0]) / (1 - weight);
    const auto partner = std::find_if(own.begin(), own.end(), [&](const std::vector<float>& other) { return std::abs(other[0] - rest) < 1e-3; });
    INFO(i << " of weight " << weight << ", rest " << rest);
    if (weight > 0.99F) continue;  // too little of the partner to tell
    REQUIRE(partner != own.end());
    CHECK(mixed.partners[static_cast<int64_t>(i)].item<int64_t>() == plain.labels[partner - own.begin()].item<int64_t>());
    REQUIRE(sounds[i].size() == 50);
    CHECK(sounds[i].back() == Approx(weight * own[i].back() + (1 - weight) * partner->back()).margin(1e-6));  // short ones end in zeros
    partners.insert(partner - own.begin());
  }
  CHECK(partners.size() > 4);
}
