#pragma once
// Operations on the pixels of one image, as torchvision.transforms.functional applies them to a Pillow image (Pillow 13.0,
// torchvision 0.26): the form that reference recipes use. Bit for bit, but for gaussian_blur, which Pillow has not.
//
// Images are u8 [height, width, channels], dense, channels 1 (Pillow's mode L) or 3 (RGB). `out` has the shape of `in`. Where
// the comment does not say "apart", `out` may be `in`; otherwise the two must not overlap. A call keeps nothing and allocates
// nothing but what it says. Another shape or argument than what is stated is a bug of the caller (code 70).
//
// Blending, here written blend(a, b, f): a + f * (b - a) in float32, truncated, and clipped to 0..255 first.
// Grey, here written L(r, g, b): (19595 r + 38470 g + 7471 b + 32768) >> 16.
//
// torchvision's tensor form differs: its grey is 0.2989 r + 0.587 g + 0.114 b truncated, contrast does not round the mean, hue
// is not quantised to 8 bits. Transforms of geometry are in augment/affine.h.

#include <array>
#include <cstdint>

namespace fettle {

struct PixelShape {
  int64_t height = 0, width = 0;
  int64_t channels = 3;
  int64_t values() const { return height * width * channels; }
};

using PixelColor = std::array<uint8_t, 3>;  // of an image with one channel, the first counts

struct PixelBox {
  int64_t top = 0, left = 0, height = 0, width = 0;  // pixels
  bool operator==(const PixelBox&) const = default;
};

inline constexpr int64_t kMaxImageSide = int64_t{1} << 24;  // of images that records speak of

// The box of an image [height, width] in the same image at another size: edges in proportion, rounded half up. At the same size it
// is the box itself.
PixelBox scaled_box(const PixelBox& box, int64_t height, int64_t width, int64_t to_height, int64_t to_width);

namespace pixel_ops {

// ---- colour: any finite factor; 1 changes nothing ----------------------------------------------------------------------

void brightness(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out);  // blend(0, x, factor)
// blend(m, x, factor), m the mean grey of the image, rounded half up.
void contrast(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out);
// blend(L, x, factor); one channel stays as it is.
void saturation(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out);
// Hue turned by `shift` of a full circle, -0.5..0.5, through HSV of 8 bits each: the shift is trunc(255 shift), and colours
// move a little even for 0. One channel stays as it is.
void hue(const uint8_t* in, const PixelShape& shape, double shift, uint8_t* out);
// blend(s, x, factor), s the image under [1 1 1; 1 5 1; 1 1 1] / 13, rounded; the outermost pixels, and images below 3 x 3, stay
// as they are. Apart.
void sharpness(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out);
// L in every one of `out_channels` (1 or 3) channels; one channel in is copied. Apart, unless the numbers of channels agree.
void grayscale(const uint8_t* in, const PixelShape& shape, int64_t out_channels, uint8_t* out);

// ---- tone: tables of 256 values, one a channel -------------------------------------------------------------------------

void posterize(const uint8_t* in, const PixelShape& shape, int64_t bits, uint8_t* out);       // keeps the upper `bits`, 1..8
void solarize(const uint8_t* in, const PixelShape& shape, double threshold, uint8_t* out);    // 255 - x where x >= threshold
void invert(const uint8_t* in, const PixelShape& shape, uint8_t* out);                        // 255 - x
// Each channel's smallest value to 0, its largest to 255; a constant channel stays as it is.
void autocontrast(const uint8_t* in, const PixelShape& shape, uint8_t* out);
// Each channel's histogram flattened, with Pillow's integer steps; a channel with one value, or with less than 255 pixels beside
// its largest value, stays as it is.
void equalize(const uint8_t* in, const PixelShape& shape, uint8_t* out);

// ---- others ------------------------------------------------------------------------------------------------------------

// Weights exp(-d^2 / (2 sigma^2)) at d = -size/2..size/2, normalised to sum 1, along x and then along y; edges are mirrored without
// repeating the edge pixel; rounded half to even. size: odd, >= 1, size / 2 less than the image's side; sigma > 0. torchvision's
// tensor form, which it uses for Pillow images too, up to the order of float32 sums. Apart; allocates a row of floats.
void gaussian_blur(const uint8_t* in, const PixelShape& shape, int64_t size, double sigma, uint8_t* out);

// Fills the box, which lies within the image.
void erase(uint8_t* image, const PixelShape& shape, const PixelBox& box, const PixelColor& color);

}  // namespace pixel_ops
}  // namespace fettle
