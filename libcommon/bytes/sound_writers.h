#pragma once
// WAV and MP3 as sox writes them, of one channel; encodings.h says what is equal to it.

#include <cstdint>
#include <span>
#include <vector>

#include "bytes/encodings.h"

namespace fettle::byteformer {

// A number and a rate of samples that the writers take, all of them finite: else Error(kInput).
void require_sound(std::span<const float> mono, int64_t sample_rate_hz);

int64_t wav_bytes(Encoding encoding, int64_t num_samples);
void write_wav(Encoding encoding, std::span<const float> mono, int64_t sample_rate_hz, std::vector<uint8_t>& bytes);

class Mp3Writer {
 public:
  void write(std::span<const float> mono, int64_t sample_rate_hz, std::vector<uint8_t>& bytes);

 private:
  std::vector<float> scaled_;
};

}  // namespace fettle::byteformer
