#include "decode/sound.h"

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <sndfile.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "base/errors.h"
#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"
#include "tests/support/sound_files.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

Sound read(std::string_view file, const SoundLimits& limits = {}) { return decode_sound(as_bytes(file), "'f'", limits); }

void rejected(const std::string& part, std::string_view file, const SoundLimits& limits = {}) {
  expect_error(ExitCode::kInput, "'f'", [&] { read(file, limits); });
  expect_error(ExitCode::kInput, part, [&] { read(file, limits); });
}

template <class T>
std::string raw(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

constexpr int kFlac16 = SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
constexpr int kVorbis = SF_FORMAT_OGG | SF_FORMAT_VORBIS;
constexpr int kOpus = SF_FORMAT_OGG | SF_FORMAT_OPUS;
constexpr int kMp3 = SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III;

// Cosine of the angle between the sounds as vectors, where `found` may start up to `most` samples later.
double best_match(const std::vector<float>& found, const std::vector<float>& expected, size_t most) {
  double best = -1;
  for (size_t shift = 0; shift <= most; ++shift) {
    double product = 0, a = 0, b = 0;
    for (size_t i = 0; i < expected.size() && i + shift < found.size(); ++i) {
      product += double{found[i + shift]} * expected[i];
      a += double{found[i + shift]} * found[i + shift];
      b += double{expected[i]} * expected[i];
    }
    best = std::max(best, product / std::sqrt(a * b + 1e-30));
  }
  return best;
}

}  // namespace

TEST_CASE("sound: WAV samples of every type have full scale at 1") {
  struct Row {
    WavOptions options;
    std::string data;
    std::vector<float> expected;
  };
  const Row rows[] = {
      {{.bits = 8}, std::string("\x00\x40\x80\xff", 4), {-1, -0.5f, 0, 127.0f / 128}},
      {{.bits = 16}, raw<int16_t>({-32768, 1, 0, 32767}), {-1, 1.0f / 32768, 0, 32767.0f / 32768}},
      {{.bits = 24}, std::string("\x00\x00\x80\x01\x00\x00\x00\x00\x40", 9), {-1, 1.0f / 8388608, 0.5f}},
      {{.bits = 32}, raw<int32_t>({INT32_MIN, 1 << 30, -(1 << 29)}), {-1, 0.5f, -0.25f}},
      {{.tag = 3, .bits = 32}, raw<float>({-1.5f, 0.1f, 3}), {-1.5f, 0.1f, 3}},
      {{.tag = 3, .bits = 64}, raw<double>({-0.75, 0.1}), {-0.75f, 0.1f}},
      {{.tag = 7, .bits = 8}, std::string("\xff\x80\x00", 3), {0, 32124.0f / 32768, -32124.0f / 32768}},
      {{.tag = 6, .bits = 8}, std::string("\xd5\xaa", 2), {8.0f / 32768, 32256.0f / 32768}},
  };
  for (const Row& row : rows) {
    INFO("tag " << row.options.tag << ", bits " << row.options.bits);
    const Sound sound = read(wav_file(row.data, row.options));
    CHECK(sound.format == SoundFormat::kWav);
    CHECK(sound.num_channels == 1);
    CHECK(sound.sample_rate_hz == 16000);
    CHECK(sound.num_frames == static_cast<int64_t>(row.expected.size()));
    CHECK(sound.samples == row.expected);
  }
}

TEST_CASE("sound: channels are interleaved, and their mean is mono") {
  const Sound sound = read(wav_file(raw<float>({1, 2, 4, -1, 0.5f, 0.25f}), {.tag = 3, .channels = 3, .bits = 32, .sample_rate_hz = 44100}));
  CHECK(sound.num_frames == 2);
  CHECK(sound.num_channels == 3);
  CHECK(sound.sample_rate_hz == 44100);
  CHECK(sound.samples == std::vector<float>{1, 2, 4, -1, 0.5f, 0.25f});
  std::vector<float> mono(99, 5.0f);
  mix_to_mono(sound, mono);
  CHECK(mono == std::vector<float>{7.0f / 3.0f, -0.25f / 3.0f});
  Sound one{.num_frames = 2, .num_channels = 1, .samples = {0.5f, -0.5f}};
  mix_to_mono(one, mono);
  CHECK(mono == one.samples);
}

