#include "augment/pixel_ops.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "tests/libcommon/augment/pattern.h"
#include "tests/support/expect_error.h"

using namespace fettle;
using namespace fettle::test;
using Pixels = std::vector<uint8_t>;

namespace {

using Operation = std::function<void(const uint8_t*, const PixelShape&, uint8_t*)>;

Pixels result(const Operation& operation, const PixelShape& shape, const Pixels& in) {
  Pixels out(in.size(), 0xAA);
  operation(in.data(), shape, out.data());
  return out;
}

template <typename Argument>
Operation with(void (*function)(const uint8_t*, const PixelShape&, Argument, uint8_t*), Argument argument) {
  return [=](const uint8_t* in, const PixelShape& shape, uint8_t* out) { function(in, shape, argument, out); };
}

// All 256 values, each in every channel.
constexpr PixelShape kRamp{16, 16, 3};
Pixels ramp() {
  Pixels pixels;
  for (int value = 0; value < 256; ++value) pixels.insert(pixels.end(), 3, static_cast<uint8_t>(value));
  return pixels;
}

}  // namespace

TEST_CASE("pixel ops: colour operations give Pillow's pixels") {
  // torchvision.transforms.functional 0.26 on images of Pillow 13.0.
  const PixelShape shape{3, 4, 3};
  const Pixels in = pattern(shape);
  using namespace pixel_ops;
  CHECK(result(with(brightness, 1.7), shape, in) == Pixels{0,   90,  180, 154, 244, 255, 255, 255, 54,  28,  119, 209, 62,  153, 243, 236, 255, 255,
                                                           255, 64,  154, 147, 238, 255, 251, 255, 255, 8,   98,  188, 200, 255, 255, 255, 47,  137});
  CHECK(result(with(brightness, 0.3), shape, in) == Pixels{0,  15, 31, 27, 43, 59, 54, 70, 9,  5,  21, 36, 11, 27, 42, 41, 57, 73,
                                                           72, 11, 27, 26, 42, 57, 44, 60, 76, 1,  17, 33, 35, 51, 67, 69, 8,  24});
  CHECK(result(with(contrast, 1.7), shape, in) == Pixels{0,   6, 96, 71, 161, 251, 226, 255, 0,   0, 35, 125, 0,   69,  159, 153, 243, 255,
                                                         255, 0, 71, 64, 154, 244, 168, 255, 255, 0, 15, 105, 117, 207, 255, 255, 0,   54});
  CHECK(result(with(contrast, -0.4), shape, in) == Pixels{166, 145, 124, 130, 109, 87, 93,  72, 153, 159, 138, 117, 151, 130, 109, 111, 89,  68,
                                                          70,  151, 130, 131, 110, 89, 107, 86, 65,  164, 143, 122, 119, 98,  77,  74,  155, 134});
  CHECK(result(with(saturation, 1.7), shape, in) == Pixels{0,   60, 150, 60, 151, 241, 172, 255, 0,   0, 77, 167, 6,  97,  187, 108, 199, 255,
                                                           255, 0,  81,  56, 147, 237, 117, 208, 255, 0, 65, 155, 87, 178, 255, 255, 0,   71});
  CHECK(result(with(saturation, 0.3), shape, in) == Pixels{30,  46, 61,  121, 137, 152, 191, 207, 146, 47, 63, 78, 67,  83,  98,  169, 185, 200,
                                                           145, 84, 100, 117, 133, 148, 178, 194, 209, 35, 51, 66, 148, 164, 179, 135, 74,  90});
  CHECK(result(with(sharpness, 1.7), shape, in) == Pixels{0,   53, 106, 91, 144, 197, 182, 235, 32,  17, 70, 123, 37,  90,  143, 154, 221, 255,
                                                          255, 0,  65,  87, 140, 193, 148, 201, 254, 5,  58, 111, 118, 171, 224, 231, 28,  81});
  CHECK(result(with(sharpness, 0.3), shape, in) == Pixels{0,   53, 106, 91, 144, 197, 182, 235, 32,  17, 70, 123, 37,  90,  143, 123, 162, 201,
                                                          184, 77, 116, 87, 140, 193, 148, 201, 254, 5,  58, 111, 118, 171, 224, 231, 28,  81});
  CHECK(result(with(hue, 0.2), shape, in) == Pixels{72,  0,  106, 163, 91, 197, 32,  235, 123, 89, 17, 123, 109, 37,  143, 211, 139, 245,
                                                    241, 220, 39, 159, 87, 193, 220, 148, 254, 77, 5,  111, 191, 119, 224, 231, 210, 28});
  CHECK(result(with(hue, -0.45), shape, in) == Pixels{106, 85, 0,   197, 176, 91, 152, 32,  235, 123, 102, 17, 143, 122, 37,  245, 224, 139,
                                                      39,  234, 241, 193, 172, 87, 254, 233, 148, 111, 90,  5,  224, 203, 119, 28,  224, 231});
  CHECK(result(with(hue, 0.0), shape, in) == Pixels{0,   55, 106, 91, 146, 197, 185, 235, 32,  17, 72, 123, 37,  92,  143, 139, 194, 245,
                                                    241, 39, 96,  87, 142, 193, 148, 203, 254, 5,  60, 111, 119, 173, 224, 231, 28,  85});
  CHECK(result(with(grayscale, int64_t{3}), shape, in) == Pixels{43,  43,  43,  134, 134, 134, 196, 196, 196, 60, 60, 60, 80,  80,  80,  182, 182, 182,
                                                                 105, 105, 105, 130, 130, 130, 191, 191, 191, 48, 48, 48, 161, 161, 161, 95,  95,  95});
  Pixels grey(12);
  grayscale(in.data(), shape, 1, grey.data());
  CHECK(grey == Pixels{43, 134, 196, 60, 80, 182, 105, 130, 191, 48, 161, 95});
  // Mode L.
  const PixelShape single{3, 4, 1};
  CHECK(result(with(contrast, 1.7), single, pattern(single)) == Pixels{0, 79, 233, 0, 0, 160, 255, 72, 176, 0, 125, 255});
  CHECK(result(with(sharpness, 0.3), single, pattern(single)) == Pixels{0, 91, 182, 17, 37, 123, 184, 87, 148, 5, 118, 231});
}

