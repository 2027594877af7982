#pragma once
// Image files to 8-bit RGB, for data loaders and tools: JPEG (libjpeg-turbo), PNG (libpng), WebP (libwebp), TIFF (libtiff), BMP, GIF, PNM
// and TGA (our own readers). The format is told by the first bytes, never by a name; TGA, which has no magic number, by a header that
// makes sense in all its fields.
//
// Pixels are those of Pillow's Image.open(file).convert("RGB"): grey is repeated, palettes are looked up, alpha is dropped (not
// blended), 16 bits keep the high byte, 1, 2 and 4 bits are stretched to 0..255, CMYK becomes R = 255-K - mul255(C, 255-K) and alike,
// profiles and gamma are ignored. JPEG: accurate integer inverse DCT and triangle upsampling, the bits of libjpeg-turbo. Differences:
//   16-bit grey             the high byte, where Pillow's own conversion may clip
//   TIFF                    premultiplied alpha is dropped as well, not divided out; no fewer, but other methods and colours are refused
// Animations give their first frame, TIFF files their first page. Not read: run-length coded BMP, lossless and 12-bit JPEG, TIFF with
// floating or 32-bit samples, Lab or YCbCr colours (but in JPEG) or old-style JPEG.
//
// TIFF needs libtiff.so.6 at run time, which is opened when the first one comes: Error(kMachine) without it.
// Errors (kInput, each starts with the file's name): no known format; a header that claims 0 pixels, more than `max_pixels`, or more than
// the file's bytes can encode where the format knows a limit (checked before pixels are allocated); what is not read; damage. Damage is
//   JPEG   data that end early (a missing end marker alone is no damage: all pixels are there), codes that do not exist, restart markers or
//          scans out of order, more than 100 scans. Bytes between segments and after the image are skipped, as everybody does.
//   PNG    a wrong checksum in any chunk, anything missing up to and including IEND
//   others what their library calls an error; pixels that are missing
//
// Not thread-safe: one ImageDecoder a thread. Nothing is printed and no global state is touched.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

struct Image {
  int64_t height = 0, width = 0;
  std::vector<uint8_t> pixels;  // [height, width, 3] RGB
};

enum class ImageFormat : int { kJpeg, kPng, kWebp, kTiff, kBmp, kGif, kPnm, kTga };

std::string_view image_format_name(ImageFormat format);  // "JPEG"

struct ImageInfo {
  ImageFormat format = ImageFormat::kJpeg;
  int64_t height = 0, width = 0;  // as stored; `orientation` is not applied
  int orientation = 1;            // 1..8 as EXIF has it: JPEG, PNG (before the pixels), TIFF, WebP; else, and where it is malformed, 1
};

struct DecodeOptions {
  int64_t max_pixels = 178'956'970;  // height * width; Pillow's limit for what may be a bomb
};

struct Box {
  int64_t top = 0, left = 0, height = 0, width = 0;  // pixels
};

struct PlacedBox {
  double top = 0, left = 0, height = 0, width = 0;  // pixels, fractional
};

class ImageDecoder {
 public:
  explicit ImageDecoder(DecodeOptions options = {});
  ~ImageDecoder();
  ImageDecoder(ImageDecoder&&) noexcept;
  ImageDecoder& operator=(ImageDecoder&&) noexcept;

  // Reads the header. `bytes` must live and not change until the next open(); `name` begins every error.
  ImageInfo open(std::span<const uint8_t> bytes, std::string_view name);

  // All pixels of what open() read; may be repeated. `image` keeps its capacity from call to call. After an error its contents are
  // unspecified, and the decoder is ready for the next open().
  void decode(Image& image);

  // By how much a part of height x width pixels can be shrunk while decoding so that a resize to the target still shrinks from there: of 1,
  // 2, 4 and 8 the largest with height / denominator >= target_height, and the width alike; for chroma that libjpeg does not bring to full
  // size (4:2:2 and alike) counted in its own samples, so that no resolution is lost. Formats other than JPEG: 1.
  int64_t denominator(int64_t height, int64_t width, int64_t target_height, int64_t target_width);

  // What a crop to `box` (inside the image) needs, shrunk by a denominator (1, 2, 4 or 8). Of a JPEG only the rows and columns around the
  // box are transformed; other formats are decoded whole, at denominator 1 alone.
  //   -> where the box lies in `image`. Pixels inside it are those of the whole picture at that denominator, bit for bit, and at 1 those of
  //      decode(). Pixel x covers the columns [x * denominator, (x + 1) * denominator) counted from a multiple of the denominator.
  // Damage is found in what has to be read: a JPEG with all its data in one scan is read from its beginning to the box's last row. So that
  // a truncated file is refused whatever the box, a file without an end marker in its last 64 bytes is read to its end.
  PlacedBox decode_box(const Box& box, int64_t denominator, Image& image);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Turns and mirrors the picture upright, as EXIF's orientation (1..8) says; height and width swap for 5..8.
void apply_orientation(Image& image, int orientation);

// For tools: one file, as stored.
Image decode_image(std::span<const uint8_t> bytes, std::string_view name, const DecodeOptions& options = {});

}  // namespace fettle
