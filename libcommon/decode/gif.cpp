// GIF: the first image, on a canvas of its transparent colour (the first colour without one), as Pillow shows it.
#include <algorithm>
#include <array>
#include <vector>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

constexpr int kMaxCodeBits = 12;
constexpr size_t kMaxCodes = 1 << kMaxCodeBits;

// The file's bytes in order; running out of them is an error.
class Cursor {
 public:
  explicit Cursor(const ImageFile& file) : file_(file) {}
  std::span<const uint8_t> take(size_t size) {
    FT_REQUIRE(size <= file_.bytes.size() - at_, "{} is truncated: it ends at {} bytes, inside a GIF's first image or before it", file_.name, file_.bytes.size());
    at_ += size;
    return file_.bytes.subspan(at_ - size, size);
  }
  int byte() { return take(1)[0]; }
  int64_t word() {
    const auto two = take(2);
    return two[0] | two[1] << 8;
  }
  // A sub-block; the empty one is the last.
  std::span<const uint8_t> block() { return take(take(1)[0]); }

 private:
  const ImageFile& file_;
  size_t at_ = 0;
};

struct First {
  int64_t height = 0, width = 0;                                      // of the canvas
  int64_t top = 0, left = 0, frame_height = 0, frame_width = 0;
  bool interlaced = false;
  std::array<std::array<uint8_t, 3>, 256> colors{};  // those that the file leaves out are black
  uint8_t background = 0;                            // index of what the frame does not cover
};

void read_colors(Cursor& cursor, int flags, First& first) {
  first.colors = {};
  for (int i = 0; i < 2 << (flags & 7); ++i) {
    const auto color = cursor.take(3);
    std::copy(color.begin(), color.end(), first.colors[static_cast<size_t>(i)].begin());
  }
}

// Up to the first image's codes.
First parse_header(Cursor& cursor, const ImageFile& file) {
  constexpr int kHasColors = 0x80, kInterlaced = 0x40;
  First first;
  cursor.take(6);
  first.width = cursor.word();
  first.height = cursor.word();
  const int flags = cursor.byte();
  cursor.take(2);  // a background colour that nobody heeds, and the pixels' shape
  if ((flags & kHasColors) != 0) {
    read_colors(cursor, flags, first);
  } else {
    for (size_t i = 0; i < 256; ++i) first.colors[i].fill(static_cast<uint8_t>(i));
  }
  for (;;) {
    const int kind = cursor.byte();
    if (kind == '!') {
      constexpr int kGraphicControl = 0xf9;
      const int label = cursor.byte();
      auto block = cursor.block();
      if (label == kGraphicControl && block.size() >= 4 && (block[0] & 1) != 0) first.background = block[3];
      while (!block.empty()) block = cursor.block();
    } else if (kind == ',') {
      break;
    } else {
      FT_REQUIRE(kind != ';', "{} is no valid GIF: it has no image", file.name);
      FT_REQUIRE(kind == 0, "{} is damaged or no valid GIF: a block of kind 0x{:02x}", file.name, kind);  // stray zeros are common
    }
  }
  first.left = cursor.word();
  first.top = cursor.word();
  first.frame_width = cursor.word();
  first.frame_height = cursor.word();
  const int frame_flags = cursor.byte();
  first.interlaced = (frame_flags & kInterlaced) != 0;
  if ((frame_flags & kHasColors) != 0) read_colors(cursor, frame_flags, first);
  // The canvas grows with a frame that leaves it.
  first.width = std::max(first.width, first.left + first.frame_width);
  first.height = std::max(first.height, first.top + first.frame_height);
  require_size(file, "GIF", first.height, first.width);
  require_size(file, "GIF", first.frame_height, first.frame_width);
  // A code of 12 bits stands for fewer than 4096 pixels.
  require_bytes(file, "GIF", static_cast<double>(first.frame_height * first.frame_width), 4096 * 8.0 / 12);
  return first;
}

// Rows in the order in which the file has them.
class Rows {
 public:
  explicit Rows(const First& first) : first_(first) {}
  int64_t row() const { return row_; }
  void next() {
    row_ += step_;
    while (first_.interlaced && row_ >= first_.frame_height && pass_ < 3) {
      static constexpr int64_t kFirst[] = {0, 4, 2, 1}, kStep[] = {8, 8, 4, 2};
      ++pass_;
      row_ = kFirst[pass_];
      step_ = kStep[pass_];
    }
  }