TEST_CASE("pixel ops: autocontrast and equalize follow Pillow's tables") {
  const PixelShape shape{20, 30, 1};
  Pixels in = pattern(shape);
  for (uint8_t& value : in) value = static_cast<uint8_t>(value / 4 + 50);
  const Pixels stretched = result(pixel_ops::autocontrast, shape, in), equalized = result(pixel_ops::equalize, shape, in);
  const std::vector<std::array<int, 3>> recorded = {{50, 0, 0},     {58, 32, 39},   {66, 64, 78},    {74, 97, 115},
                                                    {82, 129, 150}, {90, 161, 200}, {98, 194, 234}, {106, 226, 255}};  // value, stretched, equalized
  for (const auto& [value, low_to_high, flat] : recorded) {
    const size_t at = static_cast<size_t>(std::find(in.begin(), in.end(), value) - in.begin());
    REQUIRE(at < in.size());
    CAPTURE(value);
    CHECK(stretched[at] == low_to_high);
    CHECK(equalized[at] == flat);
  }
}

TEST_CASE("pixel ops: channels are stretched and equalized each by itself") {
  const PixelShape shape{13, 29, 3};
  Pixels in = pattern(shape);
  for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(in[i] / (2 + i % 3) + 20 * (i % 3));
  for (const Operation& operation : {Operation(pixel_ops::autocontrast), Operation(pixel_ops::equalize)}) {
    const Pixels whole = result(operation, shape, in);
    for (size_t c = 0; c < 3; ++c) {
      Pixels channel, expected;
      for (size_t i = c; i < in.size(); i += 3) channel.push_back(in[i]), expected.push_back(whole[i]);
      CHECK(result(operation, {13, 29, 1}, channel) == expected);
      CHECK(expected != channel);
    }
  }
}

