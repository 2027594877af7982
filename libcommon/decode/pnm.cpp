// PNM (netpbm): P1 to P6, bitmaps, grey and colour, as text and as bytes, any maximum up to 65535. Our own: stb_image reads two of the
// six, does not stretch maxima other than 255, and mixes up the bytes of 16-bit values.
#include <cmath>
#include <optional>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

struct Header {
  int64_t height = 0, width = 0;
  uint32_t maximum = 1;
  int channels = 1;
  bool bitmap = false, text = false;
  size_t offset = 0;  // of the pixels
};

bool is_blank(uint8_t byte) { return byte == ' ' || (byte >= '\t' && byte <= '\r'); }

// Blanks and comments, then a number of at most `max_digits` digits; nothing where there is none, or a longer one than the nine that fit.
std::optional<uint32_t> read_number(std::span<const uint8_t> bytes, size_t& at, size_t max_digits) {
  while (at < bytes.size() && (is_blank(bytes[at]) || bytes[at] == '#')) {
    if (bytes[at] == '#') {
      while (at < bytes.size() && bytes[at] != '\n' && bytes[at] != '\r') ++at;
    } else {
      ++at;
    }
  }
  const size_t begin = at;
  uint32_t value = 0;
  for (; at < bytes.size() && at - begin < max_digits && bytes[at] >= '0' && bytes[at] <= '9'; ++at) value = 10 * value + (bytes[at] - '0');
  const bool goes_on = max_digits > 1 && at < bytes.size() && bytes[at] >= '0' && bytes[at] <= '9';
  if (at == begin || goes_on) return std::nullopt;
  return value;
}

Header parse_header(const ImageFile& file) {
  const int kind = file.bytes[1] - '0';  // find_format() has seen P1..P6
  Header header;
  header.bitmap = kind == 1 || kind == 4;
  header.text = kind <= 3;
  header.channels = kind == 3 || kind == 6 ? 3 : 1;
  header.offset = 2;
  const auto number = [&](const char* what) {
    const auto value = read_number(file.bytes, header.offset, 9);
    FT_REQUIRE(value, "{} is truncated or no valid PNM: its header has no {}", file.name, what);
    return *value;
  };
  header.width = number("width");
  header.height = number("height");
  if (!header.bitmap) header.maximum = number("maximum");
  FT_REQUIRE(header.maximum >= 1 && header.maximum <= 65535, "{} is no valid PNM: its maximum is {}, expected 1 to 65535", file.name, header.maximum);
  FT_REQUIRE(header.offset < file.bytes.size() && is_blank(file.bytes[header.offset]), "{} is truncated or no valid PNM: its header does not end in a blank", file.name);
  ++header.offset;
  require_size(file, "PNM", header.height, header.width);
  const int64_t values = header.height * header.width * header.channels;
  int64_t needed = header.maximum > 255 ? 2 * values : values;
  if (header.bitmap && !header.text) needed = header.height * ((header.width + 7) / 8);
  if (header.text && !header.bitmap) needed = 2 * values - 1;  // a digit each, and blanks between them
  const auto there = static_cast<int64_t>(file.bytes.size() - header.offset);
  FT_REQUIRE(there >= needed, "{} is truncated: {} bytes of pixels, its header needs {}", file.name, there, needed);
  return header;
}

// The next value, as stored.
class Values {
 public:
  Values(const ImageFile& file, const Header& header) : file_(file), header_(header), at_(header.offset) {}

  uint32_t next(int64_t column) {
    const auto bytes = file_.bytes;
    if (header_.text) return next_text();
    if (header_.bitmap) {
      const uint32_t bit = bytes[at_] >> (7 - column % 8) & 1;
      if (column % 8 == 7 || column == header_.width - 1) ++at_;
      return bit;
    }
    if (header_.maximum <= 255) return bytes[at_++];
    at_ += 2;
    return uint32_t{bytes[at_ - 2]} << 8 | bytes[at_ - 1];
  }

 private:
  uint32_t next_text() {
    const auto value = read_number(file_.bytes, at_, header_.bitmap ? 1 : 9);  // bits may stand side by side
    FT_REQUIRE(value, "{} is truncated or no valid PNM: no number at offset {}", file_.name, at_);
    return *value;
  }

  const ImageFile& file_;
  const Header& header_;
  size_t at_;
};

uint8_t level(const Header& header, uint32_t value) {
  if (header.bitmap) return value != 0 ? 0 : 255;  // 1 is black
  if (header.maximum == 255) return static_cast<uint8_t>(value);
  if (header.maximum == 65535) return static_cast<uint8_t>(value >> 8);
  return static_cast<uint8_t>(std::nearbyint(static_cast<double>(value) / header.maximum * 255));  // halves to even, as Pillow rounds
}

}  // namespace

ImageInfo read_pnm_header(const ImageFile& file) {
  const Header header = parse_header(file);
  return {ImageFormat::kPnm, header.height, header.width, 1};
}

void decode_pnm(const ImageFile& file, Image& image) {
  const Header header = parse_header(file);
  set_size(image, header.height, header.width);
  Values values(file, header);
  uint8_t* to = image.pixels.data();
  for (int64_t y = 0; y < header.height; ++y) {
    for (int64_t x = 0; x < header.width; ++x, to += 3) {
      for (int c = 0; c < header.channels; ++c) {
        const uint32_t value = values.next(x);
        FT_REQUIRE(value <= header.maximum, "{} is no valid PNM: a value of {}, its maximum is {}", file.name, value, header.maximum);
        to[c] = level(header, value);
      }
      if (header.channels == 1) to[1] = to[2] = to[0];
    }
  }
}

}  // namespace fettle
