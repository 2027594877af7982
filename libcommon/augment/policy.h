#pragma once
// What augmentation does to an image after crop and flip: RandAugment, TrivialAugment or AutoAugment, colour jitter and random
// erasing. What was drawn is a small struct that can be recorded and applied later, the same for the same seed on any thread (the
// boxes to erase lean on libm). The order is that of torchvision's and timm's recipes:
//   crop, flip, policy, colour jitter, (to float, normalise), erase
// So the flip comes before: an image that is mirrored only later must not go through these operations first. Policies shear,
// shift and rotate: they are for targets that do not move with the pixels, such as a class.
//
// Magnitudes are torchvision's (transforms.autoaugment on Pillow images), from the same float32 tables:
//   ShearX ShearY                          tangent of the angle
//   TranslateX TranslateY                  pixels of the image it was drawn for, truncated when applied
//   Rotate                                 degrees counter-clockwise
//   Brightness Color Contrast Sharpness    factor - 1
//   Posterize                              bits kept
//   Solarize                               threshold, 0..255
//   Hue                                    shift, -0.5..0.5 of the circle (colour jitter only)

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "augment/affine.h"
#include "augment/pixel_ops.h"
#include "random/stream.h"

namespace fettle {

// The numbers are part of recorded augmentations: 0..13 are RandAugment's operations in torchvision's order.
enum class PixelOpKind : int {
  kIdentity = 0,
  kShearX = 1,
  kShearY = 2,
  kTranslateX = 3,
  kTranslateY = 4,
  kRotate = 5,
  kBrightness = 6,
  kColor = 7,
  kContrast = 8,
  kSharpness = 9,
  kPosterize = 10,
  kSolarize = 11,
  kAutoContrast = 12,
  kEqualize = 13,
  kInvert = 14,
  kHue = 15,
};
inline constexpr int kNumPixelOps = 16;

std::string_view pixel_op_name(PixelOpKind kind);  // "ShearX"

struct PixelOp {
  PixelOpKind kind = PixelOpKind::kIdentity;
  double magnitude = 0;  // 0 where the operation has none
  bool operator==(const PixelOp&) const = default;
};

// One image's draw.
struct Photometric {
  int64_t height = 0, width = 0;  // of the image it was drawn for
  std::vector<PixelOp> ops;       // in order
  std::optional<PixelBox> erase;  // in pixels of that image
  bool operator==(const Photometric&) const = default;
};

// How operations are carried out: not drawn, the same for a whole data set.
struct PixelOpSettings {
  Interpolation interpolation = Interpolation::kNearest;
  PixelColor fill{};  // where shear, translation and rotation leave nothing
};

// Names the form of the operations and these settings, for the record of a pipeline: "pillow/nearest/fill=0,0,0". Equal ids
// and equal draws give equal pixels; a change of the arithmetic will change the first word.
std::string pipeline_id(const PixelOpSettings& settings);

// ---- drawing -----------------------------------------------------------------------------------------------------------

enum class AutoAugment : int { kNone, kRandAugment, kTrivialAugmentWide, kImageNet, kCifar10, kSvhn };

// Widths of the ranges: brightness, contrast and saturation factors lie in max(0, 1 - w)..1 + w, the hue's shift in -w..w.
struct ColorJitter {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  bool operator==(const ColorJitter&) const = default;
};

struct RandomErase {
  double probability = 0;
  double area_min = 0.02, area_max = 0.33;  // share of the image's area
  double ratio_min = 0.3, ratio_max = 3.3;  // height / width
};

struct PhotometricOptions {
  AutoAugment policy = AutoAugment::kNone;
  int64_t num_ops = 2;    // RandAugment
  int64_t magnitude = 9;  // RandAugment: a bin, 0..num_bins - 1
  int64_t num_bins = 31;  // RandAugment and TrivialAugment
  ColorJitter jitter;
  RandomErase erase;
};

// Errors (kUsage): fewer than 2 bins, a magnitude that is no bin, probabilities, ranges or widths out of bounds.
void validate(const PhotometricOptions& options);

// The stream's order of draws:
//   RandAugment         per operation: which of 14; if it is signed, the sign
//   TrivialAugmentWide  which of 14; if it has bins, the bin; if it is signed, the sign
//   AutoAugment         which of 25 pairs; for each of the two: a uniform that its probability must exceed, the sign
//   colour jitter       the order of the four, then brightness, contrast, saturation, hue; those of width 0 are left out
//   erase               whether; then ten tries at a uniform area and a log-uniform ratio (height / width); the first box that is
//                       smaller than the image on both sides counts: top, left. Without one, or when it is empty, nothing is
//                       erased. (apple/ml-dr blanks the whole image where no box is found.)
Photometric draw_photometric(RandomStream& stream, const PhotometricOptions& options, int64_t height, int64_t width);

// The magnitude of one bin, before the sign: torch.linspace in float32, widened. height and width count for RandAugment's
// translations. 0 for operations without bins.
enum class MagnitudeTable : int { kRandAugment, kTrivialAugmentWide };  // AutoAugment: kRandAugment with 10 bins
double table_magnitude(MagnitudeTable table, PixelOpKind kind, int64_t bin, int64_t num_bins, int64_t height, int64_t width);
bool is_signed(PixelOpKind kind);  // negated with probability 1/2: ShearX to Sharpness

// A pair of an AutoAugment policy. bin: of 10, or -1 where the operation has none.
struct PolicyStep {
  PixelOpKind kind;
  double probability;
  int bin;
};
inline constexpr size_t kNumPolicyPairs = 25;
// [25][2]; kImageNet, kCifar10 or kSvhn.
const std::array<std::array<PolicyStep, 2>, kNumPolicyPairs>& auto_augment_pairs(AutoAugment policy);

// ---- applying ----------------------------------------------------------------------------------------------------------

// Refuses a record that cannot be applied: Error(kInput) that begins with `name`. What draw_photometric() returns always passes.
void validate(const Photometric& photometric, std::string_view name);

// Applies the operations, not the erasing, in place. An image of another size than the one drawn for is translated by
// magnitude * its side / the recorded side; at the recorded size the result is exactly what was drawn. `scratch` is grown to the
// image's size where an operation needs it, and kept by the caller between images.
void apply_ops(const Photometric& photometric, const PixelOpSettings& settings, const PixelShape& shape, uint8_t* image, std::vector<uint8_t>& scratch);

// The box to erase in an image of this size, by scaled_box(). Erase
//   before normalisation with black (dataset reinforcement)    pixel_ops::erase() on the u8 image with {0, 0, 0}
//   after normalisation with 0 (torchvision, timm)             zero_box() on the finished floats
// The second is the channel's mean, which as a rule is no whole number of 255ths: filling u8 pixels with the rounded mean is not
// the same, so the box is kept until the floats are there.
std::optional<PixelBox> erase_box(const Photometric& photometric, int64_t height, int64_t width);

// Sets the box to zero in one finished image of f32 (element_bytes 4), bf16 or f16 (2), [C, H, W] or channels-last [H, W, C].
void zero_box(void* image, const PixelShape& shape, int64_t element_bytes, bool channels_last, const PixelBox& box);

// ---- flags -------------------------------------------------------------------------------------------------------------

// --auto-augment as torchvision's references spell it. Another name than these is Error(kUsage).
std::vector<std::string> auto_augment_names();  // none ra ta_wide imagenet cifar10 svhn
AutoAugment parse_auto_augment(std::string_view text);
std::string_view auto_augment_name(AutoAugment policy);

// --color-jitter B,C,S,H. One number stands for B = C = S and no hue, three leave out the hue (as timm reads them). Error(kUsage).
ColorJitter parse_color_jitter(std::string_view text);

}  // namespace fettle
