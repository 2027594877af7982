#pragma once
// Rotation, shear, translation and scaling of one image, as torchvision.transforms.functional applies them to a Pillow image
// (Pillow 13.0), bit for bit. Images as in augment/pixel_ops.h; `in` and `out` must not overlap.
//
// An output pixel (x, y) takes the source at
//   sx = m[0] (x + 0.5) + m[1] (y + 0.5) + m[2]        sy = m[3] (x + 0.5) + m[4] (y + 0.5) + m[5]
// where pixel i covers [i, i + 1); it is the fill colour where (sx, sy) lies outside of the image.
//   nearest    the pixel that (sx, sy) lies in; sx and sy in steps of 2^-16, unless the matrix only scales and translates
//   bilinear   of the four pixels around (sx - 0.5, sy - 0.5), in double, truncated. Edge pixels are repeated beyond the edge: the
//              border is the image's and then at once the fill, where torchvision's tensor form fades into the fill.
//   bicubic    of sixteen pixels (a = -1), in double, truncated and clipped; edges as with bilinear

#include <array>
#include <cstdint>
#include <string_view>

#include "augment/pixel_ops.h"

namespace fettle {

enum class Interpolation : int { kNearest = 0, kBilinear = 1, kBicubic = 2 };

std::string_view interpolation_name(Interpolation interpolation);  // "nearest", "bilinear", "bicubic"
// The other way round; another name is Error(kUsage) that shows the choices.
Interpolation parse_interpolation(std::string_view name);

using AffineMatrix = std::array<double, 6>;  // from output to source, see above

namespace pixel_ops {

// `out`: [out_height, out_width, shape.channels]
void transform(const uint8_t* in, const PixelShape& shape, const AffineMatrix& matrix, Interpolation interpolation, const PixelColor& fill, int64_t out_height,
               int64_t out_width, uint8_t* out);

struct AffineParameters {
  double angle_degrees = 0;                    // clockwise
  double translate_x = 0, translate_y = 0;     // pixels, after the rotation
  double scale = 1;                            // > 0
  double shear_x_degrees = 0, shear_y_degrees = 0;
  double center_x = 0, center_y = 0;           // pixels; what stays in place. torchvision's default is width / 2, height / 2
};

// Inverse of T(translate) C(center) R(angle) S(scale) Shy Shx C^-1, with Shx = [1 -tan(shear_x); 0 1], Shy = [1 0; -tan(shear_y) 1].
AffineMatrix inverse_affine(const AffineParameters& parameters);

// transform() by inverse_affine(), in the image's own size.
void affine(const uint8_t* in, const PixelShape& shape, const AffineParameters& parameters, Interpolation interpolation, const PixelColor& fill, uint8_t* out);

// Counter-clockwise about the centre, in the image's own size. Multiples of 180 degrees, and of 90 in a square image, only move
// pixels, whatever the interpolation.
void rotate(const uint8_t* in, const PixelShape& shape, double degrees, Interpolation interpolation, const PixelColor& fill, uint8_t* out);

// The shape that holds the whole rotated image, and the rotation into it: `out` has that shape.
PixelShape expanded_shape(const PixelShape& shape, double degrees);
void rotate_expanded(const uint8_t* in, const PixelShape& shape, double degrees, Interpolation interpolation, const PixelColor& fill, uint8_t* out);

}  // namespace pixel_ops
}  // namespace fettle
