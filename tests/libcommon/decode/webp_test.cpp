#include <catch2/catch.hpp>

#include "decode/image.h"
#include "tests/support/image_files.h"

using namespace fettle;
using namespace fettle::test;

namespace {

// The chunk of a simple file's bitstream.
std::string bitstream(const Image& image) { return encode_webp(image).substr(12); }

std::string canvas(int flags, uint64_t height, uint64_t width) {
  return riff_chunk("VP8X", static_cast<char>(flags) + std::string(3, '\0') + little_endian(width - 1, 3) + little_endian(height - 1, 3));
}

std::string frame(uint64_t top, uint64_t left, const Image& image) {
  return riff_chunk("ANMF", little_endian(left / 2, 3) + little_endian(top / 2, 3) + little_endian(static_cast<uint64_t>(image.width - 1), 3) +
                                little_endian(static_cast<uint64_t>(image.height - 1), 3) + little_endian(100, 3) + std::string(1, '\0') + bitstream(image));
}

constexpr int kAnimation = 2, kExif = 8;
const std::string kAnimationHeader = riff_chunk("ANIM", std::string("\xff\xff\xff\xff\0\0", 6));

}  // namespace

TEST_CASE("webp: lossless is exact, lossy close") {
  const Image picture = test_picture(33, 47);
  CHECK(decode(encode_webp(picture)).pixels == picture.pixels);
  const Image lossy = decode(encode_webp(picture, 90));
  REQUIRE(lossy.pixels.size() == picture.pixels.size());
  double difference = 0;
  for (size_t i = 0; i < picture.pixels.size(); ++i) difference += std::abs(int{lossy.pixels[i]} - int{picture.pixels[i]});
  CHECK(difference / static_cast<double>(picture.pixels.size()) < 14);
}

TEST_CASE("webp: cut anywhere it is refused") {
  const Image picture = test_picture(33, 47);
  for (const float quality : {0.f, 80.f}) {
    const std::string file = encode_webp(picture, quality);
    for (size_t size = 0; size < file.size(); size += size < 60 ? 1 : 7) {
      INFO("quality " << quality << ", cut to " << size << " of " << file.size());
      // An even chunk of an odd length may lack its last, filling byte.
      refused("'f' ", file.substr(0, std::min(size, file.size() - 2)));
    }
  }
}

TEST_CASE("webp: an animation gives its first frame on a black canvas") {
  const Image first = test_picture(6, 8, 1), second = test_picture(10, 12, 2);
  const std::string file = webp_file(canvas(kAnimation, 10, 12) + kAnimationHeader + frame(2, 4, first) + frame(0, 0, second));
  Image image{10, 12, std::vector<uint8_t>(360, 77)};  // of the last picture
  ImageDecoder decoder;
  decoder.open(as_bytes(file), "'f'");
  decoder.decode(image);
  CHECK(image.height == 10);
  CHECK(image.width == 12);
  for (int64_t y = 0; y < 10; ++y) {
    for (int64_t x = 0; x < 12; ++x) {
      const bool covered = y >= 2 && y < 8 && x >= 4;
      for (int64_t c = 0; c < 3; ++c) {
        CHECK(int{image.pixels[static_cast<size_t>(3 * (12 * y + x) + c)]} == (covered ? int{first.pixels[static_cast<size_t>(3 * (8 * (y - 2) + x - 4) + c)]} : 0));
      }
    }
  }
  CHECK(decode(webp_file(canvas(kAnimation, 6, 8) + kAnimationHeader + frame(0, 0, first))).pixels == first.pixels);
  refused("'f' ", webp_file(canvas(kAnimation, 10, 12) + kAnimationHeader));
  refused("'f' ", webp_file(canvas(kAnimation, 10, 12) + kAnimationHeader + frame(6, 4, first)));  // leaves the canvas
  refused("'f' ", file.substr(0, file.size() / 3));
}

TEST_CASE("webp: the orientation stands in a chunk of its own") {
  const Image picture = test_picture(6, 8);
  const auto orientation = [](const std::string& file) {
    ImageDecoder decoder;
    return decoder.open(as_bytes(file), "'f'").orientation;
  };
  CHECK(orientation(webp_file(canvas(kExif, 6, 8) + bitstream(picture) + riff_chunk("EXIF", exif(6)))) == 6);
  CHECK(orientation(webp_file(canvas(kExif, 6, 8) + bitstream(picture) + riff_chunk("EXIF", std::string("Exif\0\0", 6) + exif(8)))) == 8);
  CHECK(orientation(webp_file(canvas(kExif, 6, 8) + bitstream(picture) + riff_chunk("EXIF", "junk"))) == 1);
  CHECK(orientation(encode_webp(picture)) == 1);
}
