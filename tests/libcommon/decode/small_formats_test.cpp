// BMP, GIF, PNM and TGA, written here byte by byte.
#include <catch2/catch.hpp>

#include <algorithm>

#include "decode/image.h"
#include "tests/support/image_files.h"

using namespace fettle;
using namespace fettle::test;

namespace {

void refused_when_cut(const std::string& file) {
  decode(file);
  for (size_t size = 0; size < file.size(); ++size) {
    INFO("cut to " << size << " of " << file.size());
    refused("'f' ", file.substr(0, size));
  }
}

using Pixels = std::vector<uint8_t>;

Pixels grey(const std::vector<int>& levels) {
  Pixels out;
  for (const int level : levels) out.insert(out.end(), 3, static_cast<uint8_t>(level));
  return out;
}

std::string bytes(const std::vector<int>& values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

struct BmpOptions {
  int height = 2, width = 3;
  int bits = 24, compression = 0, colors = 0, header = 40;
  std::string palette, masks;
};

std::string bmp(const BmpOptions& o, const std::string& rows) {
  std::string header = little_endian(static_cast<uint64_t>(o.header), 4);
  if (o.header == 12) {
    header += little_endian(static_cast<uint64_t>(o.width), 2) + little_endian(static_cast<uint64_t>(o.height), 2) + little_endian(1, 2) + little_endian(static_cast<uint64_t>(o.bits), 2);
  } else {
    header += little_endian(static_cast<uint64_t>(o.width), 4) + little_endian(static_cast<uint64_t>(static_cast<uint32_t>(o.height)), 4) + little_endian(1, 2) +
              little_endian(static_cast<uint64_t>(o.bits), 2) + little_endian(static_cast<uint64_t>(o.compression), 4) + std::string(12, '\0') +
              little_endian(static_cast<uint64_t>(o.colors), 4) + little_endian(0, 4);
    header += o.header > 40 ? o.masks : "";
    header.resize(static_cast<size_t>(o.header), '\0');
    header += o.header == 40 ? o.masks : "";
  }
  header += o.palette;
  return "BM" + little_endian(0, 8) + little_endian(14 + header.size(), 4) + header + rows;
}

// Codes of `bits` + 1 bits and growing, as GIF's writers pack them.
std::string gif_codes(int bits, const std::vector<int>& codes) {
  std::string packed;
  unsigned held = 0;
  int held_bits = 0, width = bits + 1, strings = -1;
  for (const int code : codes) {
    held |= static_cast<unsigned>(code) << held_bits;
    for (held_bits += width; held_bits >= 8; held_bits -= 8, held >>= 8) packed.push_back(static_cast<char>(held));
    // The first code after a clearing one defines none.
    strings = code == 1 << bits ? -1 : strings + 1;
    if (strings <= 0) width = bits + 1;
    if (strings + (1 << bits) + 2 == 1 << width && width < 12) ++width;
  }
  if (held_bits > 0) packed.push_back(static_cast<char>(held));
  std::string blocks = bytes({bits});
  for (size_t at = 0; at < packed.size(); at += 255) {
    const std::string part = packed.substr(at, 255);
    blocks += bytes({static_cast<int>(part.size())}) + part;
  }
  return blocks + std::string(1, '\0');
}

struct GifOptions {
  int height = 2, width = 3;  // of the screen
  int top = 0, left = 0, frame_height = 2, frame_width = 3;
  int transparent = -1, control = 1;
  bool interlaced = false, local = false, global = true;
};

// Four colours: 0 black, 1 (10, 20, 30), 2 (40, 50, 60), 3 (70, 80, 90).
std::string gif(const GifOptions& o, const std::string& codes) {
  const std::string colors = bytes({0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90});
  std::string file = "GIF89a" + little_endian(static_cast<uint64_t>(o.width), 2) + little_endian(static_cast<uint64_t>(o.height), 2) + bytes({o.global ? 0x81 : 0, 2, 0});
  if (o.global) file += o.local ? std::string(12, 'x') : colors;
  file += bytes({'!', 0xfe, 3}) + "hey" + std::string(1, '\0');
  if (o.transparent >= 0) file += bytes({'!', 0xf9, 4, o.control, 0, 0, o.transparent, 0});
  file += "," + little_endian(static_cast<uint64_t>(o.left), 2) + little_endian(static_cast<uint64_t>(o.top), 2) + little_endian(static_cast<uint64_t>(o.frame_width), 2) +
          little_endian(static_cast<uint64_t>(o.frame_height), 2) + bytes({(o.interlaced ? 0x40 : 0) | (o.local ? 0x81 : 0)});
  if (o.local) file += colors;
  return file + codes;
}

Pixels gif_pixels(const std::string& indices) {
  Pixels out;
  for (const char index : indices) {
    const int i = index - '0';
    for (int c = 1; c <= 3; ++c) out.push_back(static_cast<uint8_t>(i == 0 ? 0 : 30 * (i - 1) + 10 * c));
  }
  return out;
}

struct TgaOptions {
  int kind = 2, bits = 24, descriptor = 0, height = 2, width = 3;
  int first_color = 0, num_colors = 0, color_bits = 0;
  std::string id;
};

std::string tga(const TgaOptions& o, const std::string& rest) {
  return bytes({static_cast<int>(o.id.size()), o.num_colors > 0 ? 1 : 0, o.kind}) + little_endian(static_cast<uint64_t>(o.first_color), 2) +
         little_endian(static_cast<uint64_t>(o.num_colors), 2) + bytes({o.color_bits}) + little_endian(0, 4) + little_endian(static_cast<uint64_t>(o.width), 2) +
         little_endian(static_cast<uint64_t>(o.height), 2) + bytes({o.bits, o.descriptor}) + o.id + rest;
}

}  // namespace

// ---- BMP -------------------------------------------------------------------------------------------------------------

TEST_CASE("bmp: 24 bits, rows from below or from above, padded") {
  const std::string lower = bytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0}), upper = bytes({11, 12, 13, 14, 15, 16, 17, 18, 19, 0, 0, 0});
  const Pixels want{13, 12, 11, 16, 15, 14, 19, 18, 17, 3, 2, 1, 6, 5, 4, 9, 8, 7};
  CHECK(decode(bmp({}, lower + upper)).pixels == want);
  CHECK(decode(bmp({.height = -2}, upper + lower)).pixels == want);
  CHECK(decode(bmp({.header = 12}, lower + upper)).pixels == want);
  CHECK(decode(bmp({.header = 124}, lower + upper)).pixels == want);
  CHECK(decode(bmp({}, lower + upper.substr(0, 9))).pixels == want);  // without the last padding
  refused_when_cut(bmp({}, lower + upper.substr(0, 9)));
}

