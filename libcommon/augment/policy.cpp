#include "augment/policy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

using enum PixelOpKind;

constexpr std::string_view kOpNames[kNumPixelOps] = {"Identity", "ShearX",   "ShearY",    "TranslateX", "TranslateY", "Rotate",       "Brightness", "Color",
                                                     "Contrast", "Sharpness", "Posterize", "Solarize",   "AutoContrast", "Equalize", "Invert",     "Hue"};
constexpr int64_t kNumDrawnOps = 14;  // RandAugment and TrivialAugment choose among the first fourteen

constexpr std::string_view kPolicyNames[] = {"none", "ra", "ta_wide", "imagenet", "cifar10", "svhn"};

// ---- AutoAugment: Cubuk et al., "AutoAugment: Learning Augmentation Strategies from Data", CVPR 2019 ---------------------

using Pairs = std::array<std::array<PolicyStep, 2>, kNumPolicyPairs>;

constexpr Pairs kImageNetPairs = {{
    {{{kPosterize, 0.4, 8}, {kRotate, 0.6, 9}}},
    {{{kSolarize, 0.6, 5}, {kAutoContrast, 0.6, -1}}},
    {{{kEqualize, 0.8, -1}, {kEqualize, 0.6, -1}}},
    {{{kPosterize, 0.6, 7}, {kPosterize, 0.6, 6}}},
    {{{kEqualize, 0.4, -1}, {kSolarize, 0.2, 4}}},
    {{{kEqualize, 0.4, -1}, {kRotate, 0.8, 8}}},
    {{{kSolarize, 0.6, 3}, {kEqualize, 0.6, -1}}},
    {{{kPosterize, 0.8, 5}, {kEqualize, 1, -1}}},
    {{{kRotate, 0.2, 3}, {kSolarize, 0.6, 8}}},
    {{{kEqualize, 0.6, -1}, {kPosterize, 0.4, 6}}},
    {{{kRotate, 0.8, 8}, {kColor, 0.4, 0}}},
    {{{kRotate, 0.4, 9}, {kEqualize, 0.6, -1}}},
    {{{kEqualize, 0, -1}, {kEqualize, 0.8, -1}}},
    {{{kInvert, 0.6, -1}, {kEqualize, 1, -1}}},
    {{{kColor, 0.6, 4}, {kContrast, 1, 8}}},
    {{{kRotate, 0.8, 8}, {kColor, 1, 2}}},
    {{{kColor, 0.8, 8}, {kSolarize, 0.8, 7}}},
    {{{kSharpness, 0.4, 7}, {kInvert, 0.6, -1}}},
    {{{kShearX, 0.6, 5}, {kEqualize, 1, -1}}},
    {{{kColor, 0.4, 0}, {kEqualize, 0.6, -1}}},
    {{{kEqualize, 0.4, -1}, {kSolarize, 0.2, 4}}},
    {{{kSolarize, 0.6, 5}, {kAutoContrast, 0.6, -1}}},
    {{{kInvert, 0.6, -1}, {kEqualize, 1, -1}}},
    {{{kColor, 0.6, 4}, {kContrast, 1, 8}}},
    {{{kEqualize, 0.8, -1}, {kEqualize, 0.6, -1}}},
}};
constexpr Pairs kCifar10Pairs = {{
    {{{kInvert, 0.1, -1}, {kContrast, 0.2, 6}}},
    {{{kRotate, 0.7, 2}, {kTranslateX, 0.3, 9}}},
    {{{kSharpness, 0.8, 1}, {kSharpness, 0.9, 3}}},
    {{{kShearY, 0.5, 8}, {kTranslateY, 0.7, 9}}},
    {{{kAutoContrast, 0.5, -1}, {kEqualize, 0.9, -1}}},
    {{{kShearY, 0.2, 7}, {kPosterize, 0.3, 7}}},
    {{{kColor, 0.4, 3}, {kBrightness, 0.6, 7}}},
    {{{kSharpness, 0.3, 9}, {kBrightness, 0.7, 9}}},
    {{{kEqualize, 0.6, -1}, {kEqualize, 0.5, -1}}},
    {{{kContrast, 0.6, 7}, {kSharpness, 0.6, 5}}},
    {{{kColor, 0.7, 7}, {kTranslateX, 0.5, 8}}},
    {{{kEqualize, 0.3, -1}, {kAutoContrast, 0.4, -1}}},
    {{{kTranslateY, 0.4, 3}, {kSharpness, 0.2, 6}}},
    {{{kBrightness, 0.9, 6}, {kColor, 0.2, 8}}},
    {{{kSolarize, 0.5, 2}, {kInvert, 0, -1}}},
    {{{kEqualize, 0.2, -1}, {kAutoContrast, 0.6, -1}}},
    {{{kEqualize, 0.2, -1}, {kEqualize, 0.6, -1}}},
    {{{kColor, 0.9, 9}, {kEqualize, 0.6, -1}}},
    {{{kAutoContrast, 0.8, -1}, {kSolarize, 0.2, 8}}},
    {{{kBrightness, 0.1, 3}, {kColor, 0.7, 0}}},
    {{{kSolarize, 0.4, 5}, {kAutoContrast, 0.9, -1}}},
    {{{kTranslateY, 0.9, 9}, {kTranslateY, 0.7, 9}}},
    {{{kAutoContrast, 0.9, -1}, {kSolarize, 0.8, 3}}},
    {{{kEqualize, 0.8, -1}, {kInvert, 0.1, -1}}},
    {{{kTranslateY, 0.7, 9}, {kAutoContrast, 0.9, -1}}},
}};
constexpr Pairs kSvhnPairs = {{
    {{{kShearX, 0.9, 4}, {kInvert, 0.2, -1}}},
    {{{kShearY, 0.9, 8}, {kInvert, 0.7, -1}}},
    {{{kEqualize, 0.6, -1}, {kSolarize, 0.6, 6}}},
    {{{kInvert, 0.9, -1}, {kEqualize, 0.6, -1}}},
    {{{kEqualize, 0.6, -1}, {kRotate, 0.9, 3}}},
    {{{kShearX, 0.9, 4}, {kAutoContrast, 0.8, -1}}},
    {{{kShearY, 0.9, 8}, {kInvert, 0.4, -1}}},
    {{{kShearY, 0.9, 5}, {kSolarize, 0.2, 6}}},
    {{{kInvert, 0.9, -1}, {kAutoContrast, 0.8, -1}}},
    {{{kEqualize, 0.6, -1}, {kRotate, 0.9, 3}}},
    {{{kShearX, 0.9, 4}, {kSolarize, 0.3, 3}}},
    {{{kShearY, 0.8, 8}, {kInvert, 0.7, -1}}},
    {{{kEqualize, 0.9, -1}, {kTranslateY, 0.6, 6}}},
    {{{kInvert, 0.9, -1}, {kEqualize, 0.6, -1}}},
    {{{kContrast, 0.3, 3}, {kRotate, 0.8, 4}}},
    {{{kInvert, 0.8, -1}, {kTranslateY, 0, 2}}},
    {{{kShearY, 0.7, 6}, {kSolarize, 0.4, 8}}},
    {{{kInvert, 0.6, -1}, {kRotate, 0.8, 4}}},
    {{{kShearY, 0.3, 7}, {kTranslateX, 0.9, 3}}},
    {{{kShearX, 0.1, 6}, {kInvert, 0.6, -1}}},
    {{{kSolarize, 0.7, 2}, {kTranslateY, 0.6, 7}}},
    {{{kShearY, 0.8, 4}, {kInvert, 0.8, -1}}},
    {{{kShearX, 0.7, 9}, {kTranslateY, 0.8, 3}}},
    {{{kShearY, 0.8, 5}, {kAutoContrast, 0.7, -1}}},
    {{{kShearX, 0.7, 2}, {kInvert, 0.1, -1}}},
}};

