// PNG by libpng's row interface. Errors leave by longjmp, as in jpeg.cpp: the frames between hold plain values only.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

struct Png {
  png_structp reader = nullptr;
  png_infop info = nullptr;
  const uint8_t* next = nullptr;
  size_t left = 0;
  char message[256] = "";
  ~Png() { png_destroy_read_struct(&reader, &info, nullptr); }
};

[[noreturn]] void on_error(png_structp reader, png_const_charp text) {
  Png& png = *static_cast<Png*>(png_get_error_ptr(reader));
  std::snprintf(png.message, sizeof png.message, "%s", text);
  png_longjmp(reader, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp reader, png_bytep to, size_t size) {
  Png& png = *static_cast<Png*>(png_get_io_ptr(reader));
  if (size > png.left) png_error(reader, "the file ends early");
  std::memcpy(to, png.next, size);
  png.next += size;
  png.left -= size;
}

template <class Step>
bool attempt(Png& png, Step step) {
  if (setjmp(png_jmpbuf(png.reader)) != 0) return false;
  step();
  return true;
}

void require(bool done, const Png& png, const ImageFile& file) { FT_REQUIRE(done, "{} is damaged or no valid PNG: {}", file.name, png.message); }

// The orientation in an eXIf chunk before the pixels. libpng would allocate as many bytes as the chunk claims.
int find_orientation(std::span<const uint8_t> bytes) {
  const auto length = [&](size_t at) { return size_t{bytes[at]} << 24 | size_t{bytes[at + 1]} << 16 | size_t{bytes[at + 2]} << 8 | bytes[at + 3]; };
  for (size_t at = 8; at + 12 <= bytes.size() && length(at) <= bytes.size() - at - 12; at += length(at) + 12) {
    const std::string_view type(reinterpret_cast<const char*>(bytes.data() + at + 4), 4);
    if (type == "eXIf") return exif_orientation(bytes.subspan(at + 8, length(at)));
    if (type == "IDAT") break;
  }
  return 1;
}

// Reads up to the first pixels.
ImageInfo begin(Png& png, const ImageFile& file) {
  png.reader = png_create_read_struct(PNG_LIBPNG_VER_STRING, &png, on_error, on_warning);
  FT_CHECK(png.reader != nullptr, "libpng does not start: {}", png.message);
  png.next = file.bytes.data();
  png.left = file.bytes.size();
  require(attempt(png, [&] {
    png.info = png_create_info_struct(png.reader);
    png_set_read_fn(png.reader, &png, on_read);
    png_set_crc_action(png.reader, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(png.reader, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // ours are below
    // Text, profiles, times and the like: their checksums are looked at and nothing else.
    png_set_keep_unknown_chunks(png.reader, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
    png_read_info(png.reader, png.info);
  }), png, file);

  const int64_t height = png_get_image_height(png.reader, png.info), width = png_get_image_width(png.reader, png.info);
  require_size(file, "PNG", height, width);
  // Deflate expands at most 1032 times.
  const double bits = static_cast<double>(width) * png_get_channels(png.reader, png.info) * png_get_bit_depth(png.reader, png.info);
  require_bytes(file, "PNG", static_cast<double>(height) * std::floor(bits / 8), 1032);

  return {ImageFormat::kPng, height, width, find_orientation(file.bytes)};
}

}  // namespace

ImageInfo read_png_header(const ImageFile& file) {
  Png png;
  return begin(png, file);
}

void decode_png(const ImageFile& file, Image& image) {
  Png png;
  const ImageInfo info = begin(png, file);
  int passes = 0;
  size_t row_bytes = 0;
  require(attempt(png, [&] {
    png_set_palette_to_rgb(png.reader);
    png_set_expand_gray_1_2_4_to_8(png.reader);
    png_set_strip_16(png.reader);
    png_set_strip_alpha(png.reader);
    png_set_gray_to_rgb(png.reader);
    passes = png_set_interlace_handling(png.reader);
    png_read_update_info(png.reader, png.info);
    row_bytes = png_get_rowbytes(png.reader, png.info);
  }), png, file);
  FT_CHECK(row_bytes == static_cast<size_t>(info.width) * 3, "libpng makes rows of {} bytes for {} pixels", row_bytes, info.width);
  set_size(image, info.height, info.width);
  require(attempt(png, [&] {
    for (int pass = 0; pass < passes; ++pass) {
      uint8_t* row = image.pixels.data();
      for (int64_t y = 0; y < info.height; ++y, row += row_bytes) png_read_row(png.reader, row, nullptr);
    }
    png_read_end(png.reader, nullptr);
  }), png, file);
}

}  // namespace fettle