 private:
  const First& first_;
  int pass_ = 0;
  int64_t step_ = first_.interlaced ? 8 : 1;
  int64_t row_ = 0;
};

// LZW: codes of growing width, low bits first; each new one is the last string and one more index.
class Codes {
 public:
  Codes(Cursor& cursor, const ImageFile& file) : cursor_(cursor), file_(file), first_bits_(cursor.byte()) {
    FT_REQUIRE(first_bits_ >= 1 && first_bits_ < kMaxCodeBits, "{} is damaged or no valid GIF: codes of {} bits", file.name, first_bits_);
    clear();
  }

  // The next indices, in order; empty at the end.
  std::span<const uint8_t> next() {
    for (;;) {
      const int code = read();
      if (code < 0 || code == end_code()) return {};
      if (code == clear_code()) {
        clear();
        continue;
      }
      FT_REQUIRE(code < size_ || (code == size_ && last_ >= 0), "{} is damaged or no valid GIF: code {} of {}", file_.name, code, size_);
      // Strings unfold backwards. The code that is just being defined is the last string and its own first index.
      size_t at = kMaxCodes;
      int walk = code;
      if (code == size_) {
        --at;
        walk = last_;
      }
      for (; walk > end_code(); walk = prefix_[static_cast<size_t>(walk)]) string_[--at] = suffix_[static_cast<size_t>(walk)];
      string_[--at] = static_cast<uint8_t>(walk);
      if (code == size_) string_[kMaxCodes - 1] = string_[at];
      if (last_ >= 0 && size_ < static_cast<int>(kMaxCodes)) {
        prefix_[static_cast<size_t>(size_)] = static_cast<uint16_t>(last_);
        suffix_[static_cast<size_t>(size_)] = string_[at];
        ++size_;
        if (size_ == 1 << bits_ && bits_ < kMaxCodeBits) ++bits_;
      }
      last_ = code;
      return {string_.data() + at, kMaxCodes - at};
    }
  }

 private:
  int clear_code() const { return 1 << first_bits_; }
  int end_code() const { return clear_code() + 1; }
  void clear() {
    bits_ = first_bits_ + 1;
    size_ = end_code() + 1;
    last_ = -1;
  }
  int read() {
    while (held_bits_ < bits_) {
      if (block_.empty()) {
        block_ = cursor_.block();
        if (block_.empty()) return -1;
      }
      held_ |= static_cast<uint32_t>(block_[0]) << held_bits_;
      held_bits_ += 8;
      block_ = block_.subspan(1);
    }
    const auto code = static_cast<int>(held_ & ((1u << bits_) - 1));
    held_ >>= bits_;
    held_bits_ -= bits_;
    return code;
  }

  Cursor& cursor_;
  const ImageFile& file_;
  int first_bits_;
  int bits_ = 0, size_ = 0, last_ = -1;
  std::span<const uint8_t> block_;
  uint32_t held_ = 0;
  int held_bits_ = 0;
  std::array<uint16_t, kMaxCodes> prefix_;
  std::array<uint8_t, kMaxCodes> suffix_;
  std::array<uint8_t, kMaxCodes> string_;
};

}  // namespace

ImageInfo read_gif_header(const ImageFile& file) {
  Cursor cursor(file);
  const First first = parse_header(cursor, file);
  return {ImageFormat::kGif, first.height, first.width, 1};
}

void decode_gif(const ImageFile& file, Image& image) {
  Cursor cursor(file);
  const First first = parse_header(cursor, file);
  Codes codes(cursor, file);
  set_size(image, first.height, first.width);
  if (first.frame_height != first.height || first.frame_width != first.width) {
    for (size_t i = 0; i < image.pixels.size(); i += 3) std::copy_n(first.colors[first.background].begin(), 3, image.pixels.begin() + static_cast<std::ptrdiff_t>(i));
  }
  Rows rows(first);
  std::span<const uint8_t> indices;
  for (int64_t y = 0; y < first.frame_height; ++y, rows.next()) {
    uint8_t* to = image.pixels.data() + 3 * ((first.top + rows.row()) * first.width + first.left);
    for (int64_t x = 0; x < first.frame_width; ++x, to += 3) {
      if (indices.empty()) {
        indices = codes.next();
        FT_REQUIRE(!indices.empty(), "{} is damaged: its image ends before its last pixel", file.name);
      }
      std::copy_n(first.colors[indices[0]].begin(), 3, to);
      indices = indices.subspan(1);
    }
  }
}

}  // namespace fettle