// ---- magnitudes ----------------------------------------------------------------------------------------------------------

// torch.linspace(start, end, count)[index] in float32: from both ends towards the middle, each with one rounding, as PyTorch's
// kernel for CPUs with fused multiply-add gives it.
double linspace(double start, double end, int64_t count, int64_t index) {
  const auto first = static_cast<float>(start), last = static_cast<float>(end);
  const float step = (last - first) / static_cast<float>(count - 1);
  if (index < count / 2) return std::fma(step, static_cast<float>(index), first);
  return std::fma(-step, static_cast<float>(count - index - 1), last);
}

bool has_bins(PixelOpKind kind) { return kind != kIdentity && kind < kAutoContrast; }

constexpr size_t kMaxOps = 64;

// What magnitudes may be.
struct Bounds {
  double low, high;
};
Bounds magnitude_bounds(PixelOpKind kind) {
  switch (kind) {
    case kPosterize: return {1, 8};
    case kSolarize: return {0, 256};
    case kHue: return {-0.5, 0.5};
    case kShearX:
    case kShearY: return {-1e3, 1e3};
    case kTranslateX:
    case kTranslateY: return {-static_cast<double>(kMaxImageSide), static_cast<double>(kMaxImageSide)};
    default: return {-1e6, 1e6};
  }
}

