#include <catch2/catch.hpp>

#include <tiffio.h>

#include "base/errors.h"
#include "decode/image.h"
#include "tests/support/image_files.h"

using namespace fettle;
using namespace fettle::test;

namespace {

std::vector<uint16_t> noise(size_t count, int bits) {
  std::vector<uint16_t> out;
  uint32_t state = 11;
  for (size_t i = 0; i < count; ++i) {
    state = state * 1664525 + 1013904223;
    out.push_back(static_cast<uint16_t>((state >> 13) & ((1u << bits) - 1)));
  }
  return out;
}

constexpr int64_t kHeight = 21, kWidth = 37;

}  // namespace

TEST_CASE("tiff: strips and tiles, both byte orders, together and in planes, under every compression") {
  const Image picture = test_picture(kHeight, kWidth);
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_DEFLATE, COMPRESSION_PACKBITS}) {
    for (const int64_t tile : {0, 16}) {
      for (const int planes : {1, 2}) {
        for (const bool big_endian : {false, true}) {
          for (const int predictor : {1, 2}) {
            if (predictor == 2 && compression != COMPRESSION_LZW && compression != COMPRESSION_ADOBE_DEFLATE) continue;
            INFO("compression " << compression << ", tile " << tile << ", planes " << planes << ", big " << big_endian << ", predictor " << predictor);
            const Image image = decode(encode_tiff(kHeight, kWidth, samples_of(picture),
                                                   {.compression = compression, .planes = planes, .predictor = predictor, .tile = tile, .big_endian = big_endian}));
            CHECK(image.height == kHeight);
            CHECK(image.width == kWidth);
            CHECK(image.pixels == picture.pixels);
          }
        }
      }
    }
  }
}

TEST_CASE("tiff: grey, palettes, inks, alpha and 16 bits become the RGB that they mean") {
  struct Kind {
    int photometric, samples, bits;
  };
  for (const Kind& kind : {Kind{PHOTOMETRIC_MINISBLACK, 1, 1}, {PHOTOMETRIC_MINISBLACK, 1, 2}, {PHOTOMETRIC_MINISBLACK, 1, 4}, {PHOTOMETRIC_MINISBLACK, 1, 8},
                           {PHOTOMETRIC_MINISBLACK, 1, 16}, {PHOTOMETRIC_MINISWHITE, 1, 1}, {PHOTOMETRIC_MINISWHITE, 1, 4}, {PHOTOMETRIC_MINISWHITE, 1, 8},
                           {PHOTOMETRIC_MINISBLACK, 2, 8}, {PHOTOMETRIC_RGB, 3, 16}, {PHOTOMETRIC_RGB, 4, 8}, {PHOTOMETRIC_RGB, 4, 16}, {PHOTOMETRIC_RGB, 5, 8},
                           {PHOTOMETRIC_SEPARATED, 4, 8}, {PHOTOMETRIC_SEPARATED, 4, 16}, {PHOTOMETRIC_PALETTE, 1, 1}, {PHOTOMETRIC_PALETTE, 1, 2},
                           {PHOTOMETRIC_PALETTE, 1, 4}, {PHOTOMETRIC_PALETTE, 1, 8}}) {
    for (const int planes : {1, 2}) {
      for (const bool big_endian : {false, true}) {
        INFO("photometric " << kind.photometric << ", " << kind.samples << " samples of " << kind.bits << " bits, planes " << planes << ", big " << big_endian);
        const std::vector<uint16_t> samples = noise(static_cast<size_t>(kHeight * kWidth * kind.samples), kind.bits);
        const int top = (1 << kind.bits) - 1;
        std::vector<uint16_t> colors;
        if (kind.photometric == PHOTOMETRIC_PALETTE) colors = noise(static_cast<size_t>(3 * (top + 1)), 16);
        std::vector<uint8_t> want;
        for (size_t i = 0; i < samples.size(); i += static_cast<size_t>(kind.samples)) {
          const auto level = [&](size_t c) { return kind.bits == 16 ? samples[i + c] >> 8 : samples[i + c] * 255 / top; };
          for (size_t c = 0; c < 3; ++c) {
            int value = 0;
            switch (kind.photometric) {
              case PHOTOMETRIC_MINISBLACK: value = level(0); break;
              case PHOTOMETRIC_MINISWHITE: value = 255 - level(0); break;
              case PHOTOMETRIC_RGB: value = level(c); break;
              case PHOTOMETRIC_PALETTE: value = colors[c * static_cast<size_t>(top + 1) + samples[i]] >> 8; break;
              default: {
                const int white = 255 - level(3), t = level(c) * white + 128;
                value = white - ((t + (t >> 8)) >> 8);
              }
            }
            want.push_back(static_cast<uint8_t>(value));
          }
        }
        const Image image = decode(encode_tiff(kHeight, kWidth, samples,
                                               {.bits = kind.bits, .samples = kind.samples, .photometric = kind.photometric, .planes = planes, .big_endian = big_endian, .colors = colors}));
        CHECK(image.pixels == want);
      }
    }
  }
}

