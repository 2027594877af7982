#pragma once
// Sound files made to measure. Strings hold bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "decode/sound.h"

namespace fettle::test {

// A chirp with a little noise, a different one in every channel: multiples of 2^-15 in [-0.5, 0.5].  [num_frames, num_channels]
std::vector<float> test_sound(int64_t num_frames, int64_t num_channels = 1);

// RIFF around one "fmt " chunk and the samples' bytes; nothing is checked, so that wrong files can be made.
struct WavOptions {
  int tag = 1;  // 1 integers, 3 floats, 6 A-law, 7 mu-law
  int channels = 1, bits = 16;
  int64_t sample_rate_hz = 16000;
  int64_t claimed_bytes = -1;  // in the data chunk's header; -1: what is there
  std::string before_data;     // chunks
};
std::string wav_file(std::string_view data, const WavOptions& options = {});

std::string pcm16(const std::vector<float>& samples);  // x * 32768, little-endian

// By libsndfile, with one of its formats (SF_FORMAT_FLAC | SF_FORMAT_PCM_16).
std::string encode_sound(const std::vector<float>& samples, int64_t num_channels, int64_t sample_rate_hz, int format);

}  // namespace fettle::test