// ---- drawing -------------------------------------------------------------------------------------------------------------

double with_sign(RandomStream& stream, PixelOpKind kind, double magnitude) { return is_signed(kind) && stream.below(2) == 1 ? -magnitude : magnitude; }

void draw_rand_augment(RandomStream& stream, const PhotometricOptions& options, Photometric& drawn) {
  for (int64_t i = 0; i < options.num_ops; ++i) {
    const auto kind = static_cast<PixelOpKind>(stream.below(kNumDrawnOps));
    const double magnitude = table_magnitude(MagnitudeTable::kRandAugment, kind, options.magnitude, options.num_bins, drawn.height, drawn.width);
    drawn.ops.push_back({kind, with_sign(stream, kind, magnitude)});
  }
}

void draw_trivial_augment(RandomStream& stream, const PhotometricOptions& options, Photometric& drawn) {
  const auto kind = static_cast<PixelOpKind>(stream.below(kNumDrawnOps));
  const int64_t bin = has_bins(kind) ? stream.below(options.num_bins) : 0;
  const double magnitude = table_magnitude(MagnitudeTable::kTrivialAugmentWide, kind, bin, options.num_bins, drawn.height, drawn.width);
  drawn.ops.push_back({kind, with_sign(stream, kind, magnitude)});
}

void draw_auto_augment(RandomStream& stream, AutoAugment policy, Photometric& drawn) {
  const Pairs& pairs = auto_augment_pairs(policy);
  for (const PolicyStep& step : pairs[static_cast<size_t>(stream.below(kNumPolicyPairs))]) {
    const bool applies = stream.bernoulli(step.probability);
    const bool negative = stream.below(2) == 1;
    if (!applies) continue;
    const double magnitude = step.bin < 0 ? 0.0 : table_magnitude(MagnitudeTable::kRandAugment, step.kind, step.bin, 10, drawn.height, drawn.width);
    drawn.ops.push_back({step.kind, negative && is_signed(step.kind) ? -magnitude : magnitude});
  }
}

void draw_jitter(RandomStream& stream, const ColorJitter& jitter, Photometric& drawn) {
  if (jitter == ColorJitter{}) return;
  const PixelOpKind kinds[4] = {kBrightness, kContrast, kColor, kHue};
  const double widths[4] = {jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue};
  std::vector<size_t> order(4);
  std::iota(order.begin(), order.end(), size_t{0});
  stream.shuffle(order);
  double magnitudes[4] = {};
  for (size_t i = 0; i < 4; ++i) {
    if (widths[i] > 0) magnitudes[i] = stream.uniform(std::max(-widths[i], kinds[i] == kHue ? -0.5 : -1.0), widths[i]);
  }
  for (const size_t i : order) {
    if (widths[i] > 0) drawn.ops.push_back({kinds[i], magnitudes[i]});
  }
}

std::optional<PixelBox> draw_erase(RandomStream& stream, const RandomErase& options, int64_t height, int64_t width) {
  if (options.probability <= 0 || !stream.bernoulli(options.probability)) return std::nullopt;
  const auto area = static_cast<double>(height) * static_cast<double>(width);
  const double log_min = std::log(options.ratio_min), log_max = std::log(options.ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * stream.uniform(options.area_min, options.area_max);
    const double ratio = std::exp(stream.uniform(log_min, log_max));
    const int64_t h = std::llrint(std::sqrt(target * ratio)), w = std::llrint(std::sqrt(target / ratio));  // half to even
    if (h >= height || w >= width) continue;
    const int64_t top = stream.below(height - h + 1), left = stream.below(width - w + 1);
    if (h == 0 || w == 0) return std::nullopt;
    return PixelBox{top, left, h, w};
  }
  return std::nullopt;
}

