#include "bytes/encodings.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/errors.h"
#include "base/text.h"
#include "bytes/png_writer.h"
#include "bytes/sound_writers.h"
#include "decode/jpeg_writer.h"

namespace fettle::byteformer {
namespace {

struct Row {
  Encoding encoding;
  std::string_view name;
};

constexpr Row kEncodings[] = {
    {Encoding::kFhwc, "fhwc"},           {Encoding::kFchw, "fchw"},           {Encoding::kTiff, "tiff"},           {Encoding::kPng, "png"},
    {Encoding::kJpeg, "jpeg"},           {Encoding::kWavFloat32, "wav-float32"}, {Encoding::kWavInt32, "wav-int32"}, {Encoding::kWavInt16, "wav-int16"},
    {Encoding::kWavUint8, "wav-uint8"}, {Encoding::kMp3, "mp3"},
};

constexpr int64_t kMaxSide = 65535, kMaxJpegSide = 65500, kMaxPixelBytes = int64_t{1} << 30;

// ---- TIFF ------------------------------------------------------------------------------------------------------------

constexpr int kShort = 3, kLong = 4;

// Header and directory of one strip; the pixels follow at once.
class TiffHeader {
 public:
  TiffHeader(int64_t height, int64_t width, int channels) {
    const bool rgb = channels == 3;
    const int64_t entries = rgb ? 10 : 9, after = 8 + 2 + 12 * entries + 4, pixels = after + (rgb ? 6 : 0);
    put(0x002A4949, 4);
    put(8, 4);
    put(entries, 2);
    entry(256, kLong, 1, width);
    entry(257, kLong, 1, height);
    entry(258, kShort, channels, rgb ? after : 8);
    entry(259, kShort, 1, 1);
    entry(262, kShort, 1, rgb ? 2 : 1);
    entry(273, kLong, 1, pixels);
    if (rgb) entry(277, kShort, 1, 3);
    entry(278, kLong, 1, height);
    entry(279, kLong, 1, height * width * channels);
    entry(284, kShort, 1, 1);
    put(0, 4);
    for (int c = 0; rgb && c < 3; ++c) put(8, 2);
    FT_CHECK(size_ == pixels, "{} bytes before the pixels, expected {}", size_, pixels);
  }

  static constexpr int64_t bytes(int channels) { return channels == 3 ? 140 : 122; }
  const uint8_t* data() const { return bytes_.data(); }

 private:
  void put(int64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) bytes_[static_cast<size_t>(size_++)] = static_cast<uint8_t>(value >> (8 * i));
  }
  void entry(int tag, int type, int64_t count, int64_t value) {
    put(tag, 2);
    put(type, 2);
    put(count, 4);
    put(value, 4);
  }

  std::array<uint8_t, 140> bytes_{};
  int64_t size_ = 0;
};

// ---- the others ------------------------------------------------------------------------------------------------------

void split_channels(const ImageView& image, uint8_t* out) {
  const int64_t plane = image.height * image.width;
  const uint8_t* in = image.pixels;
  uint8_t* const red = out;
  uint8_t* const green = out + plane;
  uint8_t* const blue = green + plane;
  for (int64_t i = 0; i < plane; ++i) {
    red[i] = in[3 * i];
    green[i] = in[3 * i + 1];
    blue[i] = in[3 * i + 2];
  }
}

void require_image(const EncodingOptions& options, const ImageView& image) {
  FT_CHECK(is_of_images(options.encoding), "{} is an encoding of sounds", encoding_name(options.encoding));
  FT_CHECK(image.channels == 1 || image.channels == 3, "{} channels", image.channels);
  const int64_t most = options.encoding == Encoding::kJpeg ? kMaxJpegSide : kMaxSide;
  FT_REQUIRE(image.height >= 1 && image.width >= 1 && image.height <= most && image.width <= most, "cannot write a picture of {} x {} pixels as {}: expected sides from 1 to {}",
             image.height, image.width, encoding_name(options.encoding), most);
  FT_REQUIRE(image.height * image.width * image.channels <= kMaxPixelBytes, "cannot write a picture of {} x {} pixels: expected at most {} bytes", image.height, image.width, kMaxPixelBytes);
}

void validate(const EncodingOptions& options) {
  FT_CHECK(options.jpeg_quality >= 1 && options.jpeg_quality <= 100 && options.png_level >= 0 && options.png_level <= 9, "JPEG quality {}, PNG level {}", options.jpeg_quality, options.png_level);
}

}  // namespace

std::string_view encoding_name(Encoding encoding) { return kEncodings[static_cast<size_t>(encoding)].name; }

std::optional<Encoding> find_encoding(std::string_view name) {
  for (const Row& row : kEncodings) {
    if (row.name == name) return row.encoding;
  }
  return std::nullopt;
}

bool is_of_images(Encoding encoding) { return encoding <= Encoding::kJpeg; }

Json to_json(const EncodingOptions& options) {
  Json json = {{"encoding", encoding_name(options.encoding)}};
  if (options.encoding == Encoding::kJpeg) json["jpeg_quality"] = options.jpeg_quality;
  if (options.encoding == Encoding::kPng) json["png_level"] = options.png_level;
  return json;
}

