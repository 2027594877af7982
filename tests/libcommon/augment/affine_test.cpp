#include "augment/affine.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include "tests/libcommon/augment/pattern.h"
#include "tests/support/expect_error.h"

using namespace fettle;
using namespace fettle::test;
using Pixels = std::vector<uint8_t>;

namespace {

constexpr Interpolation kAll[] = {Interpolation::kNearest, Interpolation::kBilinear, Interpolation::kBicubic};
constexpr PixelColor kFill = {7, 8, 9};

Pixels transformed(const PixelShape& shape, const AffineMatrix& matrix, Interpolation interpolation, int64_t height, int64_t width) {
  Pixels out(static_cast<size_t>(height * width * shape.channels), 0xAA), in = pattern(shape);
  in.shrink_to_fit();  // so that the address sanitizer sees its end
  pixel_ops::transform(in.data(), shape, matrix, interpolation, kFill, height, width, out.data());
  return out;
}

Pixels affine_of(const PixelShape& shape, const pixel_ops::AffineParameters& parameters, Interpolation interpolation) {
  return transformed(shape, pixel_ops::inverse_affine(parameters), interpolation, shape.height, shape.width);
}

Pixels rotated(const PixelShape& shape, double degrees, Interpolation interpolation, const Pixels& in) {
  Pixels out(in.size(), 0xAA);
  pixel_ops::rotate(in.data(), shape, degrees, interpolation, kFill, out.data());
  return out;
}

Pixels expanded(const PixelShape& shape, double degrees, Interpolation interpolation, const Pixels& in) {
  Pixels out(static_cast<size_t>(pixel_ops::expanded_shape(shape, degrees).values()), 0xAA);
  pixel_ops::rotate_expanded(in.data(), shape, degrees, interpolation, kFill, out.data());
  return out;
}

}  // namespace

TEST_CASE("affine: rotation and shear give Pillow's pixels") {
  // torchvision.transforms.functional 0.26 on images of Pillow 13.0.
  const PixelShape grey{5, 6, 1};
  const pixel_ops::AffineParameters all{
      .angle_degrees = -20, .translate_x = 1, .translate_y = -2, .scale = 1.3, .shear_x_degrees = 10, .shear_y_degrees = -5, .center_x = 3, .center_y = 2.5};
  CHECK(rotated(grey, 30, Interpolation::kNearest, pattern(grey)) == Pixels{7,  182, 17,  189, 35, 7,   91, 182, 87,  87, 88,  201, 37, 139, 118,
                                                                            231, 61, 185, 148, 5,  69,  69, 229, 108, 7,  77,  201, 94, 229, 7});
  CHECK(rotated(grey, 30, Interpolation::kBilinear, pattern(grey)) == Pixels{7,  148, 24,  143, 67,  7,   75,  176, 146, 145, 124, 194, 60,  126, 151,
                                                                             213, 94, 157, 105, 61,  104, 126, 177, 130, 7,   102, 199, 101, 201, 7});
  CHECK(rotated(grey, 30, Interpolation::kBicubic, pattern(grey)) == Pixels{7,  149, 14,  157, 69,  7,  61,  222, 137, 161, 109, 231, 49, 133, 170,
                                                                            240, 73, 144, 129, 43,  69, 114, 185, 120, 7,   106, 231, 94, 217, 7});
  CHECK(affine_of(grey, all, Interpolation::kNearest) == Pixels{37, 5,  5,   118, 231, 88,  148, 148, 5,  69, 193, 61, 77, 77, 201,
                                                                69, 229, 229, 7,  80,  215, 94,  94,  7,  7,  80,  7,  7,  7,  7});
  CHECK(affine_of(grey, all, Interpolation::kBilinear) == Pixels{70, 80,  84,  140, 213, 130, 144, 93,  93, 86, 167, 128, 91, 119, 190,
                                                                 96, 164, 175, 7,   106, 209, 127, 159, 7,  7,  90,  7,   7,  7,   7});
  CHECK(affine_of(grey, all, Interpolation::kBicubic) == Pixels{78, 54,  53,  158, 238, 116, 169, 86,  59, 71, 181, 126, 86, 129, 223,
                                                                84, 164, 182, 7,   110, 214, 117, 162, 7,  7,  91,  7,   7,  7,   7});
  const PixelShape color{3, 4, 3};
  CHECK(rotated(color, -50, Interpolation::kNearest, pattern(color)) == Pixels{148, 201, 254, 37,  90,  143, 91, 144, 197, 7,   8,   9,   5,  58, 111, 139, 192, 245,
                                                                               241, 38,  91,  182, 235, 32,  7,  8,   9,   118, 171, 224, 87, 140, 193, 17, 70, 123});
  CHECK(rotated(color, -50, Interpolation::kBilinear, pattern(color)) == Pixels{93,  146, 199, 68,  121, 174, 96, 149, 187, 7,   8,   9,   71,  124, 177, 106, 131, 184,
                                                                                200, 124, 96,  105, 158, 74,  7,  8,   9,   111, 164, 217, 159, 95,  148, 51,  104, 157});
  CHECK(rotated(color, -50, Interpolation::kBicubic, pattern(color)) == Pixels{100, 153, 206, 57,  132, 192, 99, 153, 190, 7,   8,   9,   53,  103, 156, 116, 131, 192,
                                                                               246, 110, 71,  110, 181, 45,  7,  8,   9,   102, 174, 227, 179, 77,  149, 7,   117, 188});
}

