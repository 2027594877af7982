// Golden kinds of sound files: samples that FFmpeg finds in them. No LibTorch.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "decode/sound.h"
#include "io/mapped_file.h"
#include "tests/golden/golden.h"
#include "tests/support/shared_files.h"

namespace fettle::golden {
namespace {

void run_mp3(const Case& test) {
  const std::vector<std::filesystem::path> files = test::files_below(test.directory, ".mp3");
  REQUIRE(files.size() == 1);
  const Sound sound = decode_sound(MappedFile(files[0]).bytes(), files[0].string());
  const nlohmann::json& expected = test.json.at("expected");
  CHECK(sound.sample_rate_hz == expected.at("rate").get<int64_t>());
  CHECK(sound.num_channels == expected.at("channels").get<int64_t>());
  CHECK(sound.num_frames == expected.at("samples").get<int64_t>());
  const std::vector<double> samples = read_doubles(test, "pcm");  // [channels, frames]
  REQUIRE(samples.size() == sound.samples.size());
  double worst = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    const size_t frames = static_cast<size_t>(sound.num_frames), channels = static_cast<size_t>(sound.num_channels);
    worst = std::max(worst, std::abs(samples[i] - sound.samples[i % frames * channels + i / frames]));
  }
  CHECK(worst <= test.json.at("tolerance").at("f32").get<double>());
}

}  // namespace

std::vector<Kind> sound_file_kinds() { return {{"audio/mp3", run_mp3}}; }

}  // namespace fettle::golden