TEST_CASE("pixel ops: tables over all values") {
  const Pixels in = ramp();
  for (size_t i = 0; i < 256; ++i) {
    const auto value = static_cast<int>(i);
    CAPTURE(value);
    const auto at = [&](const Operation& operation) { return static_cast<int>(result(operation, kRamp, in)[3 * i + i % 3]); };
    CHECK(at(pixel_ops::invert) == 255 - value);
    CHECK(at(with(pixel_ops::posterize, int64_t{3})) == (value & 0xE0));
    CHECK(at(with(pixel_ops::posterize, int64_t{1})) == (value & 0x80));
    CHECK(at(with(pixel_ops::posterize, int64_t{8})) == value);
    CHECK(at(with(pixel_ops::solarize, 178.5)) == (value < 178.5 ? value : 255 - value));
    CHECK(at(with(pixel_ops::solarize, 255.0)) == (value < 255 ? value : 0));
    CHECK(at(with(pixel_ops::solarize, 255.5)) == value);
    CHECK(at(with(pixel_ops::solarize, 0.0)) == 255 - value);
    // The ramp fills the range and is flat already.
    CHECK(at(pixel_ops::autocontrast) == value);
    CHECK(at(pixel_ops::equalize) == value);
  }
}

TEST_CASE("pixel ops: grey is the rounded sum of integer weights for every colour") {
  constexpr size_t kColors = 65536;  // of one red
  Pixels colors(3 * kColors), expected(kColors), grey(kColors);
  for (int r = 0; r < 256; ++r) {
    size_t wrong_alone = 0;
    for (size_t i = 0; i < kColors; ++i) {
      const int g = static_cast<int>(i / 256), b = static_cast<int>(i % 256), sum = 19595 * r + 38470 * g + 7471 * b;
      colors[3 * i] = static_cast<uint8_t>(r), colors[3 * i + 1] = static_cast<uint8_t>(g), colors[3 * i + 2] = static_cast<uint8_t>(b);
      expected[i] = static_cast<uint8_t>((sum + 32768) / 65536);
      // By itself, where the rounding turns.
      if (sum % 65536 < 32760 || sum % 65536 > 32776) continue;
      pixel_ops::grayscale(colors.data() + 3 * i, {1, 1, 3}, 1, grey.data());
      wrong_alone += grey[0] != expected[i] ? 1 : 0;
    }
    pixel_ops::grayscale(colors.data(), {256, 256, 3}, 1, grey.data());
    CAPTURE(r);
    CHECK(grey == expected);
    CHECK(wrong_alone == 0);
  }
}

TEST_CASE("pixel ops: what changes nothing") {
  using namespace pixel_ops;
  for (const PixelShape& shape : kAwkwardShapes) {
    CAPTURE(shape.height, shape.width, shape.channels);
    const Pixels in = pattern(shape);
    for (const auto& operation : {with(brightness, 1.0), with(contrast, 1.0), with(saturation, 1.0), with(sharpness, 1.0), with(posterize, int64_t{8}),
                                  with(solarize, 256.0)}) {
      CHECK(result(operation, shape, in) == in);
    }
    CHECK(result(invert, shape, result(invert, shape, in)) == in);
    // A grey image has no colour to change; one channel is grey.
    const Pixels grey = result(with(grayscale, shape.channels), shape, in);
    for (const auto& operation : {with(saturation, 0.2), with(saturation, 3.0), with(hue, 0.3), with(grayscale, shape.channels)}) {
      CHECK(result(operation, shape, grey) == grey);
    }
    // One value has no contrast, no histogram to flatten, and nothing to smooth.
    const Pixels flat(in.size(), 77);
    for (const auto& operation : {Operation(autocontrast), Operation(equalize), with(sharpness, 0.0), with(sharpness, 5.0), with(contrast, 0.3)}) {
      CHECK(result(operation, shape, flat) == flat);
    }
  }
}

