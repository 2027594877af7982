#pragma once
// Pictures and sounds to the bytes of files, as ByteFormer (arXiv 2306.00238) reads them: no files are touched.
//
//   fhwc, fchw   the pixels themselves, [H, W, C] or [C, H, W]
//   tiff         one strip without compression behind a header of 140 bytes (3 channels) or 122 (grey); Pillow's bytes
//   png          8 bits a sample, Pillow's choice among its filters row by row, Pillow's chunks. Level 0 (stored) has Pillow's bytes.
//                Levels 1 to 9 have them where Pillow uses the same zlib, and else the same pixels and filters in other bytes.
//   jpeg         4:2:0, the standard's Huffman tables, accurate integer DCT: the bytes of libjpeg-turbo's defaults, which are Pillow's
//   wav-float32  58 bytes and the samples, rounded to multiples of 2^-24 as sox does:
//                                                    floor((trunc(x * 2^31), clamped to int32, + 64) / 128) * 128 / 2^31
//   wav-int32    80 bytes and trunc(x * 2^31)
//   wav-int16    44 bytes and trunc(x * 32767)
//   wav-uint8    44 bytes and trunc((x + 1) * 255 / 2); an odd number of samples is followed by a zero
//   mp3          LAME's defaults without an information frame, so that 1,105 samples of delay stay in. Byte for byte that of sox with
//                LAME 3.100, other releases of LAME may give others.
// All products are single precision. Samples must be finite; what is beyond [-1, 1] is clamped to what the type holds (the public code
// lets integers wrap around, so that +1 becomes the lowest value in wav-int32; only +1 and beyond differ).
//
// MP3 needs libmp3lame.so.0 at run time, which is opened when the first one is asked for: Error(kMachine) without it.
// Errors (kInput): a picture that the format cannot hold (see encode_image), a sound too long for its header, a sample that is not
// finite, a rate that MP3 does not know.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace fettle {
using Json = nlohmann::json;
}

namespace fettle::byteformer {

enum class Encoding : int { kFhwc, kFchw, kTiff, kPng, kJpeg, kWavFloat32, kWavInt32, kWavInt16, kWavUint8, kMp3 };

std::string_view encoding_name(Encoding encoding);              // "tiff", "wav-int16"
std::optional<Encoding> find_encoding(std::string_view name);
bool is_of_images(Encoding encoding);                           // else of sounds

struct EncodingOptions {
  Encoding encoding = Encoding::kTiff;
  int jpeg_quality = 100;  // 1..100
  int png_level = 0;       // 0..9: stored, fastest .. smallest
  bool operator==(const EncodingOptions&) const = default;
};

// {"encoding": "jpeg", "jpeg_quality": 60}: the keys that count for the encoding. Reading refuses unknown keys and values with kInput;
// `where` begins the message.
Json to_json(const EncodingOptions& options);
EncodingOptions encoding_from_json(const Json& json, std::string_view where);

struct ImageView {
  const uint8_t* pixels = nullptr;  // [height, width, channels]
  int64_t height = 0, width = 0;
  int channels = 3;  // 3: RGB, 1: grey
};

// The number of bytes where the content does not change it: fhwc, fchw, tiff, png at level 0; wav.
std::optional<int64_t> encoded_image_bytes(const EncodingOptions& options, int64_t height, int64_t width, int channels = 3);
std::optional<int64_t> encoded_sound_bytes(const EncodingOptions& options, int64_t num_samples);

// floor(255 * x) in single precision, for pictures that come as floats in [0, 1]: what is beyond is clamped, NaN is 0. Equal lengths.
void quantize(std::span<const float> values, std::span<uint8_t> bytes);

// Keeps buffers from call to call: one encoder a thread. `bytes` is replaced and keeps its capacity.
class Encoder {
 public:
  explicit Encoder(const EncodingOptions& options);
  ~Encoder();
  Encoder(Encoder&&) noexcept;
  Encoder& operator=(Encoder&&) noexcept;

  const EncodingOptions& options() const { return options_; }

  // Sides from 1 to 65,535 (JPEG: 65,500) and at most 2^30 bytes of pixels; 1 or 3 channels.
  void encode_image(const ImageView& image, std::vector<uint8_t>& bytes);

  // At most 2^28 samples, at least one; 1 <= sample_rate_hz <= 2^20. mono: full scale is 1.
  void encode_sound(std::span<const float> mono, int64_t sample_rate_hz, std::vector<uint8_t>& bytes);

 private:
  EncodingOptions options_;
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace fettle::byteformer
