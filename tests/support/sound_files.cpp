#include "tests/support/sound_files.h"

#include <catch2/catch.hpp>
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/support/image_files.h"

namespace fettle::test {
namespace {

struct Buffer {
  std::string bytes;
  sf_count_t at = 0;
};

Buffer& buffer_of(void* user) { return *static_cast<Buffer*>(user); }

sf_count_t on_size(void* user) { return static_cast<sf_count_t>(buffer_of(user).bytes.size()); }
sf_count_t on_tell(void* user) { return buffer_of(user).at; }

sf_count_t on_seek(sf_count_t offset, int whence, void* user) {
  Buffer& buffer = buffer_of(user);
  return buffer.at = offset + (whence == SEEK_CUR ? buffer.at : whence == SEEK_END ? on_size(user) : 0);
}

sf_count_t on_read(void* to, sf_count_t size, void* user) {
  Buffer& buffer = buffer_of(user);
  const sf_count_t count = std::clamp<sf_count_t>(size, 0, on_size(user) - buffer.at);
  std::memcpy(to, buffer.bytes.data() + buffer.at, static_cast<size_t>(count));
  buffer.at += count;
  return count;
}

sf_count_t on_write(const void* from, sf_count_t size, void* user) {
  Buffer& buffer = buffer_of(user);
  buffer.bytes.resize(std::max(buffer.bytes.size(), static_cast<size_t>(buffer.at + size)));
  std::memcpy(buffer.bytes.data() + buffer.at, from, static_cast<size_t>(size));
  buffer.at += size;
  return size;
}

}  // namespace

std::vector<float> test_sound(int64_t num_frames, int64_t num_channels) {
  std::vector<float> samples;
  uint32_t noise = 1;
  for (int64_t i = 0; i < num_frames; ++i) {
    for (int64_t c = 0; c < num_channels; ++c) {
      noise = noise * 1664525 + 1013904223;
      const double t = static_cast<double>(i) / 16000;
      const double value = 0.45 * std::sin(6.283 * (200 + 90 * static_cast<double>(c) + 300 * t) * t) + 0.02 * (static_cast<double>(noise >> 8) / (1 << 24) - 0.5);
      samples.push_back(static_cast<float>(std::round(value * 32768) / 32768));
    }
  }
  return samples;
}

std::string wav_file(std::string_view data, const WavOptions& options) {
  const auto unsigned_of = [](int64_t value) { return static_cast<uint64_t>(value); };
  const int64_t frame = options.channels * options.bits / 8;
  const std::string format = little_endian(unsigned_of(options.tag), 2) + little_endian(unsigned_of(options.channels), 2) + little_endian(unsigned_of(options.sample_rate_hz), 4) +
                             little_endian(unsigned_of(options.sample_rate_hz * frame), 4) + little_endian(unsigned_of(frame), 2) + little_endian(unsigned_of(options.bits), 2);
  const uint64_t claimed = options.claimed_bytes >= 0 ? unsigned_of(options.claimed_bytes) : data.size();
  const std::string body = "WAVE" + riff_chunk("fmt ", format) + options.before_data + "data" + little_endian(claimed, 4) + std::string(data);
  return "RIFF" + little_endian(body.size(), 4) + body;
}

std::string pcm16(const std::vector<float>& samples) {
  std::string bytes;
  for (const float sample : samples) bytes += little_endian(static_cast<uint64_t>(static_cast<int64_t>(sample * 32768)), 2);
  return bytes;
}

std::string encode_sound(const std::vector<float>& samples, int64_t num_channels, int64_t sample_rate_hz, int format) {
  Buffer buffer;
  SF_VIRTUAL_IO io{on_size, on_seek, on_read, on_write, on_tell};
  SF_INFO info{};
  info.channels = static_cast<int>(num_channels);
  info.samplerate = static_cast<int>(sample_rate_hz);
  info.format = format;
  SNDFILE* file = sf_open_virtual(&io, SFM_WRITE, &info, &buffer);
  INFO(sf_strerror(file));
  REQUIRE(file != nullptr);
  const auto frames = static_cast<sf_count_t>(samples.size()) / num_channels;
  REQUIRE(sf_writef_float(file, samples.data(), frames) == frames);
  REQUIRE(sf_close(file) == 0);
  return buffer.bytes;
}

}  // namespace fettle::test
