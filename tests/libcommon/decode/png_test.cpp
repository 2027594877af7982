#include <catch2/catch.hpp>

#include "decode/image.h"
#include "tests/support/image_files.h"

using namespace fettle;
using namespace fettle::test;

namespace {

std::string header_chunk(uint64_t height, uint64_t width, int depth = 8, int color_type = 2) {
  return png_chunk("IHDR", big_endian(width, 4) + big_endian(height, 4) + static_cast<char>(depth) + static_cast<char>(color_type) + std::string(3, '\0'));
}

const std::string kSignature = "\x89PNG\r\n\x1a\n";

}  // namespace

TEST_CASE("png: every colour type and depth, plain and interlaced, becomes the RGB that it means") {
  std::string palette;
  for (int i = 0; i < 256; ++i) palette += {static_cast<char>(i * 7), static_cast<char>(255 - i), static_cast<char>(i * 3 + 1)};
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{11, 13}, {2, 3}, {1, 1}, {9, 64}}) {
    for (const auto& [color_type, depths] : std::vector<std::pair<int, std::vector<int>>>{{0, {1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}}, {4, {8, 16}}, {6, {8, 16}}}) {
      for (const int depth : depths) {
        for (const bool interlaced : {false, true}) {
          for (const bool transparent : {false, true}) {
            if (transparent && color_type > 3) continue;
            INFO("type " << color_type << ", " << depth << " bits, interlaced " << interlaced << ", transparent " << transparent);
            const int channels = color_type == 2 ? 3 : color_type == 4 ? 2 : color_type == 6 ? 4 : 1;
            const uint32_t maximum = (1u << depth) - 1;
            PngOptions options{.color_type = color_type, .depth = depth, .interlaced = interlaced};
            if (color_type == 3) options.palette = palette.substr(0, 3 * (size_t{maximum} + 1));
            if (transparent) options.transparency = color_type == 3 ? "\x80" : color_type == 0 ? big_endian(0, 2) : std::string(6, '\0');
            std::vector<uint16_t> samples;
            std::vector<uint8_t> want;
            uint32_t state = 7;
            for (int64_t i = 0; i < height * width; ++i) {
              uint16_t pixel[4];
              for (int c = 0; c < channels; ++c) {
                state = state * 1664525 + 1013904223;
                pixel[c] = static_cast<uint16_t>((state >> 12) & maximum);
                samples.push_back(pixel[c]);
              }
              for (int c = 0; c < 3; ++c) {
                const uint32_t sample = pixel[channels >= 3 ? c : 0];
                if (color_type == 3) {
                  want.push_back(static_cast<uint8_t>(palette[3 * size_t{sample} + static_cast<size_t>(c)]));
                } else {
                  want.push_back(static_cast<uint8_t>(depth == 16 ? sample >> 8 : sample * 255 / maximum));
                }
              }
            }
            const Image image = decode(encode_png(height, width, samples, options));
            CHECK(image.height == height);
            CHECK(image.width == width);
            CHECK(image.pixels == want);
          }
        }
      }
    }
  }
}

TEST_CASE("png: cut anywhere it is refused, one wrong bit as well") {
  const Image picture = test_picture(20, 23);
  const std::string file = encode_png(20, 23, samples_of(picture), {.orientation = 3});
  CHECK(decode(file).pixels == picture.pixels);
  CHECK(decode(file + "behind the end").pixels == picture.pixels);
  for (size_t size = 0; size < file.size(); ++size) {
    INFO(size);
    refused("'f' ", file.substr(0, size));
  }
  for (size_t at = 8; at < file.size(); at += at < 70 || at + 20 > file.size() ? 1 : 13) {
    INFO("byte " << at);
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    refused("'f' ", changed);
  }
}

TEST_CASE("png: chunks that say nothing of the pixels are skipped, but not their checksums") {
  const Image picture = test_picture(5, 4);
  const std::string file = encode_png(5, 4, samples_of(picture), {});
  const std::string late = std::string(file).insert(file.size() - 12, png_chunk("eXIf", exif(6)));
  ImageDecoder decoder;
  CHECK(decoder.open(as_bytes(late), "'f'").orientation == 1);  // behind the pixels
  const size_t behind_header = 8 + 25, before_end = file.size() - 12;
  const std::string chunks = png_chunk("tEXt", std::string("Comment\0hello", 13)) + png_chunk("gAMA", big_endian(45455, 4)) + png_chunk("iCCP", std::string("x\0\0nonsense", 11)) +
                             png_chunk("zTXt", std::string(300'000, 'z')) + png_chunk("prIv", "whatever") + png_chunk("tIME", "1234567");
  CHECK(decode(std::string(file).insert(behind_header, chunks)).pixels == picture.pixels);
  CHECK(decode(std::string(file).insert(before_end, chunks)).pixels == picture.pixels);
  for (const size_t where : {behind_header, before_end}) {
    std::string bad = png_chunk("tEXt", "Comment");
    bad.back() = static_cast<char>(bad.back() ^ 1);
    refused("CRC", std::string(file).insert(where, bad));
  }
  refused("unhandled critical chunk", std::string(file).insert(behind_header, png_chunk("PRIV", "whatever")));
}

TEST_CASE("png: headers that lie cost nothing") {
  const std::string rest = png_chunk("IDAT", "x") + png_chunk("IEND", "");
  refused("claims 2147483647 x 2147483647 pixels (height x width), more than the 178956970 allowed", kSignature + header_chunk(0x7fffffff, 0x7fffffff) + rest);
  refused("more than the 178956970 allowed", kSignature + header_chunk(1, 0x7fffffff) + rest);
  refused("cannot hold the pixels", kSignature + header_chunk(13000, 13000) + rest);
  refused("cannot hold the pixels", kSignature + header_chunk(1, 170'000'000, 16, 6) + rest);
  refused("'f' is damaged", kSignature + header_chunk(0x80000000, 5) + rest);
  refused("'f' is damaged", kSignature + header_chunk(0, 5) + rest);
  refused("'f' is damaged", kSignature + header_chunk(5, 0) + rest);
  refused("'f' is damaged", kSignature + header_chunk(5, 5, 3) + rest);
  refused("'f' is damaged", kSignature + header_chunk(5, 5, 8, 3) + rest);  // no palette
  refused("'f' is damaged", kSignature + header_chunk(5, 5) + png_chunk("IEND", ""));
  refused("'f' is damaged", kSignature + rest);
  // libpng alone would allocate 2 GB for the EXIF data before it reads them; the fuzz target's limit watches that.
  for (const std::string type : {"eXIf", "tEXt", "iCCP", "PLTE", "tRNS", "IDAT"}) {
    refused("'f' is damaged", kSignature + header_chunk(5, 5) + big_endian(0x7fffff00, 4) + type + "MM");
  }
}