TEST_CASE("bmp: palettes of 1, 4 and 8 bits; colours that are left out are black") {
  const std::string palette = bytes({0, 0, 0, 0, 30, 20, 10, 0, 60, 50, 40, 0, 90, 80, 70, 0});
  CHECK(decode(bmp({.height = 1, .width = 10, .bits = 1, .colors = 2, .palette = palette.substr(0, 8)}, bytes({0b01100101, 0b10000000, 0, 0}))).pixels == gif_pixels("0110010110"));
  CHECK(decode(bmp({.height = 1, .width = 3, .bits = 4, .colors = 4, .palette = palette}, bytes({0x32, 0x10, 0, 0}))).pixels == gif_pixels("321"));
  CHECK(decode(bmp({.height = 2, .width = 3, .bits = 8, .colors = 4, .palette = palette}, bytes({3, 2, 1, 0, 0, 1, 2, 0}))).pixels == gif_pixels("012321"));
  CHECK(decode(bmp({.height = 1, .width = 4, .bits = 8, .colors = 4, .palette = palette}, bytes({1, 4, 255, 2}))).pixels == gif_pixels("1002"));
  CHECK(decode(bmp({.height = 1, .width = 4, .bits = 8, .palette = palette}, bytes({1, 4, 255, 2}))).pixels == gif_pixels("1002"));  // 256 claimed, 4 there
  const std::string old_palette = bytes({0, 0, 0, 30, 20, 10});
  CHECK(decode(bmp({.height = 1, .width = 2, .bits = 1, .header = 12, .palette = old_palette}, bytes({0b10000000, 0, 0, 0}))).pixels == gif_pixels("10"));
}

