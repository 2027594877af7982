#pragma once
// How a file or a picture becomes the bytes that the network reads: part of the artifact, so that inference does what training did.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bytes/byte_transforms.h"
#include "bytes/encodings.h"
#include "decode/sound.h"

namespace fettle::byteformer {

struct Input {
  std::optional<EncodingOptions> encoding;  // none: files as they are stored
  ByteTransforms transforms;
  bool secret_phi = false;        // phi came from a file, and is not written into the artifact

  // Pictures: as a network's preprocessing does it, before they are encoded.
  int64_t size = 224;
  double crop_pct = 1;
  std::string interpolation = "bilinear";

  // Sounds: cut or filled up with zeros to so many samples, before they are encoded; 0: as long as they are.
  int64_t num_samples = 0;

  // As they are stored: the bytes from here on are left out; 0: none.
  int64_t max_bytes = 0;

  // What the network has positions for, of bytes after their transforms; 0: any number. An artifact does not hold it: it follows from the network.
  int64_t most_bytes = 0;

  bool of_images() const { return encoding && is_of_images(encoding->encoding); }
  bool operator==(const Input&) const = default;
};

// {"encoding": "as-stored", ...}; reading is strict: Error(kInput) that begins with `where`. A secret phi is "secret".
Json to_json(const Input& input);
Input input_from_json(const Json& json, const std::string& where);

// Error(kInput), beginning with the name: the transforms left no byte, or there are more than the network has positions for.
void require_bytes(const Input& input, size_t num_bytes, const std::string& name);

// The bytes of stored files that are not pictures to be encoded: one object a thread.
class FileEncoder {
 public:
  explicit FileEncoder(const Input& input);  // not of_images(); must outlive the encoder
  // Error(kInput), beginning with the name: an empty file, a sound that cannot be read, what require_bytes() refuses.
  void encode(std::span<const uint8_t> file, const std::string& name, const SampleKey& key, std::vector<uint8_t>& bytes);

  // The same of sounds in two parts, between which training alters them. A waveform is valid until the next call.
  struct Waveform {
    std::vector<float>& mono;
    int64_t sample_rate_hz;
  };
  Waveform decode(std::span<const uint8_t> file, const std::string& name);
  void encode(const Waveform& sound, const std::string& name, const SampleKey& key, std::vector<uint8_t>& bytes);

 private:
  const Input& input_;
  std::optional<Encoder> encoder_;
  ByteTransformer transformer_;
  Sound sound_;
  std::vector<float> mono_;
};

}  // namespace fettle::byteformer