TEST_CASE("tiff: fax and JPEG strips") {
  const std::vector<uint16_t> bits = noise(static_cast<size_t>(kHeight * kWidth), 1);
  std::vector<uint8_t> want;
  for (const uint16_t bit : bits) want.insert(want.end(), 3, bit != 0 ? 0 : 255);
  for (const int compression : {COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4}) {
    INFO(compression);
    CHECK(decode(encode_tiff(kHeight, kWidth, bits, {.bits = 1, .samples = 1, .photometric = PHOTOMETRIC_MINISWHITE, .compression = compression})).pixels == want);
  }
  const Image picture = test_picture(48, 64);
  for (const int photometric : {PHOTOMETRIC_RGB, PHOTOMETRIC_YCBCR}) {
    const std::string file = encode_tiff(48, 64, samples_of(picture), {.photometric = photometric, .compression = COMPRESSION_JPEG, .strip_rows = 16});
    const Image image = decode(file);
    double difference = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i) difference += std::abs(int{image.pixels[i]} - int{picture.pixels[i]});
    CHECK(difference / static_cast<double>(image.pixels.size()) < 16);
    std::string damaged = file;
    damaged.replace(damaged.find("\xff\xda") + 40, 2, "\xff\xd9");  // the first strip ends early
    refused("'f' is damaged: JPEG", damaged);
  }
}

TEST_CASE("tiff: cut anywhere it is refused, or right") {
  const Image picture = test_picture(kHeight, kWidth);
  for (const int compression : {COMPRESSION_NONE, COMPRESSION_LZW, COMPRESSION_ADOBE_DEFLATE, COMPRESSION_PACKBITS}) {
    const std::string file = encode_tiff(kHeight, kWidth, samples_of(picture), {.compression = compression});
    for (size_t size = 0; size < file.size(); size += size < 40 ? 1 : 17) {
      INFO("compression " << compression << " cut to " << size << " of " << file.size());
      Image image;
      try {
        image = decode(file.substr(0, size));
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::kInput);
        continue;
      }
      CHECK(image.pixels == picture.pixels);
    }
    refused("'f' is ", file.substr(0, file.size() / 2));
  }
}

TEST_CASE("tiff: hostile headers and what is not read end in words") {
  refused("'f' is damaged or no valid TIFF", std::string("II*\0\x08\0\0\0\0\0\x08\0\0\0", 14));  // an empty directory that follows itself
  refused("'f' is damaged or no valid TIFF", std::string("II*\0", 4));
  refused("'f' is damaged or no valid TIFF", std::string("MM\0*\xff\xff\xff\xff", 8));
  const auto entry = [](int tag, int type, uint64_t count, uint64_t value) { return little_endian(static_cast<uint64_t>(tag), 2) + little_endian(static_cast<uint64_t>(type), 2) + little_endian(count, 4) + little_endian(value, 4); };
  struct Claims {
    uint64_t height = 4, width = 4, bits = 8, compression = 1, photometric = 1, samples = 1, rows = 4, format = 1, next = 0;
  };
  const auto file_of = [&](const Claims& c) {
    std::string out = std::string("II*\0", 4) + little_endian(8, 4) + little_endian(10, 2);
    out += entry(256, 4, 1, c.width) + entry(257, 4, 1, c.height) + entry(258, 3, 1, c.bits) + entry(259, 3, 1, c.compression) + entry(262, 3, 1, c.photometric) +
           entry(273, 4, 1, 200) + entry(277, 3, 1, c.samples) + entry(278, 4, 1, c.rows) + entry(279, 4, 1, 16) + entry(339, 3, 1, c.format) + little_endian(c.next, 4);
    out.resize(200, '\0');
    return out + "0123456789abcdef";
  };
  CHECK(decode(file_of({})).pixels[3] == '1');
  CHECK(decode(file_of({.next = 8})).pixels[3] == '1');  // a directory that follows itself, where one page is all that is read
  refused("claims 1073741824 x 1073741824", file_of({.height = 1 << 30, .width = 1 << 30, .rows = 1 << 30}));
  refused("'f' is damaged or no valid TIFF", file_of({.height = 0x80000000, .width = 0x80000000, .rows = 0x80000000}));
  refused("'f' is damaged or no valid TIFF", file_of({.height = 0}));
  refused("'f' is damaged or no valid TIFF", file_of({.width = 0}));
  refused("cannot hold the pixels", file_of({.height = 10000, .width = 10000, .rows = 10000}));
  refused("'f' is damaged", file_of({.height = 40, .rows = 40}));
  refused("method 6, expected none, LZW", file_of({.compression = 6}));
  refused("method 34712", file_of({.compression = 34712}));
  refused("kind 8 (Lab)", file_of({.photometric = 8}));
  refused("kind 6 (YCbCr, without JPEG or in planes)", file_of({.photometric = 6, .samples = 3}));
  refused("has 1 TIFF samples a pixel, expected 3 to 8", file_of({.photometric = 2}));
  refused("samples of 32 bits", file_of({.bits = 32, .format = 3}));
  refused("signed or floating", file_of({.format = 2}));
  refused("Colormap", file_of({.bits = 4, .photometric = 3}));
}