TEST_CASE("bmp: 16 and 32 bits, with and without masks") {
  const auto masks = [](uint64_t red, uint64_t green, uint64_t blue) { return little_endian(red, 4) + little_endian(green, 4) + little_endian(blue, 4); };
  const std::string pixel16 = little_endian(4 << 10 | 31 << 5 | 17, 2) + little_endian(0, 2);
  CHECK(decode(bmp({.height = 1, .width = 1, .bits = 16}, pixel16)).pixels == Pixels{4 * 255 / 31, 255, 17 * 255 / 31});
  const std::string pixel565 = little_endian(4 << 11 | 33 << 5 | 17, 2) + little_endian(0, 2);
  CHECK(decode(bmp({.height = 1, .width = 1, .bits = 16, .compression = 3, .masks = masks(0xf800, 0x7e0, 0x1f)}, pixel565)).pixels == Pixels{4 * 255 / 31, 33 * 255 / 63, 17 * 255 / 31});
  const std::string pixel32 = bytes({1, 2, 3, 4});
  CHECK(decode(bmp({.height = 1, .width = 1, .bits = 32}, pixel32)).pixels == Pixels{3, 2, 1});
  for (const int header : {40, 56, 108, 124}) {
    INFO(header);
    CHECK(decode(bmp({.height = 1, .width = 1, .bits = 32, .compression = 3, .header = header, .masks = masks(0xff, 0xff00, 0xff000000)}, pixel32)).pixels == Pixels{1, 2, 4});
  }
  refused("a colour mask of 00000000", bmp({.height = 1, .width = 1, .bits = 32, .compression = 3, .masks = masks(0xff, 0, 0xff0000)}, pixel32));
  refused("a colour mask of 00ff00ff", bmp({.height = 1, .width = 1, .bits = 32, .compression = 3, .masks = masks(0xff, 0xff00, 0xff00ff)}, pixel32));
}

TEST_CASE("bmp: what is not read, and headers that lie") {
  const std::string rows(24, 'x');
  refused("compression 1 and 8 bits", bmp({.bits = 8, .compression = 1}, rows));
  refused("compression 3 and 24 bits", bmp({.compression = 3}, rows));
  refused("2 bits a pixel", bmp({.bits = 2}, rows));
  refused("a header of 13 bytes", bmp({.header = 13}, rows));
  refused("claims 0 x 3", bmp({.height = 0}, rows));
  refused("claims 2 x 0", bmp({.width = 0}, rows));
  refused("claims 2147483648 x 3", bmp({.height = static_cast<int>(0x80000000)}, rows));
  refused("claims 2147483647 x 2147483647", bmp({.height = 0x7fffffff, .width = 0x7fffffff}, rows));
  refused("truncated: 24 bytes of pixels, its BMP header needs 119997", bmp({.height = 10000}, rows));
  std::string inside = bmp({}, rows);
  inside[10] = 20;
  refused("its pixels begin at 20, inside its header", inside);
}

// ---- GIF -------------------------------------------------------------------------------------------------------------

TEST_CASE("gif: codes, palettes and the order of rows") {
  // Codes of 2 bits: 4 clears, 5 ends, 6 and up are strings.
  CHECK(decode(gif({}, gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 0, 5}))).pixels == gif_pixels("012310"));
  CHECK(decode(gif({}, gif_codes(2, {4, 1, 6, 4, 2, 6, 5}))).pixels == gif_pixels("111222"));  // codes that are just being defined
  CHECK(decode(gif({}, gif_codes(2, {1, 6, 4, 2, 6, 5}))).pixels == gif_pixels("111222"));     // no code to clear at the beginning
  CHECK(decode(gif({.local = true}, gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 0, 5}))).pixels == gif_pixels("012310"));
  CHECK(decode(gif({.global = false}, gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 0, 5}))).pixels == grey({0, 1, 2, 3, 1, 0}));
  const GifOptions tall{.height = 10, .width = 1, .frame_height = 10, .frame_width = 1, .interlaced = true};
  // Rows 0, 8, then 4, then 2, 6, then 1, 3, 5, 7, 9.
  CHECK(decode(gif(tall, gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 0, 1, 4, 1, 1, 4, 2, 3, 5}))).pixels == gif_pixels("0131210213"));
}

