// BMP: the headers of Windows (40 to 124 bytes) and OS/2 (12 bytes); 1, 4 and 8 bits with a palette, 16 and 32 with or without masks, 24.
#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

constexpr size_t kFileHeader = 14;

uint32_t number(std::span<const uint8_t> bytes, size_t offset, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value |= uint32_t{bytes[offset + i]} << 8 * i;
  return value;
}

struct Header {
  int64_t height = 0, width = 0;
  bool top_down = false;
  uint32_t bits = 0;
  uint32_t masks[3] = {};  // red, green, blue; of 16 and 32 bits
  size_t palette_offset = 0, palette_entry = 4, num_colors = 0;
  size_t offset = 0;  // of the pixels
  int64_t stride = 0;
};

Header parse_header(const ImageFile& file) {
  const auto bytes = file.bytes;
  const auto need = [&](size_t size) { FT_REQUIRE(bytes.size() >= size, "{} is truncated: {} bytes, its BMP header needs {}", file.name, bytes.size(), size); };
  need(kFileHeader + 12);
  Header h;
  h.offset = number(bytes, 10, 4);
  const size_t header_size = number(bytes, kFileHeader, 4);
  const bool old = header_size == 12;
  FT_REQUIRE(old || (header_size >= 40 && header_size <= 124), "{} is no valid BMP: a header of {} bytes, expected 12 or 40 to 124", file.name, header_size);
  need(kFileHeader + header_size);
  const size_t size_bytes = old ? 2 : 4;
  const auto side = [&](size_t offset) { return old ? int64_t{number(bytes, offset, 2)} : int64_t{static_cast<int32_t>(number(bytes, offset, 4))}; };
  h.width = side(18);
  h.height = side(18 + size_bytes);
  h.top_down = h.height < 0;
  h.height = std::abs(h.height);
  require_size(file, "BMP", h.height, h.width);
  h.bits = number(bytes, 18 + 2 * size_bytes + 2, 2);
  const uint32_t compression = old ? 0 : number(bytes, 30, 4);
  constexpr uint32_t kNone = 0, kMasks = 3;
  FT_REQUIRE(compression == kNone || (compression == kMasks && (h.bits == 16 || h.bits == 32)), "{} is a BMP with compression {} and {} bits, which is not supported",
             file.name, compression, h.bits);
  size_t header_end = kFileHeader + header_size;
  switch (h.bits) {
    case 1:
    case 4:
    case 8:
      h.palette_offset = header_end;
      h.palette_entry = old ? 3 : 4;
      h.num_colors = old ? 0 : number(bytes, 46, 4);
      if (h.num_colors == 0 || h.num_colors > size_t{1} << h.bits) h.num_colors = size_t{1} << h.bits;
      break;
    case 16:
    case 24:
    case 32:
      if (compression == kMasks) {
        // Behind a header of 40 bytes, inside a longer one: the same place.
        header_end = std::max(header_end, kFileHeader + 52);
        need(header_end);
        for (size_t i = 0; i < 3; ++i) h.masks[i] = number(bytes, kFileHeader + 40 + 4 * i, 4);
      } else {
        const uint32_t low = h.bits == 16 ? 0x1f : 0xff;
        const int shift = h.bits == 16 ? 5 : 8;
        for (int i = 0; i < 3; ++i) h.masks[i] = low << shift * (2 - i);
      }
      for (const uint32_t mask : h.masks) {
        const uint32_t run = mask == 0 ? 0 : mask >> std::countr_zero(mask);
        FT_REQUIRE(mask != 0 && (run & (run + 1)) == 0, "{} is no valid BMP: a colour mask of {:08x}", file.name, mask);
      }
      break;
    default: FT_FAIL(ExitCode::kInput, "{} is a BMP with {} bits a pixel, expected 1, 4, 8, 16, 24 or 32", file.name, h.bits);
  }
  FT_REQUIRE(h.offset >= header_end, "{} is no valid BMP: its pixels begin at {}, inside its header of {} bytes", file.name, h.offset, header_end);
  if (h.palette_offset != 0) h.num_colors = std::min(h.num_colors, (h.offset - h.palette_offset) / h.palette_entry);
  const int64_t row_bytes = (h.width * h.bits + 7) / 8;
  h.stride = (row_bytes + 3) / 4 * 4;
  const int64_t needed = (h.height - 1) * h.stride + row_bytes;  // some writers leave the last row's padding out
  const int64_t there = static_cast<int64_t>(bytes.size()) - static_cast<int64_t>(h.offset);
  FT_REQUIRE(there >= needed, "{} is truncated: {} bytes of pixels, its BMP header needs {}", file.name, std::max<int64_t>(there, 0), needed);
  return h;
}

}  // namespace

ImageInfo read_bmp_header(const ImageFile& file) {
  const Header header = parse_header(file);
  return {ImageFormat::kBmp, header.height, header.width, 1};
}

void decode_bmp(const ImageFile& file, Image& image) {
  const Header h = parse_header(file);
  uint8_t palette[256][3] = {};  // colours that the file leaves out are black
  for (size_t i = 0; i < h.num_colors; ++i) {
    const auto entry = file.bytes.subspan(h.palette_offset + i * h.palette_entry, 3);
    std::reverse_copy(entry.begin(), entry.end(), palette[i]);
  }
  set_size(image, h.height, h.width);
  uint8_t* to = image.pixels.data();
  for (int64_t y = 0; y < h.height; ++y) {
    const uint8_t* row = file.bytes.data() + h.offset + (h.top_down ? y : h.height - 1 - y) * h.stride;
    for (int64_t x = 0; x < h.width; ++x, to += 3) {
      if (h.bits <= 8) {
        const int64_t bit = x * h.bits;
        const uint32_t index = row[bit / 8] >> (8 - h.bits - bit % 8) & ((1u << h.bits) - 1);
        std::copy_n(palette[index], 3, to);
      } else if (h.bits == 24) {
        std::reverse_copy(row + 3 * x, row + 3 * x + 3, to);
      } else {
        const int64_t size = h.bits / 8;
        const uint32_t pixel = number({row + size * x, static_cast<size_t>(size)}, 0, static_cast<size_t>(size));
        for (int c = 0; c < 3; ++c) {
          const int shift = std::countr_zero(h.masks[c]);
          to[c] = static_cast<uint8_t>(uint64_t{(pixel & h.masks[c]) >> shift} * 255 / (h.masks[c] >> shift));
        }
      }
    }
  }
}

}  // namespace fettle