TEST_CASE("pixel ops: the vector loops agree with one pixel at a time") {
  using namespace pixel_ops;
  for (const PixelShape& shape : kAwkwardShapes) {
    CAPTURE(shape.height, shape.width, shape.channels);
    const Pixels in = pattern(shape);
    const PixelShape one{1, 1, shape.channels};
    for (const auto& operation : {with(brightness, 1.3), with(brightness, 0.6), with(brightness, -2.0), with(saturation, 1.3), with(saturation, 0.6),
                                  with(hue, 0.37), with(posterize, int64_t{4}), with(solarize, 99.0), Operation(invert), with(grayscale, shape.channels)}) {
      const Pixels whole = result(operation, shape, in);
      Pixels pieces(in.size());
      for (size_t i = 0; i < in.size(); i += static_cast<size_t>(shape.channels)) operation(in.data() + i, one, pieces.data() + i);
      CHECK(whole == pieces);
    }
  }
}

TEST_CASE("pixel ops: in place is the same as apart") {
  using namespace pixel_ops;
  const PixelShape shape{19, 61, 3};
  Pixels in = pattern(shape);
  for (uint8_t& value : in) value = static_cast<uint8_t>(value / 2 + 20);
  for (const auto& operation : {with(brightness, 1.3), with(contrast, 0.4), with(saturation, 1.3), with(hue, 0.37), with(posterize, int64_t{4}),
                                with(solarize, 99.0), Operation(invert), Operation(autocontrast), Operation(equalize), with(grayscale, int64_t{3})}) {
    Pixels place = in;
    operation(place.data(), shape, place.data());
    CHECK(place == result(operation, shape, in));
    CHECK(place != in);
  }
}

TEST_CASE("pixel ops: sharpness against the plain 3 x 3 sum") {
  for (const PixelShape& shape : kAwkwardShapes) {
    CAPTURE(shape.height, shape.width, shape.channels);
    const Pixels in = pattern(shape);
    Pixels expected = in;
    const int64_t c = shape.channels, pitch = shape.width * c;
    for (int64_t y = 1; y + 1 < shape.height; ++y) {
      for (int64_t i = c; i < pitch - c; ++i) {
        int sum = 0;
        for (int64_t dy = -1; dy <= 1; ++dy) {
          for (int64_t dx = -1; dx <= 1; ++dx) sum += in[static_cast<size_t>((y + dy) * pitch + i + dx * c)] * (dx == 0 && dy == 0 ? 5 : 1);
        }
        expected[static_cast<size_t>(y * pitch + i)] = static_cast<uint8_t>(std::lround(sum / 13.0));
      }
    }
    CHECK(result(with(pixel_ops::sharpness, 0.0), shape, in) == expected);  // the smoothed image alone
  }
}

TEST_CASE("pixel ops: factors far out saturate, and are not undefined") {
  const PixelShape shape{2, 3, 1};
  const Pixels in = {0, 1, 100, 150, 254, 255};  // mean 126.67
  for (const double factor : {1e4, 1e30, 1e308}) {
    CHECK(result(with(pixel_ops::contrast, factor), shape, in) == Pixels{0, 0, 0, 255, 255, 255});
    CHECK(result(with(pixel_ops::contrast, -factor), shape, in) == Pixels{255, 255, 255, 0, 0, 0});
    CHECK(result(with(pixel_ops::brightness, factor), shape, in) == Pixels{0, 255, 255, 255, 255, 255});
    CHECK(result(with(pixel_ops::brightness, -factor), shape, in) == Pixels{0, 0, 0, 0, 0, 0});
  }
}