TEST_CASE("gif: transparency is dropped, what the frame leaves open has its colour") {
  const std::string codes = gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 0, 5});
  CHECK(decode(gif({.transparent = 1}, codes)).pixels == gif_pixels("012310"));
  const GifOptions part{.height = 3, .width = 4, .top = 1, .left = 1, .frame_height = 1, .frame_width = 2};
  const std::string two = gif_codes(2, {4, 2, 3, 5});
  CHECK(decode(gif(part, two)).pixels == gif_pixels("000002300000"));
  GifOptions transparent = part;
  transparent.transparent = 1;
  CHECK(decode(gif(transparent, two)).pixels == gif_pixels("111112311111"));
  transparent.control = 0;  // the index is there, but not meant
  CHECK(decode(gif(transparent, two)).pixels == gif_pixels("000002300000"));
  // A frame that leaves the screen makes it larger, as browsers have it.
  const Image image = decode(gif({.height = 0, .width = 0}, codes));
  CHECK(image.height == 2);
  CHECK(image.pixels == gif_pixels("012310"));
}

TEST_CASE("gif: strings of strings, and colours of one palette only") {
  // 6 is 1 2, 7 is 2 1, 8 is being defined: 1 2 and its first index.
  CHECK(decode(gif({.height = 1, .width = 7, .frame_height = 1, .frame_width = 7}, gif_codes(2, {4, 1, 2, 6, 8, 5}))).pixels == gif_pixels("1212121"));
  // The frame's two colours leave nothing of the screen's four.
  std::string file = gif({.local = true}, gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 0, 5}));
  const size_t frame = file.find(',') + 9;
  file[frame] = static_cast<char>(0x80);
  file.erase(frame + 1 + 6, 6);
  CHECK(decode(file).pixels == gif_pixels("010010"));
}

TEST_CASE("gif: long strings, growing codes and a full table") {
  // One colour: every string is one longer than the last, up to 4,090; then the longest again and again, without a word to clear.
  std::vector<int> codes{4, 1};
  int64_t left = 3000 * 3000 - 1, length = 1;
  for (int code = 6; left > 0; left -= length) {
    codes.push_back(code);
    ++length;
    if (code == 4095) {
      for (left -= length; left >= length; left -= length) codes.push_back(4095);
      for (; left > 0; --left) codes.push_back(1);
      break;
    }
    ++code;
  }
  codes.push_back(5);
  const Image image = decode(gif({.height = 3000, .width = 3000, .frame_height = 3000, .frame_width = 3000}, gif_codes(2, codes)));
  int64_t wrong = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) wrong += image.pixels[i] != 10 * (1 + i % 3);
  CHECK(wrong == 0);
}

TEST_CASE("gif: damage and headers that lie") {
  const std::string codes = gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 0, 5});
  std::string open = gif({}, codes);
  open.pop_back();  // the empty block that ends the image is behind its pixels
  refused_when_cut(open);
  refused("its image ends before its last pixel", gif({}, gif_codes(2, {4, 0, 1, 4, 2, 3, 4, 1, 5})));
  refused("its image ends before its last pixel", gif({}, gif_codes(2, {4, 0, 1})));
  refused("code 7 of 6", gif({}, gif_codes(2, {4, 0, 7})));
  refused("code 6 of 6", gif({}, gif_codes(2, {4, 6})));
  refused("codes of 12 bits", gif({}, bytes({12, 1, 0, 0})));
  refused("codes of 0 bits", gif({}, bytes({0, 1, 0, 0})));
  refused("claims 0 x 3", gif({.frame_height = 0}, codes));
  refused("claims 65535 x 65535", gif({.height = 65535, .width = 65535}, codes));
  refused("cannot hold the pixels", gif({.height = 9000, .width = 9000, .frame_height = 9000, .frame_width = 9000}, codes));
  const std::string header = gif({}, codes).substr(0, 25);
  refused("it has no image", header + ";");
  refused("a block of kind 0x41", header + "A");
}

// ---- PNM -------------------------------------------------------------------------------------------------------------