TEST_CASE("affine: an expanded rotation gives Pillow's size and pixels") {
  const PixelShape shape{2, 3, 1};
  const PixelShape larger = pixel_ops::expanded_shape(shape, 20);
  CHECK((larger.height == 4 && larger.width == 5));
  // A rotation with cosine 0.6 and sine 0.8 once they are rounded to 15 decimals; without that 3 and 3, and 6 and 7.
  const double degrees = 53.13010235415598;
  const PixelShape thin = pixel_ops::expanded_shape({3, 1, 1}, degrees), tall = pixel_ops::expanded_shape({7, 1, 1}, degrees);
  CHECK((thin.height == 3 && thin.width == 4 && tall.height == 5 && tall.width == 7));
  CHECK(expanded(shape, 20, Interpolation::kBilinear, pattern(shape)) == Pixels{7, 7, 7, 7, 7, 7, 21, 108, 203, 7, 7, 23, 120, 217, 7, 7, 7, 7, 7, 7});
}

TEST_CASE("affine: translation by whole pixels is a shift, whatever the interpolation") {
  for (const PixelShape& shape : kAwkwardShapes) {
    const Pixels in = pattern(shape);
    for (const int64_t dx : {int64_t{0}, int64_t{2}, int64_t{-3}, shape.width, -shape.width - 5}) {
      for (const int64_t dy : {int64_t{0}, int64_t{1}, int64_t{-2}, shape.height}) {
        Pixels expected;
        for (int64_t y = 0; y < shape.height; ++y) {
          for (int64_t x = 0; x < shape.width; ++x) {
            const int64_t sx = x - dx, sy = y - dy;
            const bool inside = sx >= 0 && sx < shape.width && sy >= 0 && sy < shape.height;
            for (int64_t c = 0; c < shape.channels; ++c) {
              expected.push_back(inside ? in[static_cast<size_t>((sy * shape.width + sx) * shape.channels + c)] : kFill[static_cast<size_t>(c)]);
            }
          }
        }
        for (const Interpolation interpolation : kAll) {
          CAPTURE(shape.height, shape.width, shape.channels, dx, dy, interpolation_name(interpolation));
          CHECK(affine_of(shape, {.translate_x = static_cast<double>(dx), .translate_y = static_cast<double>(dy)}, interpolation) == expected);
        }
      }
    }
  }
}

TEST_CASE("affine: shear along x moves each row further than the one above") {
  // The source of (x, y) is x + y + 1, right on the edge between two pixels: the right one counts.
  const PixelShape shape{6, 9, 1};
  const Pixels in = pattern(shape);
  const Pixels out = transformed(shape, {1, 1, 0, 0, 1, 0}, Interpolation::kNearest, 6, 9);
  for (int64_t y = 0; y < 6; ++y) {
    for (int64_t x = 0; x < 9; ++x) CHECK(out[static_cast<size_t>(y * 9 + x)] == (x + y + 1 < 9 ? in[static_cast<size_t>(y * 9 + x + y + 1)] : kFill[0]));
  }
}