// ---- applying ------------------------------------------------------------------------------------------------------------

// Whether the result may overwrite the image while it is read.
bool is_pointwise(PixelOpKind kind) { return !((kind >= kShearX && kind <= kRotate) || kind == kSharpness); }

void apply_op(const PixelOp& op, const PixelOpSettings& settings, const PixelShape& shape, const uint8_t* in, uint8_t* out) {
  const auto degrees_of = [](double tangent) { return std::atan(tangent) * (180.0 / std::numbers::pi); };
  const auto affine = [&](const pixel_ops::AffineParameters& parameters) {
    pixel_ops::affine(in, shape, parameters, settings.interpolation, settings.fill, out);
  };
  const double m = op.magnitude;
  switch (op.kind) {
    case kIdentity: return;
    case kShearX: return affine({.shear_x_degrees = degrees_of(m)});
    case kShearY: return affine({.shear_y_degrees = degrees_of(m)});
    case kTranslateX: return affine({.translate_x = std::trunc(m)});
    case kTranslateY: return affine({.translate_y = std::trunc(m)});
    case kRotate: return pixel_ops::rotate(in, shape, m, settings.interpolation, settings.fill, out);
    case kBrightness: return pixel_ops::brightness(in, shape, 1.0 + m, out);
    case kColor: return pixel_ops::saturation(in, shape, 1.0 + m, out);
    case kContrast: return pixel_ops::contrast(in, shape, 1.0 + m, out);
    case kSharpness: return pixel_ops::sharpness(in, shape, 1.0 + m, out);
    case kPosterize: return pixel_ops::posterize(in, shape, static_cast<int64_t>(m), out);
    case kSolarize: return pixel_ops::solarize(in, shape, m, out);
    case kAutoContrast: return pixel_ops::autocontrast(in, shape, out);
    case kEqualize: return pixel_ops::equalize(in, shape, out);
    case kInvert: return pixel_ops::invert(in, shape, out);
    case kHue: return pixel_ops::hue(in, shape, m, out);
  }
}

}  // namespace

std::string_view pixel_op_name(PixelOpKind kind) { return kOpNames[static_cast<size_t>(kind)]; }

std::string pipeline_id(const PixelOpSettings& settings) {
  return fmt::format("pillow/{}/fill={},{},{}", interpolation_name(settings.interpolation), settings.fill[0], settings.fill[1], settings.fill[2]);
}

void validate(const PhotometricOptions& o) {
  FT_REQUIRE_USAGE(o.num_ops >= 0 && o.num_ops <= static_cast<int64_t>(kMaxOps) / 2, "RandAugment of {} operations, expected 0 to {}", o.num_ops, kMaxOps / 2);
  FT_REQUIRE_USAGE(o.num_bins >= 2, "{} magnitude bins, expected at least 2", o.num_bins);
  FT_REQUIRE_USAGE(o.magnitude >= 0 && o.magnitude < o.num_bins, "RandAugment's magnitude is {}, expected a bin from 0 to {}", o.magnitude, o.num_bins - 1);
  const auto share = [](double value) { return value >= 0 && value <= 1; };
  FT_REQUIRE_USAGE(share(o.erase.probability), "random erasing has probability {}, expected 0 to 1", o.erase.probability);
  FT_REQUIRE_USAGE(share(o.erase.area_min) && share(o.erase.area_max) && o.erase.area_min <= o.erase.area_max,
                   "random erasing has areas from {} to {} of the image, expected a range within 0 to 1", o.erase.area_min, o.erase.area_max);
  FT_REQUIRE_USAGE(o.erase.ratio_min > 0 && o.erase.ratio_min <= o.erase.ratio_max && std::isfinite(o.erase.ratio_max),
                   "random erasing has ratios from {} to {}, expected a range above 0", o.erase.ratio_min, o.erase.ratio_max);
  for (const double width : {o.jitter.brightness, o.jitter.contrast, o.jitter.saturation}) {
    FT_REQUIRE_USAGE(width >= 0 && width <= 1e6, "colour jitter of {}, expected a number from 0", width);
  }
  FT_REQUIRE_USAGE(o.jitter.hue >= 0 && o.jitter.hue <= 0.5, "colour jitter's hue is {}, expected 0 to 0.5", o.jitter.hue);
}