TEST_CASE("pnm: six kinds, comments, and any maximum") {
  CHECK(decode("P6\n1 2\n255\nabcdef").pixels == Pixels{'a', 'b', 'c', 'd', 'e', 'f'});
  CHECK(decode("P5 2 1 255 ab").pixels == grey({'a', 'b'}));
  CHECK(decode("P6#hey\n# 9 9\n1 #x\n1 255\nabc").pixels == Pixels{'a', 'b', 'c'});
  CHECK(decode("P5 4 1 15 " + bytes({0, 1, 7, 15})).pixels == grey({0, 17, 119, 255}));
  CHECK(decode("P5 3 1 6 " + bytes({1, 3, 5})).pixels == grey({42, 128, 212}));  // 42.5, 127.5, 212.5
  CHECK(decode("P5 2 1 65535 " + bytes({0x12, 0xff, 0xff, 0})).pixels == grey({0x12, 0xff}));
  CHECK(decode("P5 2 1 256 " + bytes({1, 0, 0, 128})).pixels == grey({255, 128}));
  CHECK(decode("P4 10 2 " + bytes({0b01100101, 0b10000000, 0xff, 0})).pixels == grey({255, 0, 0, 255, 255, 0, 255, 0, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255}));
  CHECK(decode("P1 3 2 010 1 # no 1\n10").pixels == grey({255, 0, 255, 0, 0, 255}));
  CHECK(decode("P2 3 1 100 0\n50 100").pixels == grey({0, 128, 255}));
  CHECK(decode("P3 1 2 255 1 2 3\t4 5 6").pixels == Pixels{1, 2, 3, 4, 5, 6});
  CHECK(decode("P6 1 1 255 abcP6 1 1 255 def").pixels == Pixels{'a', 'b', 'c'});  // the first of several
}

TEST_CASE("pnm: damage and headers that lie") {
  refused_when_cut("P6 1 2 255 abcdef");
  refused_when_cut("P4 9 2 abcd");
  refused_when_cut("P3 1 2 255 1 2 3 4 5 6");
  refused("truncated: 5 bytes of pixels, its header needs 6", "P6 1 2 255 abcde");
  refused("needs 8", "P5 2 2 256 abcdefg");
  refused("claims 0 x 1", "P5 1 0 255 ");
  refused("claims 1 x 0", "P5 0 1 255 ");
  refused("claims 999999999 x 999999999", "P5 999999999 999999999 255 x");
  refused("has no width", "P5 9999999999 1 255 x");
  refused("has no width", "P5 -1 1 255 x");
  refused("has no maximum", "P5 1 1 x");
  refused("its maximum is 65536", "P5 1 1 65536 xx");
  refused("its maximum is 0", "P5 1 1 0 x");
  refused("a value of 7, its maximum is 6", "P5 1 1 6 " + bytes({7}));
  refused("a value of 300, its maximum is 255", "P2 1 1 255 300");
  refused("a value of 2, its maximum is 1", "P1 1 1 2");
  refused("no number at offset", "P2 2 1 255 1 x");
  refused("does not end in a blank", "P5 1 1 255x");
}

// ---- TGA -------------------------------------------------------------------------------------------------------------