EncodingOptions encoding_from_json(const Json& json, std::string_view where) {
  FT_REQUIRE(json.is_object() && json.contains("encoding") && json["encoding"].is_string(), "{}: expected an object with 'encoding', found {}", where, quote(json.dump(-1, ' ', true, Json::error_handler_t::replace)));
  const std::string name = json["encoding"];
  const std::optional<Encoding> encoding = find_encoding(name);
  if (!encoding) {
    std::vector<std::string> names;
    for (const Row& row : kEncodings) names.emplace_back(row.name);
    FT_FAIL(ExitCode::kInput, "{}: encoding {} is not known, expected one of {}", where, quote(name), join(names, ", "));
  }
  EncodingOptions options{.encoding = *encoding};
  for (const auto& [key, value] : json.items()) {
    if (key == "encoding") continue;
    const bool quality = key == "jpeg_quality" && options.encoding == Encoding::kJpeg;
    FT_REQUIRE(quality || (key == "png_level" && options.encoding == Encoding::kPng), "{}: {} is no setting of {}", where, quote(key), name);
    const int least = quality ? 1 : 0, most = quality ? 100 : 9;
    FT_REQUIRE(value.is_number_integer() && value >= least && value <= most, "{}: {} is {}, expected {} to {}", where, key, quote(value.dump(-1, ' ', true, Json::error_handler_t::replace)), least, most);
    (quality ? options.jpeg_quality : options.png_level) = value.get<int>();
  }
  return options;
}

std::optional<int64_t> encoded_image_bytes(const EncodingOptions& options, int64_t height, int64_t width, int channels) {
  require_image(options, {nullptr, height, width, channels});
  const int64_t pixels = height * width * channels;
  if (options.encoding == Encoding::kFhwc || options.encoding == Encoding::kFchw) return pixels;
  if (options.encoding == Encoding::kTiff) return TiffHeader::bytes(channels) + pixels;
  if (options.encoding == Encoding::kPng && options.png_level == 0) {
    // Stored data are as long for one picture as for another.
    const std::vector<uint8_t> black(static_cast<size_t>(pixels));
    std::vector<uint8_t> bytes;
    PngWriter(0).write(black.data(), height, width, channels, bytes);
    return static_cast<int64_t>(bytes.size());
  }
  return std::nullopt;
}

std::optional<int64_t> encoded_sound_bytes(const EncodingOptions& options, int64_t num_samples) {
  FT_CHECK(!is_of_images(options.encoding), "{} is an encoding of pictures", encoding_name(options.encoding));
  if (options.encoding == Encoding::kMp3) return std::nullopt;
  return wav_bytes(options.encoding, num_samples);
}

void quantize(std::span<const float> values, std::span<uint8_t> bytes) {
  FT_CHECK(values.size() == bytes.size(), "{} values for {} bytes", values.size(), bytes.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const float scaled = 255.0f * values[i];
    bytes[i] = scaled >= 255.0f ? 255 : scaled > 0.0f ? static_cast<uint8_t>(scaled) : 0;
  }
}

struct Encoder::Buffers {
  std::optional<PngWriter> png;
  Mp3Writer mp3;
};

Encoder::Encoder(const EncodingOptions& options) : options_(options), buffers_(std::make_unique<Buffers>()) {
  validate(options);
  if (options.encoding == Encoding::kPng) buffers_->png.emplace(options.png_level);
}

Encoder::~Encoder() = default;
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder& Encoder::operator=(Encoder&&) noexcept = default;

void Encoder::encode_image(const ImageView& image, std::vector<uint8_t>& bytes) {
  require_image(options_, image);
  const auto num_pixel_bytes = static_cast<size_t>(image.height * image.width * image.channels);
  switch (options_.encoding) {
    case Encoding::kFchw:
      if (image.channels == 3) {
        bytes.resize(num_pixel_bytes);
        split_channels(image, bytes.data());
        return;
      }
      [[fallthrough]];  // one channel is its own plane
    case Encoding::kFhwc:
      bytes.resize(num_pixel_bytes);
      std::memcpy(bytes.data(), image.pixels, num_pixel_bytes);
      return;
    case Encoding::kTiff: {
      const auto header_bytes = static_cast<size_t>(TiffHeader::bytes(image.channels));
      bytes.resize(header_bytes + num_pixel_bytes);
      std::memcpy(bytes.data(), TiffHeader(image.height, image.width, image.channels).data(), header_bytes);
      std::memcpy(bytes.data() + header_bytes, image.pixels, num_pixel_bytes);
      return;
    }
    case Encoding::kPng: return buffers_->png->write(image.pixels, image.height, image.width, image.channels, bytes);
    case Encoding::kJpeg: return encode_jpeg(image.pixels, image.height, image.width, image.channels, options_.jpeg_quality, bytes);
    default: FT_CHECK(false, "encoding {}", encoding_name(options_.encoding));
  }
}

void Encoder::encode_sound(std::span<const float> mono, int64_t sample_rate_hz, std::vector<uint8_t>& bytes) {
  FT_CHECK(!is_of_images(options_.encoding), "{} is an encoding of pictures", encoding_name(options_.encoding));
  require_sound(mono, sample_rate_hz);
  if (options_.encoding == Encoding::kMp3) {
    buffers_->mp3.write(mono, sample_rate_hz, bytes);
  } else {
    write_wav(options_.encoding, mono, sample_rate_hz, bytes);
  }
}

}  // namespace fettle::byteformer