Photometric draw_photometric(RandomStream& stream, const PhotometricOptions& options, int64_t height, int64_t width) {
  FT_CHECK(height >= 1 && width >= 1 && height <= kMaxImageSide && width <= kMaxImageSide, "image of {} x {}", height, width);
  Photometric drawn{height, width, {}, std::nullopt};
  switch (options.policy) {
    case AutoAugment::kNone: break;
    case AutoAugment::kRandAugment: draw_rand_augment(stream, options, drawn); break;
    case AutoAugment::kTrivialAugmentWide: draw_trivial_augment(stream, options, drawn); break;
    case AutoAugment::kImageNet:
    case AutoAugment::kCifar10:
    case AutoAugment::kSvhn: draw_auto_augment(stream, options.policy, drawn); break;
  }
  draw_jitter(stream, options.jitter, drawn);
  drawn.erase = draw_erase(stream, options.erase, height, width);
  return drawn;
}

double table_magnitude(MagnitudeTable table, PixelOpKind kind, int64_t bin, int64_t num_bins, int64_t height, int64_t width) {
  FT_CHECK(num_bins >= 2 && bin >= 0 && bin < num_bins, "bin {} of {}", bin, num_bins);
  const bool wide = table == MagnitudeTable::kTrivialAugmentWide;
  const auto up_to = [&](double end) { return linspace(0, end, num_bins, bin); };
  switch (kind) {
    case kShearX:
    case kShearY: return up_to(wide ? 0.99 : 0.3);
    case kTranslateX: return up_to(wide ? 32.0 : 150.0 / 331.0 * static_cast<double>(width));
    case kTranslateY: return up_to(wide ? 32.0 : 150.0 / 331.0 * static_cast<double>(height));
    case kRotate: return up_to(wide ? 135.0 : 30.0);
    case kBrightness:
    case kColor:
    case kContrast:
    case kSharpness: return up_to(wide ? 0.99 : 0.9);
    case kPosterize: {
      // Bits taken away: the bins in 4 or 6 equal parts, rounded half to even.
      const auto part = static_cast<float>(static_cast<double>(num_bins - 1) / (wide ? 6 : 4));
      return 8 - std::nearbyint(static_cast<float>(bin) / part);
    }
    case kSolarize: return linspace(255, 0, num_bins, bin);
    default: return 0;
  }
}

bool is_signed(PixelOpKind kind) { return kind >= kShearX && kind <= kSharpness; }

const Pairs& auto_augment_pairs(AutoAugment policy) {
  switch (policy) {
    case AutoAugment::kImageNet: return kImageNetPairs;
    case AutoAugment::kCifar10: return kCifar10Pairs;
    case AutoAugment::kSvhn: return kSvhnPairs;
    default: FT_CHECK(false, "policy {}", static_cast<int>(policy));
  }
  return kImageNetPairs;
}

void validate(const Photometric& p, std::string_view name) {
  FT_REQUIRE(p.height >= 1 && p.width >= 1 && p.height <= kMaxImageSide && p.width <= kMaxImageSide, "{} is of an image of {} x {}, expected sides from 1 to {}", name,
             p.height, p.width, kMaxImageSide);
  FT_REQUIRE(p.ops.size() <= kMaxOps, "{} has {} operations, expected at most {}", name, p.ops.size(), kMaxOps);
  for (const PixelOp& op : p.ops) {
    const int id = static_cast<int>(op.kind);
    FT_REQUIRE(id >= 0 && id < kNumPixelOps, "{} has operation {}, expected 0 to {}", name, id, kNumPixelOps - 1);
    const Bounds bounds = magnitude_bounds(op.kind);
    FT_REQUIRE(op.magnitude >= bounds.low && op.magnitude <= bounds.high, "{} has {} of magnitude {}, expected {} to {}", name, pixel_op_name(op.kind),
               op.magnitude, bounds.low, bounds.high);
  }
  if (!p.erase) return;
  const PixelBox& e = *p.erase;
  FT_REQUIRE(e.top >= 0 && e.left >= 0 && e.height >= 1 && e.width >= 1 && e.height <= p.height && e.width <= p.width && e.top <= p.height - e.height &&
                 e.left <= p.width - e.width,
             "{} erases {} x {} at row {}, column {} of an image of {} x {}", name, e.height, e.width, e.top, e.left, p.height, p.width);
}

