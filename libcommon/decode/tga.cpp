// TGA: palettes, grey and colour, plain or run-length coded. It has no magic number, so a header must make sense in all its fields.
#include <algorithm>
#include <array>
#include <vector>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

constexpr size_t kHeader = 18;
constexpr int kPalette = 1, kColor = 2, kGrey = 3, kRuns = 8;

struct Header {
  int64_t height = 0, width = 0;
  int kind = 0;  // kPalette, kColor or kGrey
  bool runs = false, top_down = false, right_to_left = false;
  size_t pixel_bytes = 0;
  size_t map_begin = 0, map_size = 0, map_bytes = 0;  // first index, entries and bytes an entry
  size_t map_offset = 0, offset = 0;                  // of the palette, of the pixels
};

size_t word(std::span<const uint8_t> bytes, size_t offset) { return bytes[offset] | size_t{bytes[offset + 1]} << 8; }

size_t bytes_of(int bits) { return static_cast<size_t>(bits + 7) / 8; }

// Blue, green, red: three bytes, four with alpha, or five bits each.
void to_rgb(const uint8_t* stored, size_t size, uint8_t* rgb) {
  if (size == 2) {
    const int pixel = stored[0] | stored[1] << 8;
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>((pixel >> 5 * (2 - c) & 31) * 255 / 31);
  } else {
    std::reverse_copy(stored, stored + 3, rgb);
  }
}

Header parse_header(const ImageFile& file) {
  const auto bytes = file.bytes;
  Header h;
  h.kind = bytes[2] & ~kRuns;
  h.runs = (bytes[2] & kRuns) != 0;
  h.map_begin = word(bytes, 3);
  h.map_size = bytes[1] == 1 ? word(bytes, 5) : 0;
  h.map_bytes = bytes[1] == 1 ? bytes_of(bytes[7]) : 0;
  h.width = static_cast<int64_t>(word(bytes, 12));
  h.height = static_cast<int64_t>(word(bytes, 14));
  h.pixel_bytes = bytes_of(bytes[16]);
  h.right_to_left = (bytes[17] & 0x10) != 0;
  h.top_down = (bytes[17] & 0x20) != 0;
  h.map_offset = kHeader + bytes[0];
  h.offset = h.map_offset + h.map_size * h.map_bytes;
  require_size(file, "TGA", h.height, h.width);
  FT_REQUIRE(h.offset <= bytes.size(), "{} is truncated: {} bytes, its TGA header and palette need {}", file.name, bytes.size(), h.offset);
  const auto pixels = static_cast<size_t>(h.height * h.width);
  // A run is a byte and a pixel for up to 128 of them.
  const size_t needed = h.runs ? (pixels + 127) / 128 * (1 + h.pixel_bytes) : pixels * h.pixel_bytes;
  FT_REQUIRE(bytes.size() - h.offset >= needed, "{} is truncated: {} bytes of pixels, its TGA header needs {}", file.name, bytes.size() - h.offset, needed);
  return h;
}

}  // namespace

bool is_tga(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeader) return false;
  const int map = bytes[1], kind = bytes[2] & ~kRuns, map_bits = bytes[7], bits = bytes[16], descriptor = bytes[17];
  const bool map_fits = map == 1 ? word(bytes, 5) > 0 && (map_bits == 15 || map_bits == 16 || map_bits == 24 || map_bits == 32)
                                 : map == 0 && word(bytes, 3) == 0 && word(bytes, 5) == 0;
  const bool pixels_fit = (kind == kPalette && map == 1 && bits == 8) || (kind == kGrey && (bits == 8 || bits == 16)) ||
                          (kind == kColor && (bits == 15 || bits == 16 || bits == 24 || bits == 32));
  return map_fits && pixels_fit && word(bytes, 12) > 0 && word(bytes, 14) > 0 && (descriptor & 0xc0) == 0 && (descriptor & 0x0f) <= 8;
}

ImageInfo read_tga_header(const ImageFile& file) {
  const Header header = parse_header(file);
  return {ImageFormat::kTga, header.height, header.width, 1};
}

void decode_tga(const ImageFile& file, Image& image) {
  const Header h = parse_header(file);
  std::array<std::array<uint8_t, 3>, 256> colors{};  // those that the file leaves out are black
  for (size_t i = 0; h.kind == kPalette && i < h.map_size && h.map_begin + i < colors.size(); ++i) {
    to_rgb(file.bytes.data() + h.map_offset + i * h.map_bytes, h.map_bytes, colors[h.map_begin + i].data());
  }
  set_size(image, h.height, h.width);
  auto left = file.bytes.subspan(h.offset);
  const auto take = [&](size_t size) {
    FT_REQUIRE(size <= left.size(), "{} is truncated: it ends inside the pixels of a TGA", file.name);
    const uint8_t* taken = left.data();
    left = left.subspan(size);
    return taken;
  };
  int run = 0;  // pixels left of a packet
  bool repeats = false;
  const uint8_t* pixel = nullptr;
  for (int64_t y = 0; y < h.height; ++y) {
    uint8_t* row = image.pixels.data() + 3 * h.width * (h.top_down ? y : h.height - 1 - y);
    for (int64_t x = 0; x < h.width; ++x) {
      const bool begins = h.runs && run == 0;
      if (begins) {
        const uint8_t packet = *take(1);
        repeats = (packet & 0x80) != 0;
        run = (packet & 0x7f) + 1;
      }
      if (begins || !repeats) pixel = take(h.pixel_bytes);
      --run;
      uint8_t* to = row + 3 * (h.right_to_left ? h.width - 1 - x : x);
      switch (h.kind) {
        case kPalette: std::copy_n(colors[*pixel].begin(), 3, to); break;
        case kGrey: std::fill_n(to, 3, *pixel); break;  // of grey and alpha the first byte
        default: to_rgb(pixel, h.pixel_bytes, to); break;
      }
    }
  }
}

}  // namespace fettle
