// Any file; the seeds are WAV, FLAC, Ogg and MP3.
#include <cmath>

#include "decode/sound.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    constexpr SoundLimits kLimits{.max_frames = 1 << 18, .max_channels = 8};
    const Sound sound = decode_sound(bytes, "fuzz", kLimits);
    fuzz::demand(sound.num_frames > 0 && sound.num_frames <= kLimits.max_frames, "frames are bounded");
    fuzz::demand(sound.num_channels > 0 && sound.num_channels <= kLimits.max_channels, "channels are bounded");
    fuzz::demand(sound.samples.size() == static_cast<size_t>(sound.num_frames * sound.num_channels), "a sample for every frame and channel");
    for (const float sample : sound.samples) fuzz::demand(std::isfinite(sample), "samples are finite");
  });
}
