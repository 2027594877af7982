#pragma once
// Sound files in memory to float samples, for data loaders and tools: WAV (8, 16, 24 and 32 bits, float, double, mu-law, A-law; RIFF
// and RF64), FLAC, Ogg (Vorbis, Opus) and MP3. The format is told by the first bytes, never by a name.
//
// Samples are in [-1, 1] where the file's are integers: n bits are divided by 2^(n-1), unsigned 8 bits have 128 as zero. Floating samples are
// left as they are, and refused where they are not finite. MP3: the coder's delay is left in unless the file says (in LAME's
// information frame) how long it is.
//
// Needs libsndfile.so.1 at run time, for MP3 libmpg123.so.0, opened when the first such sound comes: Error(kMachine) without it.
// Errors (kInput, each starts with the file's name): no known format, a known one with an encoding not listed above, no samples, a rate
// beyond 2^20, more than `max_frames` or `max_channels`, damage. Damage is
//   WAV    a chunk of samples that claims more than the file has, unless its size is 0xFFFFFFFF, which writers to a pipe leave behind
//   FLAC   fewer frames than the header says; what its library calls an error
//   Ogg    anything but whole pages, a wrong checksum; what its library calls an error
//   MP3    a change of rate or channels. There is no length to check: a file that ends early gives the frames that are there. Bytes that
//          are no frames are skipped, as everybody does
// Memory follows the samples that are there, not those that a header claims.
//
// Thread-safe, and nothing is printed.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fettle {

enum class SoundFormat : int { kWav, kFlac, kOgg, kMp3 };

std::string_view sound_format_name(SoundFormat format);  // "WAV"

struct Sound {
  SoundFormat format = SoundFormat::kWav;
  int64_t num_frames = 0, num_channels = 0;
  int64_t sample_rate_hz = 0;
  std::vector<float> samples;  // [num_frames, num_channels]
};

struct SoundLimits {
  int64_t max_frames = int64_t{1} << 28;  // 46 minutes at 96 kHz
  int64_t max_channels = 32;
};

// `sound` keeps its capacity from call to call; after an error its contents are unspecified.
void decode_sound(std::span<const uint8_t> bytes, std::string_view name, const SoundLimits& limits, Sound& sound);
Sound decode_sound(std::span<const uint8_t> bytes, std::string_view name, const SoundLimits& limits = {});

// The mean over channels: their sum in order of channels, in single precision, divided by their number. -> [num_frames]
void mix_to_mono(const Sound& sound, std::vector<float>& mono);

}  // namespace fettle
