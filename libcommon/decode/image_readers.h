#pragma once
// What image.cpp asks of each format's reader; internal to this room. A header function checks everything that can be known before pixels
// are allocated; a decode function reads the header again and fills `image`. All throw Error(kInput) that starts with the file's name.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "decode/image.h"

namespace fettle {

struct ImageFile {
  std::span<const uint8_t> bytes;
  std::string_view name;
  int64_t max_pixels = 0;
};

ImageInfo read_png_header(const ImageFile& file);
void decode_png(const ImageFile& file, Image& image);
ImageInfo read_webp_header(const ImageFile& file);
void decode_webp(const ImageFile& file, Image& image);
ImageInfo read_tiff_header(const ImageFile& file);
void decode_tiff(const ImageFile& file, Image& image);
ImageInfo read_pnm_header(const ImageFile& file);
void decode_pnm(const ImageFile& file, Image& image);
ImageInfo read_bmp_header(const ImageFile& file);
void decode_bmp(const ImageFile& file, Image& image);
ImageInfo read_gif_header(const ImageFile& file);
void decode_gif(const ImageFile& file, Image& image);
bool is_tga(std::span<const uint8_t> bytes);  // all that a header without a magic number can be wrong in; demanded by the two below
ImageInfo read_tga_header(const ImageFile& file);
void decode_tga(const ImageFile& file, Image& image);

// A JPEG goes on from its header, and keeps buffers from file to file. decode() or decode_box() once after each open().
class JpegReader {
 public:
  JpegReader();
  ~JpegReader();
  ImageInfo open(const ImageFile& file);
  void decode(Image& image);
  int64_t denominator(int64_t height, int64_t width, int64_t target_height, int64_t target_width);  // before the pixels
  PlacedBox decode_box(const Box& box, int64_t denominator, Image& image);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- shared ----------------------------------------------------------------------------------------------------------

// 1 <= height, width and height * width <= max_pixels.
void require_size(const ImageFile& file, std::string_view format, int64_t height, int64_t width);

// The file's bytes, each giving up to `max_expansion` bytes of pixels, suffice for `needed` of them: memory follows what is there.
void require_bytes(const ImageFile& file, std::string_view format, double needed, double max_expansion);

void set_size(Image& image, int64_t height, int64_t width);

// The orientation in EXIF data ("II*\0" or "MM\0*", without "Exif\0\0" before them); 1 where there is none or it makes no sense.
int exif_orientation(std::span<const uint8_t> exif);

// Pillow's CMYK to RGB. mul255(a, b) is a * b / 255, rounded.
inline void cmyk_to_rgb(int cyan, int magenta, int yellow, int black, uint8_t* rgb) {
  const int white = 255 - black;
  const auto without = [white](int ink) {
    const int product = ink * white + 128;
    return static_cast<uint8_t>(white - ((product + (product >> 8)) >> 8));
  };
  rgb[0] = without(cyan);
  rgb[1] = without(magenta);
  rgb[2] = without(yellow);
}

}  // namespace fettle