TEST_CASE("tga: colour, grey and palettes, plain and in runs, from all four corners") {
  const std::string rows = bytes({1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 19});
  const Pixels first{3, 2, 1, 6, 5, 4, 9, 8, 7}, second{13, 12, 11, 16, 15, 14, 19, 18, 17};
  const auto both = [](Pixels a, const Pixels& b) { return a.insert(a.end(), b.begin(), b.end()), a; };
  const Pixels first_mirrored{9, 8, 7, 6, 5, 4, 3, 2, 1}, second_mirrored{19, 18, 17, 16, 15, 14, 13, 12, 11};
  CHECK(decode(tga({}, rows)).pixels == both(second, first));
  CHECK(decode(tga({.descriptor = 0x20}, rows)).pixels == both(first, second));
  CHECK(decode(tga({.descriptor = 0x10}, rows)).pixels == both(second_mirrored, first_mirrored));
  CHECK(decode(tga({.descriptor = 0x30, .id = "name"}, rows)).pixels == both(first_mirrored, second_mirrored));
  const std::string runs = bytes({0x81, 1, 2, 3, 0x02, 4, 5, 6, 7, 8, 9, 11, 12, 13, 0x80, 14, 15, 16});  // a run, a literal over the rows' border, a run
  CHECK(decode(tga({.kind = 10, .descriptor = 0x20}, runs)).pixels == Pixels{3, 2, 1, 3, 2, 1, 6, 5, 4, 9, 8, 7, 13, 12, 11, 16, 15, 14});
  CHECK(decode(tga({.bits = 32, .descriptor = 8, .height = 1, .width = 1}, bytes({1, 2, 3, 99}))).pixels == Pixels{3, 2, 1});
  CHECK(decode(tga({.bits = 16, .height = 1, .width = 1}, little_endian(1 << 15 | 4 << 10 | 31 << 5 | 17, 2))).pixels == Pixels{4 * 255 / 31, 255, 17 * 255 / 31});
  CHECK(decode(tga({.kind = 3, .bits = 8, .height = 1}, bytes({5, 6, 7}))).pixels == grey({5, 6, 7}));
  CHECK(decode(tga({.kind = 3, .bits = 16, .descriptor = 8, .height = 1, .width = 2}, bytes({5, 99, 6, 98}))).pixels == grey({5, 6}));
  CHECK(decode(tga({.kind = 11, .bits = 8, .height = 1}, bytes({0x82, 5}))).pixels == grey({5, 5, 5}));
  const std::string map = bytes({30, 20, 10, 60, 50, 40, 90, 80, 70});
  CHECK(decode(tga({.kind = 1, .bits = 8, .height = 1, .width = 4, .num_colors = 3, .color_bits = 24}, map + bytes({2, 1, 0, 3}))).pixels == gif_pixels("3210"));
  CHECK(decode(tga({.kind = 9, .bits = 8, .height = 1, .first_color = 5, .num_colors = 3, .color_bits = 24}, map + bytes({0x81, 7, 0x00, 5}))).pixels == gif_pixels("331"));
  CHECK(decode(tga({.kind = 1, .bits = 8, .height = 1, .width = 2, .first_color = 254, .num_colors = 3, .color_bits = 24}, map + bytes({254, 255}))).pixels == gif_pixels("12"));
  CHECK(decode(tga({.kind = 1, .bits = 8, .height = 1, .width = 1, .num_colors = 1, .color_bits = 16}, little_endian(31, 2) + bytes({0}))).pixels == Pixels{0, 0, 255});
}

TEST_CASE("tga: cut anywhere it is refused") {
  refused_when_cut(tga({.id = "name"}, std::string(18, 'x')));
  refused_when_cut(tga({.kind = 10}, bytes({0x81, 1, 2, 3, 0x02, 4, 5, 6, 7, 8, 9, 11, 12, 13, 0x80, 14, 15, 16})));
  refused_when_cut(tga({.kind = 1, .bits = 8, .height = 1, .width = 2, .num_colors = 2, .color_bits = 24}, "abcdef" + bytes({0, 1})));
}

TEST_CASE("tga: a header that is wrong in any field is none") {
  const std::string rest(400, 'x');
  decode(tga({}, rest));
  for (const TgaOptions& wrong : {TgaOptions{.kind = 0}, {.kind = 4}, {.kind = 32}, {.bits = 8}, {.bits = 1}, {.bits = 48}, {.kind = 3, .bits = 24}, {.kind = 1, .bits = 8},
                                  {.kind = 1, .bits = 16, .num_colors = 3, .color_bits = 24}, {.kind = 1, .bits = 8, .num_colors = 3, .color_bits = 8}, {.first_color = 1},
                                  {.descriptor = 0x40}, {.descriptor = 9}, {.height = 0}, {.width = 0}}) {
    refused("no image that can be read", tga(wrong, rest));
  }
  std::string two_maps = tga({}, rest);
  two_maps[1] = 2;
  refused("no image that can be read", two_maps);
  refused("truncated: 400 bytes of pixels, its TGA header needs", tga({.height = 65535, .width = 100}, rest));
  refused("claims 65535 x 65535", tga({.height = 65535, .width = 65535}, rest));
  refused("truncated: 400 bytes of pixels", tga({.kind = 10, .height = 10000, .width = 10000}, rest));
}