TEST_CASE("affine: full circles and quarter turns only move pixels") {
  for (const PixelShape& shape : kAwkwardShapes) {
    CAPTURE(shape.height, shape.width, shape.channels);
    const Pixels in = pattern(shape);
    for (const Interpolation interpolation : kAll) {
      for (const double degrees : {0.0, 360.0, -720.0}) CHECK(rotated(shape, degrees, interpolation, in) == in);
      const Pixels half = rotated(shape, 180, interpolation, in);
      for (size_t i = 0; i < in.size(); ++i) {
        const size_t c = i % static_cast<size_t>(shape.channels);
        CHECK(half[in.size() - static_cast<size_t>(shape.channels) - i + 2 * c] == in[i]);
      }
      const Pixels quarter = expanded(shape, 90, interpolation, in);
      const PixelShape turned{shape.width, shape.height, shape.channels};
      // Counter-clockwise: the last column becomes the first row.
      for (int64_t y = 0; y < shape.height; ++y) {
        for (int64_t c = 0; c < shape.channels; ++c) {
          CHECK(quarter[static_cast<size_t>(y * shape.channels + c)] == in[static_cast<size_t>(((y + 1) * shape.width - 1) * shape.channels + c)]);
        }
      }
      CHECK(expanded(turned, 270, interpolation, quarter) == in);
      CHECK(expanded(turned, -90, interpolation, quarter) == in);
      if (shape.height == shape.width) CHECK(rotated(shape, 90, interpolation, in) == quarter);
    }
  }
}

TEST_CASE("affine: what lies outside is the fill, and nothing is left unwritten") {
  for (const PixelShape& shape : kAwkwardShapes) {
    for (const Interpolation interpolation : kAll) {
      const Pixels out = transformed(shape, {1, 0.25, 1e5, 0.5, 1, 0}, interpolation, 3, 4);
      for (size_t i = 0; i < out.size(); ++i) CHECK(out[i] == kFill[i % static_cast<size_t>(shape.channels)]);
      // An image of one value within a border of the fill.
      Pixels flat(static_cast<size_t>(shape.values()), 200), turned(flat.size(), 0xAA);
      pixel_ops::rotate(flat.data(), shape, 33, interpolation, {200, 200, 200}, turned.data());
      CHECK(turned == flat);
    }
  }
}

TEST_CASE("affine: nearest in fixed point, in doubles far out, and by table for scaling agree with the definition") {
  const PixelShape shape{11, 13, 3};
  const Pixels in = pattern(shape);
  // Dyadic entries: the same positions in every arithmetic. The second is far enough out for the fixed point to end.
  for (const AffineMatrix& m : {AffineMatrix{0.75, 0.25, -1, -0.5, 1.25, 2}, AffineMatrix{0.75, 4096, -1, 0, 1.25, 2}, AffineMatrix{-0.5, 0, 9, 0, 1.5, -3},
                                AffineMatrix{1, 0, 2.25, 0, 1, -1.75}, AffineMatrix{0, 1, 0, 1, 0, 0},
                                AffineMatrix{-0.75, 0.25, 12, 0.5, -1.25, 11}}) {
    const int64_t height = 17, width = 15;
    const Pixels out = transformed(shape, m, Interpolation::kNearest, height, width);
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) {
        const double cx = static_cast<double>(x) + 0.5, cy = static_cast<double>(y) + 0.5;
        const double sx = std::floor(m[0] * cx + m[1] * cy + m[2]), sy = std::floor(m[3] * cx + m[4] * cy + m[5]);
        const bool inside = sx >= 0 && sx < 13 && sy >= 0 && sy < 11;
        for (size_t c = 0; c < 3; ++c) {
          const int expected = inside ? in[(static_cast<size_t>(sy) * 13 + static_cast<size_t>(sx)) * 3 + c] : kFill[c];
          CHECK(out[static_cast<size_t>(y * width + x) * 3 + c] == expected);
        }
      }
    }
  }
}

TEST_CASE("affine: the fixed point rounds its steps to 2^-16, and ends where positions leave 32,768") {
  const PixelShape shape{1, 4, 1};
  const Pixels in = {10, 20, 30, 40};
  const auto row = [&](const AffineMatrix& m) {
    Pixels out(2);
    pixel_ops::transform(in.data(), shape, m, Interpolation::kNearest, {}, 1, 2, out.data());
    return out;
  };
  constexpr double kStep = 1.0 / 65536;
  // 0.75 steps more than a half are one step: from one step below the half to 1 exactly.
  const double half = 0.5 + 0.75 * kStep, slant = 0x1p-20;
  CHECK(row({half, slant, 0.5 - kStep - half / 2 - slant / 2, 0, 1, 0}) == Pixels{10, 20});
  // The same in doubles, where a millionth more is over the edge and is not lost.
  CHECK(row({1e-6, 80000, 1 - 5e-7 - 40000 - 5e-7, 0, 1, 0}) == Pixels{10, 20});
  CHECK(row({1e-6, 4, 1 - 5e-7 - 2 - 5e-7, 0, 1, 0}) == Pixels{20, 20});  // 1 - 5e-7 rounds to 1 and stays there
}