TEST_CASE("pixel ops: gaussian blur") {
  // torchvision.transforms.functional.gaussian_blur; float sums in another order may round one value differently.
  const PixelShape shape{5, 6, 1};
  const auto blurred = [](int64_t size, double sigma, const PixelShape& s, const Pixels& in) {
    return result([=](const uint8_t* i, const PixelShape& p, uint8_t* o) { pixel_ops::gaussian_blur(i, p, size, sigma, o); }, s, in);
  };
  CHECK(blurred(3, 0.8, shape, pattern(shape)) == Pixels{64,  114, 149, 112, 117, 133, 74,  110, 151, 137, 128, 129, 95,  101, 136,
                                                         156, 138, 133, 125, 126, 133, 150, 140, 143, 141, 147, 143, 151, 147, 153});
  CHECK(blurred(5, 1.5, shape, pattern(shape)) == Pixels{105, 108, 125, 134, 134, 126, 109, 112, 126, 135, 133, 127, 112, 119, 129,
                                                         140, 138, 138, 122, 132, 135, 145, 141, 145, 123, 133, 134, 145, 142, 149});
  const PixelShape color{9, 11, 3};
  CHECK(blurred(1, 2.0, color, pattern(color)) == pattern(color));
  for (const int value : {0, 77, 255}) CHECK(blurred(9, 2.0, {9, 11, 1}, Pixels(99, static_cast<uint8_t>(value))) == Pixels(99, static_cast<uint8_t>(value)));
  // Channels do not run into each other.
  Pixels red = pattern(color);
  for (size_t i = 0; i < red.size(); ++i) red[i] = i % 3 == 0 ? red[i] : 0;
  const Pixels out = blurred(7, 1.2, color, red);
  for (size_t i = 0; i < out.size(); ++i) CHECK((i % 3 == 0 || out[i] == 0));
  expect_error(ExitCode::kBug, "blur of size 11 on 5 x 6", [&] { blurred(11, 1.0, shape, pattern(shape)); });
  expect_error(ExitCode::kBug, "blur of size 4", [&] { blurred(4, 1.0, shape, pattern(shape)); });
}

TEST_CASE("pixel ops: erase fills its box and nothing else") {
  const PixelShape shape{4, 5, 3};
  const Pixels in = pattern(shape);
  Pixels out = in;
  pixel_ops::erase(out.data(), shape, {1, 2, 2, 3}, {9, 99, 199});
  for (size_t i = 0; i < out.size(); ++i) {
    const size_t y = i / 15, x = i / 3 % 5, c = i % 3;
    const bool inside = y >= 1 && y < 3 && x >= 2;
    CHECK(out[i] == (inside ? std::array<int, 3>{9, 99, 199}[c] : in[i]));
  }
  expect_error(ExitCode::kBug, "box 1 2 4 3 in 4 x 5", [&] { pixel_ops::erase(out.data(), shape, {1, 2, 4, 3}, {}); });
  expect_error(ExitCode::kBug, "box 0 -1 1 1", [&] { pixel_ops::erase(out.data(), shape, {0, -1, 1, 1}, {}); });
}

TEST_CASE("pixel ops: another number of channels is refused") {
  Pixels pixels(16);
  for (const PixelShape& shape : {PixelShape{2, 2, 4}, PixelShape{2, 2, 2}, PixelShape{0, 2, 3}, PixelShape{2, 0, 3}}) {
    expect_error(ExitCode::kBug, "image of", [&] { pixel_ops::invert(pixels.data(), shape, pixels.data()); });
  }
  expect_error(ExitCode::kBug, "hue shift 0.6", [&] { pixel_ops::hue(pixels.data(), {2, 2, 3}, 0.6, pixels.data()); });
  expect_error(ExitCode::kBug, "9 bits", [&] { pixel_ops::posterize(pixels.data(), {2, 2, 3}, 9, pixels.data()); });
  expect_error(ExitCode::kBug, "factor nan", [&] { pixel_ops::brightness(pixels.data(), {2, 2, 3}, std::nan(""), pixels.data()); });
}
