#pragma once
// Image files made to measure. Strings hold bytes.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decode/image.h"

namespace fettle::test {

std::span<const uint8_t> as_bytes(std::string_view text);
std::string little_endian(uint64_t value, int bytes);
std::string big_endian(uint64_t value, int bytes);

// What a decoder makes of a file called 'f', and that it refuses one: with kInput, the file's name and `part` in the message.
Image decode(std::string_view file, const DecodeOptions& options = {});
void refused(const std::string& part, std::string_view file);

// Waves of colour with a little noise and some hard edges, the same for the same sizes and seed.
Image test_picture(int64_t height, int64_t width, uint32_t seed = 1);

// EXIF data with nothing but an orientation.
std::string exif(int orientation, bool little = true);

struct JpegOptions {
  int quality = 90;
  int horizontal = 2, vertical = 2;  // sampling factors of the luminance, or of the first component; the others have 1
  bool grey = false;                 // of the green channel
  bool keep_rgb = false;             // stored without YCbCr
  bool inks = false;                 // CMYK with C = 255 - R and so on, K = 64, stored inverted, with Adobe's marker
  bool ycck = false;                 // with `inks`
  bool progressive = false, arithmetic = false;
  bool one_scan_each = false;        // a sequential scan a component
  bool coarse = false;               // progressive, means of blocks only: decoders smooth between blocks
  unsigned restart_interval = 0;     // MCUs
  int orientation = 0;               // EXIF, where it is not 0
};
std::string encode_jpeg(const Image& image, const JpegOptions& options = {});

struct PngOptions {
  int color_type = 2, depth = 8;
  bool interlaced = false;
  std::string palette;  // PLTE
  std::string transparency;  // tRNS
  int orientation = 0;  // eXIf, where it is not 0
};
// `samples`: [height, width, channels] of the colour type.
std::string encode_png(int64_t height, int64_t width, const std::vector<uint16_t>& samples, const PngOptions& options);
std::string png_chunk(std::string_view type, std::string_view data);  // length, type, data, checksum

struct TiffOptions {
  int bits = 8, samples = 3;
  int photometric = 2, compression = 1, planes = 1, predictor = 1;
  int64_t tile = 0, strip_rows = 5;  // tiles of tile x tile instead of strips
  bool big_endian = false;
  int orientation = 0;
  std::vector<uint16_t> colors;  // [3, 2^bits]
};
std::string encode_tiff(int64_t height, int64_t width, const std::vector<uint16_t>& samples, const TiffOptions& options);

std::string encode_webp(const Image& image, float quality = 0);  // 0: lossless
std::string riff_chunk(std::string_view type, std::string_view data);
std::string webp_file(std::string_view chunks);

std::vector<uint16_t> samples_of(const Image& image);  // [height, width, 3]

}  // namespace fettle::test