TEST_CASE("sound: FLAC is exact, Vorbis, Opus and MP3 are close") {
  for (const int64_t channels : {1, 2}) {
    const std::vector<float> samples = test_sound(16000, channels);
    INFO("channels " << channels);
    const Sound flac = read(encode_sound(samples, channels, 16000, kFlac16));
    CHECK(flac.format == SoundFormat::kFlac);
    CHECK(flac.num_channels == channels);
    CHECK(flac.samples == samples);
    for (const int format : {kVorbis, kOpus, kMp3}) {
      INFO("format " << std::hex << format);
      const Sound sound = read(encode_sound(samples, channels, 16000, format));
      CHECK(sound.format == (format == kMp3 ? SoundFormat::kMp3 : SoundFormat::kOgg));
      CHECK(sound.num_channels == channels);
      CHECK(sound.sample_rate_hz == 16000);
      CHECK(sound.num_frames >= 16000);
      CHECK(sound.num_frames < 16000 + 4000);
      CHECK(best_match(sound.samples, samples, 4) > 0.98);  // lossy: the shape is the same; LAME's delay is known and taken off
    }
  }
}

TEST_CASE("sound: a buffer is reused, whatever was in it") {
  const std::string longer = wav_file(pcm16(test_sound(100'000, 2)), {.channels = 2}), shorter = wav_file(pcm16(test_sound(777)));
  Sound sound;
  decode_sound(as_bytes(longer), "'f'", {}, sound);
  CHECK(sound.samples == test_sound(100'000, 2));
  const float* const memory = sound.samples.data();
  decode_sound(as_bytes(shorter), "'f'", {}, sound);
  CHECK(sound.samples == test_sound(777));
  CHECK(sound.num_channels == 1);
  CHECK(sound.samples.data() == memory);
}

TEST_CASE("sound: cut anywhere, WAV, FLAC and Ogg are refused") {
  const std::vector<float> samples = test_sound(3000);
  for (const int format : {0, kFlac16, kVorbis, kOpus}) {
    const std::string file = format == 0 ? wav_file(pcm16(samples)) : encode_sound(samples, 1, 16000, format);
    REQUIRE(read(file).num_frames >= 3000);
    // Up to the last page of an Ogg file: its beginning is an end too.
    for (size_t size = 0; size < file.size(); size += size < 100 ? 1 : 37) {
      if (format != 0 && format != kFlac16 && file.compare(size, 4, "OggS") == 0) continue;
      INFO("format " << std::hex << format << ", cut to " << std::dec << size << " of " << file.size());
      rejected("'f'", file.substr(0, size));
    }
  }
}

TEST_CASE("sound: a cut MP3 gives the frames that are there") {
  const std::string file = encode_sound(test_sound(16000), 1, 16000, kMp3);
  const Sound half = read(file.substr(0, file.size() / 2));
  CHECK(half.num_frames > 4000);
  CHECK(half.num_frames < 12000);
  for (size_t size = 0; size < 60; ++size) rejected("'f'", file.substr(0, size));
}

TEST_CASE("sound: an MP3 goes on after a tag and after bytes that are no frames, but not at another rate") {
  const std::string first = encode_sound(test_sound(16000), 1, 16000, kMp3), second = encode_sound(test_sound(22050), 1, 22050, kMp3);
  const Sound alone = read(first), tagged = read(std::string("ID3\x04\0\0\0\0\0\x05hello", 15) + first);
  CHECK(tagged.samples == alone.samples);
  const Sound dirty = read(first + std::string(5000, 'x'));
  CHECK(dirty.num_frames >= alone.num_frames - 1152);
  rejected("changes from 1 channels at 16000 Hz to 1 at 22050", first + second);
}

TEST_CASE("sound: headers that lie are refused") {
  const std::string data = pcm16(test_sound(100));
  rejected("its samples take 201 bytes, and 200 are there", wav_file(data, {.claimed_bytes = 201}));
  rejected("its samples take 4000000000 bytes", wav_file(data, {.claimed_bytes = 4'000'000'000}));
  rejected("'f'", wav_file(data, {.channels = 0}));
  rejected("channels", wav_file(data, {.channels = 33}));
  rejected("'f'", wav_file(data, {.bits = 0}));
  rejected("'f'", wav_file(data, {.bits = 48}));
  rejected("'f'", wav_file(data, {.sample_rate_hz = 0}));
  rejected("samples a second", wav_file(data, {.sample_rate_hz = (1 << 20) + 1}));
  rejected("is not read", encode_sound(test_sound(1000), 1, 16000, SF_FORMAT_WAV | SF_FORMAT_IMA_ADPCM));
  rejected("no samples", wav_file(""));
  rejected("no chunk of samples", wav_file("").substr(0, 36));
  rejected("a chunk takes 4096 bytes", wav_file(data, {.before_data = "LIST" + little_endian(4096, 4)}));

  // FLAC: the number of frames is the last 36 bits before the checksum in STREAMINFO.
  std::string flac = encode_sound(test_sound(5000), 1, 16000, kFlac16);
  const size_t low = 4 + 4 + 10 + 7;
  REQUIRE(static_cast<uint8_t>(flac[low]) == (5000 & 255));
  std::string more = flac, fewer = flac, enormous = flac;
  more[low] = static_cast<char>(more[low] + 1);
  fewer[low] = static_cast<char>(fewer[low] - 1);
  enormous[low - 4] = static_cast<char>(enormous[low - 4] | 0x0F);
  rejected("its header tells of 5001 frames of samples, and 5000 are there", more);
  rejected("frames of samples", enormous);
  CHECK(read(fewer).num_frames == 4999);
}

TEST_CASE("sound: a WAV out of a pipe, without a size, is read to its end") {
  const std::vector<float> samples = test_sound(500);
  std::string file = wav_file(pcm16(samples), {.claimed_bytes = 0xFFFFFFFF});
  CHECK(read(file).samples == samples);
  file.replace(4, 4, "\xff\xff\xff\xff");
  CHECK(read(file).samples == samples);
}

TEST_CASE("sound: limits on frames and channels") {
  const std::string file = wav_file(pcm16(test_sound(100, 2)), {.channels = 2});
  CHECK(read(file, {.max_frames = 100, .max_channels = 2}).num_frames == 100);
  rejected("has 100 frames of samples, expected at most 99", file, {.max_frames = 99});
  rejected("has 2 channels, expected 1 to 1", file, {.max_channels = 1});
  rejected("more than 2000 frames", encode_sound(test_sound(5000), 1, 16000, kVorbis), {.max_frames = 2000});
  rejected("more than 2000 frames", encode_sound(test_sound(5000), 1, 16000, kMp3), {.max_frames = 2000});
}

TEST_CASE("sound: what is not finite is refused with its place") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  rejected("sample 1 is nan", wav_file(raw<float>({0, 0, 0, nan}), {.tag = 3, .channels = 2, .bits = 32}));
  rejected("sample 0 is -inf", wav_file(raw<float>({-infinity, 0}), {.tag = 3, .bits = 32}));
  rejected("sample 0 is inf", wav_file(raw<double>({1e300}), {.tag = 3, .bits = 64}));
}

TEST_CASE("sound: other files are no sound") {
  rejected("no WAV, FLAC, Ogg or MP3", "");
  rejected("no WAV, FLAC, Ogg or MP3", "RIFF");
  rejected("no WAV, FLAC, Ogg or MP3", encode_webp(test_picture(5, 5)));
  rejected("no WAV, FLAC, Ogg or MP3", encode_jpeg(test_picture(5, 5)));
  rejected("inside a page", "OggS");
  const std::string vorbis = encode_sound(test_sound(1000), 1, 16000, kVorbis);
  rejected(fmt::format("no page at byte {}", vorbis.size()), vorbis + "more");
  std::string damaged = vorbis;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  rejected("has a wrong checksum", damaged);
  rejected("'f'", "fLaC");
  rejected("'f'", "ID3");
  rejected("'f'", std::string("\xff\xfb\x90\x00", 4));
}

TEST_CASE("sound: damage in FLAC and Ogg is found") {
  const int format = GENERATE(kFlac16, kVorbis, kOpus);
  const std::string file = encode_sound(test_sound(20'000), 1, 16000, format);
  int found = 0, tried = 0;
  for (size_t at = 200; at < file.size(); at += file.size() / 40) {
    std::string damaged = file;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    ++tried;
    try {
      read(damaged);
    } catch (const Error& error) {
      CHECK(error.code() == ExitCode::kInput);
      ++found;
    }
  }
  CHECK(found == tried);
}

TEST_CASE("sound: threads read side by side, failures among them") {
  const std::vector<float> samples = test_sound(2000);
  const std::string good = encode_sound(samples, 1, 16000, kFlac16), bad = good.substr(0, 30);
  std::vector<int> right(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        try {
          right[t] += decode_sound(as_bytes(i % 2 == 0 ? good : bad), "f").samples == samples;
        } catch (const Error&) {
          right[t] += i % 2 == 1;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(4, 50));
}

TEST_CASE("sound: real clips have the lengths that are known of them") {
  const std::filesystem::path folder = data_folder();
  if (folder.empty()) return skip("no data");
  const std::vector<std::filesystem::path> clips = files_below(folder / "esc10_ogg", ".ogg");
  REQUIRE(!clips.empty());
  for (size_t i = 0; i < clips.size(); i += 16) {
    const Sound sound = read(read_text(clips[i]));
    CHECK(sound.format == SoundFormat::kOgg);
    CHECK(sound.sample_rate_hz == 44100);
    CHECK(std::abs(static_cast<double>(sound.num_frames) / 44100 - 5) < 0.1);
  }
  const std::vector<std::filesystem::path> words = files_below(folder / "speech_commands", ".wav");
  REQUIRE(!words.empty());
  const Sound word = read(read_text(words[0]));
  CHECK(word.sample_rate_hz == 16000);
  CHECK(word.num_frames == 16000);
}