void apply_ops(const Photometric& photometric, const PixelOpSettings& settings, const PixelShape& shape, uint8_t* image, std::vector<uint8_t>& scratch) {
  const auto bytes = static_cast<size_t>(shape.values());
  uint8_t* current = image;
  for (PixelOp op : photometric.ops) {
    if (op.kind == kIdentity) continue;
    if (op.kind == kTranslateX && shape.width != photometric.width) {
      op.magnitude *= static_cast<double>(shape.width) / static_cast<double>(photometric.width);
    } else if (op.kind == kTranslateY && shape.height != photometric.height) {
      op.magnitude *= static_cast<double>(shape.height) / static_cast<double>(photometric.height);
    }
    uint8_t* target = current;
    if (!is_pointwise(op.kind)) {
      if (scratch.size() < bytes) scratch.resize(bytes);
      target = current == image ? scratch.data() : image;
    }
    apply_op(op, settings, shape, current, target);
    current = target;
  }
  if (current != image) std::memcpy(image, current, bytes);
}

std::optional<PixelBox> erase_box(const Photometric& p, int64_t height, int64_t width) {
  if (!p.erase) return std::nullopt;
  return scaled_box(*p.erase, p.height, p.width, height, width);
}

void zero_box(void* image, const PixelShape& shape, int64_t element_bytes, bool channels_last, const PixelBox& box) {
  FT_CHECK(element_bytes == 4 || element_bytes == 2, "elements of {} bytes", element_bytes);
  FT_CHECK(box.top >= 0 && box.left >= 0 && box.height >= 0 && box.width >= 0 && box.top + box.height <= shape.height && box.left + box.width <= shape.width,
           "box {} {} {} {} in {} x {}", box.top, box.left, box.height, box.width, shape.height, shape.width);
  const int64_t planes = channels_last ? 1 : shape.channels, step = (channels_last ? shape.channels : 1) * element_bytes;
  for (int64_t plane = 0; plane < planes; ++plane) {
    uint8_t* const origin = static_cast<uint8_t*>(image) + plane * shape.height * shape.width * step;
    for (int64_t y = box.top; y < box.top + box.height; ++y) {
      std::memset(origin + (y * shape.width + box.left) * step, 0, static_cast<size_t>(box.width * step));
    }
  }
}

std::vector<std::string> auto_augment_names() { return {std::begin(kPolicyNames), std::end(kPolicyNames)}; }

AutoAugment parse_auto_augment(std::string_view text) {
  for (size_t i = 0; i < std::size(kPolicyNames); ++i) {
    if (text == kPolicyNames[i]) return static_cast<AutoAugment>(i);
  }
  FT_FAIL(ExitCode::kUsage, "--auto-augment '{}' is not known, expected one of: {}", text, join(auto_augment_names(), ", "));
}

std::string_view auto_augment_name(AutoAugment policy) { return kPolicyNames[static_cast<size_t>(policy)]; }

ColorJitter parse_color_jitter(std::string_view text) {
  std::vector<double> numbers;
  for (const std::string& part : split(text, ',')) {
    double number = 0;
    FT_REQUIRE_USAGE(parse_number(part, number) && number >= 0, "--color-jitter '{}': '{}' is no number from 0", text, part);
    numbers.push_back(number);
  }
  FT_REQUIRE_USAGE(numbers.size() == 1 || numbers.size() == 3 || numbers.size() == 4,
                   "--color-jitter '{}' has {} numbers, expected brightness,contrast,saturation,hue, the first three, or one for these three", text,
                   numbers.size());
  if (numbers.size() == 1) numbers = {numbers[0], numbers[0], numbers[0]};
  numbers.resize(4);
  FT_REQUIRE_USAGE(numbers[3] <= 0.5, "--color-jitter '{}': the hue is {}, expected 0 to 0.5", text, numbers[3]);
  return {numbers[0], numbers[1], numbers[2], numbers[3]};
}

}  // namespace fettle