TEST_CASE("affine: an image that begins with its last pixel is not read beyond it") {
  // Turned by 180 degrees through the fixed point; the address sanitizer watches.
  for (const PixelShape& shape : {PixelShape{11, 13, 3}, PixelShape{1, 5, 3}}) {
    const AffineMatrix m = {-1, 0x1p-20, static_cast<double>(shape.width), 0, -1, static_cast<double>(shape.height)};
    CHECK(transformed(shape, m, Interpolation::kNearest, shape.height, shape.width) == rotated(shape, 180, Interpolation::kNearest, pattern(shape)));
  }
}

TEST_CASE("affine: inside, bilinear and bicubic agree with the definition") {
  // The inner loops look after no edge; the plain sum here does, so both cores and borders are compared.
  const PixelShape shape{9, 12, 3};
  const Pixels in = pattern(shape);
  const AffineMatrix m = pixel_ops::inverse_affine({.angle_degrees = 25, .scale = 0.9, .shear_x_degrees = 8, .center_x = 6, .center_y = 4.5});
  const auto tap = [&](int64_t x, int64_t y, size_t c) {
    return static_cast<double>(in[static_cast<size_t>(std::clamp<int64_t>(y, 0, 8) * 12 + std::clamp<int64_t>(x, 0, 11)) * 3 + c]);
  };
  for (const Interpolation interpolation : {Interpolation::kBilinear, Interpolation::kBicubic}) {
    const Pixels out = transformed(shape, m, interpolation, 9, 12);
    const auto weight = [&](double d) {  // of a tap at distance d
      d = std::abs(d);
      if (interpolation == Interpolation::kBilinear) return std::max(0.0, 1 - d);
      return d < 1 ? 1 - 2 * d * d + d * d * d : d < 2 ? 4 - 8 * d + 5 * d * d - d * d * d : 0.0;
    };
    int64_t interior = 0;
    for (int64_t y = 0; y < 9; ++y) {
      for (int64_t x = 0; x < 12; ++x) {
        const double cx = static_cast<double>(x) + 0.5, cy = static_cast<double>(y) + 0.5;
        const double sx = m[0] * cx + m[1] * cy + m[2], sy = m[3] * cx + m[4] * cy + m[5];
        if (sx < 0 || sx >= 12 || sy < 0 || sy >= 9) {
          CHECK(out[static_cast<size_t>(y * 12 + x) * 3] == kFill[0]);
          continue;
        }
        const auto left = static_cast<int64_t>(std::floor(sx - 0.5)), top = static_cast<int64_t>(std::floor(sy - 0.5));
        interior += left >= 1 && left < 10 && top >= 1 && top < 7 ? 1 : 0;
        for (size_t c = 0; c < 3; ++c) {
          double sum = 0;
          for (int64_t j = -1; j <= 2; ++j) {
            for (int64_t i = -1; i <= 2; ++i) {
              sum += weight(sx - 0.5 - static_cast<double>(left + i)) * weight(sy - 0.5 - static_cast<double>(top + j)) * tap(left + i, top + j, c);
            }
          }
          const double found = out[static_cast<size_t>(y * 12 + x) * 3 + c];
          CAPTURE(x, y, c, sum, found);
          CHECK(std::abs(found - std::floor(std::clamp(sum, 0.0, 255.0))) <= (std::abs(sum - std::round(sum)) < 1e-9 ? 1 : 0));
        }
      }
    }
    CHECK(interior > 20);
  }
}

TEST_CASE("affine: names of interpolations") {
  for (const Interpolation interpolation : kAll) CHECK(parse_interpolation(interpolation_name(interpolation)) == interpolation);
  expect_error(ExitCode::kUsage, "interpolation 'lanczos' is not known, expected one of: nearest, bilinear, bicubic", [] { parse_interpolation("lanczos"); });
}
