#pragma once
// What sound.cpp and its readers share; internal to this room. All throw Error(kInput) that starts with the file's name.

#include <cstdint>
#include <span>
#include <string_view>

#include "decode/sound.h"

namespace fettle {

struct SoundFile {
  std::span<const uint8_t> bytes;
  std::string_view name;
  const SoundLimits& limits;
};

// Fills all of `sound` but its format. Samples beyond num_frames may follow.
void decode_mp3(const SoundFile& file, Sound& sound);

// ---- shared ----------------------------------------------------------------------------------------------------------

// Channels and rate within limits; no frames yet.
void set_shape(const SoundFile& file, int64_t num_channels, int64_t sample_rate_hz, Sound& sound);

// Makes room for frames after those that are there, as many as are expected but at most 2^16 samples of them -> how many.
int64_t next_block(Sound& sound, int64_t expected);

// Counts what was read into that room.
void add_frames(const SoundFile& file, int64_t num_frames, Sound& sound);

}  // namespace fettle
