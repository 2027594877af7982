#include "augment/policy.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <thread>

#include "tests/libcommon/augment/pattern.h"
#include "tests/support/expect_error.h"

using namespace fettle;
using namespace fettle::test;
using Pixels = std::vector<uint8_t>;
using enum PixelOpKind;

namespace {

PhotometricOptions everything(AutoAugment policy) {
  PhotometricOptions options;
  options.policy = policy;
  options.jitter = {0.4, 0.3, 0.2, 0.1};
  options.erase.probability = 0.5;
  return options;
}

Photometric draw(const PhotometricOptions& options, int64_t index, int64_t height = 224, int64_t width = 192) {
  RandomStream stream(11, "photometric", 2, index);
  return draw_photometric(stream, options, height, width);
}

Pixels applied(const Photometric& photometric, const PixelShape& shape, const PixelOpSettings& settings = {}) {
  Pixels image = pattern(shape);
  std::vector<uint8_t> scratch;
  apply_ops(photometric, settings, shape, image.data(), scratch);
  return image;
}

Photometric of(const PixelShape& shape, std::vector<PixelOp> ops) { return {shape.height, shape.width, std::move(ops), std::nullopt}; }

constexpr AutoAugment kPolicies[] = {AutoAugment::kRandAugment, AutoAugment::kTrivialAugmentWide, AutoAugment::kImageNet, AutoAugment::kCifar10, AutoAugment::kSvhn};

}  // namespace

TEST_CASE("policy: operations keep their recorded numbers and names") {
  const std::vector<std::string> names = {"Identity", "ShearX",   "ShearY",    "TranslateX", "TranslateY", "Rotate",       "Brightness", "Color",
                                          "Contrast", "Sharpness", "Posterize", "Solarize",   "AutoContrast", "Equalize", "Invert",     "Hue"};
  REQUIRE(names.size() == kNumPixelOps);
  for (size_t i = 0; i < names.size(); ++i) CHECK(pixel_op_name(static_cast<PixelOpKind>(i)) == names[i]);
}

TEST_CASE("policy: magnitudes are those of float32 tables") {
  // float(torchvision.transforms.RandAugment()._augmentation_space(31, (160, 192))[op][0][bin]), and so on.
  const auto ra = [](PixelOpKind kind, int64_t bin) { return table_magnitude(MagnitudeTable::kRandAugment, kind, bin, 31, 160, 192); };
  const auto ta = [](PixelOpKind kind, int64_t bin) { return table_magnitude(MagnitudeTable::kTrivialAugmentWide, kind, bin, 31, 160, 192); };
  CHECK(ra(kShearX, 9) == 0.09000000357627869);
  CHECK(ra(kBrightness, 9) == 0.26999998092651367);
  CHECK(ra(kBrightness, 20) == 0.5999999642372131);  // a product and a difference with one rounding; two roundings give 0.6000000238418579
  CHECK(ra(kSolarize, 9) == 178.5);
  CHECK(ra(kRotate, 30) == 30);
  CHECK(std::abs(ra(kTranslateX, 9) - 192 * 150.0 / 331 * 0.3) < 1e-5);
  CHECK(std::abs(ra(kTranslateY, 9) - 160 * 150.0 / 331 * 0.3) < 1e-5);
  CHECK(ta(kTranslateX, 30) == 32);
  CHECK(ta(kTranslateY, 15) == 15.999999046325684);  // so 15 pixels when truncated, in torchvision as well
  CHECK(ta(kRotate, 22) == 99);
  // Bits: 8 less the bin in quarters or sixths, half to even.
  const std::vector<double> quarters = {8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4, 4};
  for (int64_t bin = 0; bin < 31; ++bin) {
    CHECK(ra(kPosterize, bin) == quarters[static_cast<size_t>(bin)]);
    for (const PixelOpKind kind : {kIdentity, kAutoContrast, kEqualize, kInvert, kHue}) CHECK(ra(kind, bin) == 0);
  }
  CHECK(ta(kPosterize, 30) == 2);
  CHECK(table_magnitude(MagnitudeTable::kTrivialAugmentWide, kPosterize, 1, 13, 1, 1) == 8);  // 8 - 0.5
  CHECK(table_magnitude(MagnitudeTable::kTrivialAugmentWide, kPosterize, 3, 13, 1, 1) == 6);  // 8 - 1.5
  for (int i = 0; i < kNumPixelOps; ++i) CHECK(is_signed(static_cast<PixelOpKind>(i)) == (i >= 1 && i <= 9));
}

TEST_CASE("policy: the same stream draws the same, on any thread and in any order") {
  for (const AutoAugment policy : kPolicies) {
    const PhotometricOptions options = everything(policy);
    std::vector<Photometric> forward, backward(64);
    for (int64_t i = 0; i < 64; ++i) forward.push_back(draw(options, i));
    std::thread([&] {
      for (int64_t i = 63; i >= 0; --i) backward[static_cast<size_t>(i)] = draw(options, i);
    }).join();
    CHECK(forward == backward);
    CHECK(std::adjacent_find(forward.begin(), forward.end()) == forward.end());
    for (const Photometric& drawn : forward) {
      validate(drawn, "what was drawn");
      CHECK((drawn.height == 224 && drawn.width == 192));
    }
  }
}

TEST_CASE("policy: RandAugment draws its operations evenly, at its bin, half of the signed ones negative") {
  PhotometricOptions options;
  options.policy = AutoAugment::kRandAugment;
  options.num_ops = 3;
  options.magnitude = 12;
  std::map<int, int> counts;
  int negative = 0, with_sign = 0;
  constexpr int kDraws = 7000;
  for (int64_t i = 0; i < kDraws; ++i) {
    const Photometric drawn = draw(options, i);
    REQUIRE(drawn.ops.size() == 3);
    CHECK(!drawn.erase);
    for (const PixelOp& op : drawn.ops) {
      ++counts[static_cast<int>(op.kind)];
      CHECK(std::abs(op.magnitude) == table_magnitude(MagnitudeTable::kRandAugment, op.kind, 12, 31, 224, 192));
      if (is_signed(op.kind)) ++with_sign, negative += op.magnitude < 0 ? 1 : 0;
    }
  }
  REQUIRE(counts.size() == 14);
  CHECK(counts.rbegin()->first == 13);
  // 1500 each: five standard deviations of a binomial count are 187.
  for (const auto& [kind, count] : counts) CHECK(std::abs(count - 1500) < 187);
  CHECK(std::abs(negative - with_sign / 2.0) < 2.5 * std::sqrt(with_sign));
}

TEST_CASE("policy: TrivialAugment draws one operation and its bin evenly") {
  PhotometricOptions options;
  options.policy = AutoAugment::kTrivialAugmentWide;
  std::map<double, int> rotations;
  std::map<int, int> kinds;
  int drawn_rotations = 0;
  for (int64_t i = 0; i < 28000; ++i) {
    const Photometric drawn = draw(options, i);
    REQUIRE(drawn.ops.size() == 1);
    ++kinds[static_cast<int>(drawn.ops[0].kind)];
    if (drawn.ops[0].kind == kRotate) ++rotations[std::abs(drawn.ops[0].magnitude)], ++drawn_rotations;
  }
  REQUIRE(kinds.size() == 14);
  CHECK(kinds.rbegin()->first == 13);
  for (const auto& [kind, count] : kinds) CHECK(std::abs(count - 2000) < 5 * 43);
  REQUIRE(rotations.size() == 31);
  CHECK(rotations.begin()->first == 0);
  CHECK(rotations.rbegin()->first == 135);
  for (const auto& [degrees, count] : rotations) CHECK(std::abs(count - drawn_rotations / 31.0) < 5 * 8.1);
}

TEST_CASE("policy: AutoAugment draws a pair, each operation with its probability") {
  // Of ImageNet's 25 pairs, (Invert 0.6, Equalize 1.0) is there twice: Invert first only in it, second in (Sharpness 0.4, Invert 0.6).
  int inverts = 0, after_sharpness = 0, lone_invert = 0;
  double mean_ops = 0, expected_ops = 0;
  for (const auto& pair : auto_augment_pairs(AutoAugment::kImageNet)) expected_ops += (pair[0].probability + pair[1].probability) / 25;
  constexpr int kDraws = 20000;
  PhotometricOptions options;
  options.policy = AutoAugment::kImageNet;
  for (int64_t i = 0; i < kDraws; ++i) {
    const Photometric drawn = draw(options, i);
    mean_ops += static_cast<double>(drawn.ops.size()) / kDraws;
    for (size_t j = 0; j < drawn.ops.size(); ++j) {
      if (drawn.ops[j].kind != kInvert) continue;
      ++inverts;
      after_sharpness += j == 1 && drawn.ops[0].kind == kSharpness ? 1 : 0;
      lone_invert += drawn.ops.size() == 1 ? 1 : 0;
    }
    for (const PixelOp& op : drawn.ops) {
      // Posterize's bin 8 of 10 is 4 bits; its magnitudes have no sign.
      if (op.kind == kPosterize) CHECK((op.magnitude >= 4 && op.magnitude <= 8));
      if (op.kind == kShearX) CHECK(std::abs(op.magnitude) == table_magnitude(MagnitudeTable::kRandAugment, kShearX, 5, 10, 224, 192));
    }
  }
  const auto near = [](int count, double probability) { return std::abs(count - kDraws * probability) < 5 * std::sqrt(kDraws * probability); };
  CHECK(std::abs(mean_ops - expected_ops) < 0.025);
  CHECK(near(inverts, 0.6 * 3 / 25));
  CHECK(near(after_sharpness, 0.4 * 0.6 / 25));
  CHECK(near(lone_invert, 0.6 * 0.6 / 25));
}

TEST_CASE("policy: colour jitter draws within its widths, in any order, and leaves out what has none") {
  PhotometricOptions options;
  options.jitter = {0.4, 1.5, 0, 0.1};
  std::map<std::vector<int>, int> orders;
  double brightness = 0, contrast = 0, hue = 0;
  constexpr int kDraws = 6000;
  bool within = true;
  for (int64_t i = 0; i < kDraws; ++i) {
    const Photometric drawn = draw(options, i);
    REQUIRE(drawn.ops.size() == 3);
    std::vector<int> order;
    for (const PixelOp& op : drawn.ops) {
      order.push_back(static_cast<int>(op.kind));
      const double m = op.magnitude;
      if (op.kind == kBrightness) brightness += m, within = within && std::abs(m) <= 0.4;
      if (op.kind == kContrast) contrast += m, within = within && m >= -1 && m <= 1.5;  // a factor is never negative
      if (op.kind == kHue) hue += m, within = within && std::abs(m) <= 0.1;
    }
    ++orders[order];
  }
  CHECK(within);
  REQUIRE(orders.size() == 6);
  for (const auto& [order, count] : orders) CHECK(std::abs(count - 1000) < 5 * 29);
  CHECK(std::abs(brightness / kDraws) < 5 * 0.231 / std::sqrt(kDraws));
  CHECK(std::abs(contrast / kDraws - 0.25) < 5 * 0.722 / std::sqrt(kDraws));
  CHECK(std::abs(hue / kDraws) < 5 * 0.058 / std::sqrt(kDraws));
  CHECK(draw({}, 0).ops.empty());
}

TEST_CASE("policy: random erasing draws boxes of the share and the ratio asked for") {
  PhotometricOptions options;
  options.erase.probability = 0.25;
  constexpr int kDraws = 20000;
  int erased = 0;
  double area = 0, log_ratio = 0, top = 0;
  bool allowed = true;
  for (int64_t i = 0; i < kDraws; ++i) {
    const Photometric drawn = draw(options, i, 200, 200);
    if (!drawn.erase) continue;
    const PixelBox& box = *drawn.erase;
    ++erased;
    const double share = static_cast<double>(box.height * box.width) / 40000, ratio = static_cast<double>(box.height) / static_cast<double>(box.width);
    allowed = allowed && box.top >= 0 && box.left >= 0 && box.top + box.height <= 200 && box.left + box.width <= 200 && box.height < 200 && box.width < 200 &&
              share > 0.019 && share < 0.335 && ratio > 0.29 && ratio < 3.4;
    area += share, log_ratio += std::log(ratio);
    top += static_cast<double>(box.top) - static_cast<double>(200 - box.height) / 2;
  }
  CHECK(allowed);
  CHECK(std::abs(erased - kDraws * 0.25) < 5 * 61);
  // Areas that do not fit at an extreme ratio are redrawn, which lowers the mean of 0.175 a little.
  CHECK(std::abs(area / erased - 0.175) < 0.008);
  CHECK(std::abs(log_ratio / erased - std::log(0.3 * 3.3) / 2) < 0.05);
  CHECK(std::abs(top / erased) < 4);
}

TEST_CASE("policy: a box is tried ten times") {
  // A try with area a fits when |log ratio| < -log a: 0.09 of them for a in 0.8..1, a little less in whole pixels; 0.6 of ten.
  PhotometricOptions options;
  options.erase = {.probability = 1, .area_min = 0.8, .area_max = 1};
  int erased = 0;
  for (int64_t i = 0; i < 4000; ++i) erased += draw(options, i, 200, 200).erase ? 1 : 0;
  CHECK(std::abs(erased / 4000.0 - 0.6) < 0.05);
}

TEST_CASE("policy: where no box fits nothing is erased") {
  PhotometricOptions options;
  options.erase.probability = 1;
  options.erase.area_min = options.erase.area_max = 1;  // never smaller than the image on both sides
  for (int64_t i = 0; i < 50; ++i) CHECK(!draw(options, i, 31, 17).erase);
  // In one pixel the only box smaller than the image is empty.
  options.erase = {.probability = 1};
  for (int64_t i = 0; i < 50; ++i) CHECK(!draw(options, i, 1, 1).erase);
  CHECK(draw(options, 0, 64, 64).erase);
}

TEST_CASE("policy: a record applied again gives the same pixels, whatever the scratch held") {
  const PixelShape shape{57, 43, 3};
  for (const AutoAugment policy : kPolicies) {
    const PhotometricOptions options = everything(policy);
    for (int64_t i = 0; i < 40; ++i) {
      const Photometric drawn = draw(options, i, shape.height, shape.width);
      const PixelOpSettings settings{Interpolation::kBilinear, {1, 2, 3}};
      Pixels image = pattern(shape);
      std::vector<uint8_t> scratch(1 + static_cast<size_t>(i) * 500, 0xEE);
      apply_ops(drawn, settings, shape, image.data(), scratch);
      CHECK(image == applied(drawn, shape, settings));
    }
  }
}

TEST_CASE("policy: operations follow each other in their order") {
  const PixelShape shape{13, 21, 3};
  using namespace pixel_ops;
  // Out of place, in place, out of place: the result must end in the image after any number of them.
  const std::vector<PixelOp> ops = {{kRotate, 40}, {kInvert, 0}, {kSharpness, 0.5}, {kPosterize, 3}, {kShearX, -0.3}, {kIdentity, 0}};
  Pixels expected = pattern(shape), other(expected.size());
  for (size_t count = 0; count <= ops.size(); ++count) {
    CAPTURE(count);
    CHECK(applied(of(shape, {ops.begin(), ops.begin() + static_cast<std::ptrdiff_t>(count)}), shape) == expected);
    if (count == 0) rotate(expected.data(), shape, 40, Interpolation::kNearest, {}, other.data());
    if (count == 1) invert(expected.data(), shape, other.data());
    if (count == 2) sharpness(expected.data(), shape, 1.5, other.data());
    if (count == 3) posterize(expected.data(), shape, 3, other.data());
    if (count == 4) affine(expected.data(), shape, {.shear_x_degrees = std::atan(-0.3) * 180 / 3.14159265358979323846}, Interpolation::kNearest, {}, other.data());
    if (count < 5) expected = other;
  }
}

TEST_CASE("policy: each kind does what its magnitude says") {
  const PixelShape shape{9, 14, 3};
  const Pixels in = pattern(shape);
  using namespace pixel_ops;
  const auto check = [&](PixelOp op, const auto& direct) {
    CAPTURE(pixel_op_name(op.kind));
    Pixels expected(in.size());
    direct(in.data(), expected.data());
    CHECK(applied(of(shape, {op}), shape) == expected);
  };
  check({kBrightness, -0.3}, [&](const uint8_t* i, uint8_t* o) { brightness(i, shape, 1.0 - 0.3, o); });
  check({kColor, 0.4}, [&](const uint8_t* i, uint8_t* o) { saturation(i, shape, 1.0 + 0.4, o); });
  check({kContrast, 0.4}, [&](const uint8_t* i, uint8_t* o) { contrast(i, shape, 1.0 + 0.4, o); });
  check({kSolarize, 100.5}, [&](const uint8_t* i, uint8_t* o) { solarize(i, shape, 100.5, o); });
  check({kAutoContrast, 0}, [&](const uint8_t* i, uint8_t* o) { autocontrast(i, shape, o); });
  check({kEqualize, 0}, [&](const uint8_t* i, uint8_t* o) { equalize(i, shape, o); });
  check({kHue, -0.2}, [&](const uint8_t* i, uint8_t* o) { hue(i, shape, -0.2, o); });
  check({kTranslateX, -3.9}, [&](const uint8_t* i, uint8_t* o) { affine(i, shape, {.translate_x = -3}, Interpolation::kNearest, {}, o); });
  check({kTranslateY, 2.9}, [&](const uint8_t* i, uint8_t* o) { affine(i, shape, {.translate_y = 2}, Interpolation::kNearest, {}, o); });
  check({kShearY, 1}, [&](const uint8_t* i, uint8_t* o) { affine(i, shape, {.shear_y_degrees = 45}, Interpolation::kNearest, {}, o); });
}

TEST_CASE("policy: recorded translations and boxes scale with the image") {
  const Photometric record{40, 60, {{kTranslateX, 10.5}, {kTranslateY, -7.2}}, PixelBox{10, 15, 20, 31}};
  const auto shifted = [](const PixelShape& shape, double dx, double dy) { return applied(of(shape, {{kTranslateX, dx}, {kTranslateY, dy}}), shape); };
  CHECK(applied(record, {40, 60, 3}) == shifted({40, 60, 3}, 10, -7));
  CHECK(applied(record, {80, 120, 3}) == shifted({80, 120, 3}, 21, -14));  // 21.0, 14.4
  CHECK(applied(record, {20, 60, 1}) == shifted({20, 60, 1}, 10, -3));     // the width as recorded, half of the height
  CHECK(erase_box(record, 40, 60) == PixelBox{10, 15, 20, 31});
  CHECK(erase_box(record, 80, 120) == PixelBox{20, 30, 40, 62});
  CHECK(erase_box(record, 20, 30) == PixelBox{5, 8, 10, 15});  // columns 7.5..23
  CHECK(!erase_box({40, 60, {}, std::nullopt}, 20, 30));
  // The box stays inside at any size.
  for (int64_t height = 1; height < 90; ++height) {
    const PixelBox box = *erase_box({40, 60, {}, PixelBox{17, 1, 23, 59}}, height, 2 * height);
    CHECK((box.top >= 0 && box.left >= 0 && box.height >= 0 && box.width >= 0 && box.top + box.height == height && box.left + box.width == 2 * height));
  }
}

TEST_CASE("policy: zero_box clears its box in planes and in pixels, of 4 and of 2 bytes") {
  const PixelShape shape{4, 6, 3};
  const PixelBox box{1, 2, 2, 3};
  for (const int64_t element : {4, 2}) {
    for (const bool channels_last : {false, true}) {
      std::vector<uint8_t> image(static_cast<size_t>(shape.values() * element), 0x55);
      zero_box(image.data(), shape, element, channels_last, box);
      for (int64_t y = 0; y < 4; ++y) {
        for (int64_t x = 0; x < 6; ++x) {
          for (int64_t c = 0; c < 3; ++c) {
            const int64_t at = channels_last ? (y * 6 + x) * 3 + c : (c * 4 + y) * 6 + x;
            const bool inside = y >= 1 && y < 3 && x >= 2 && x < 5;
            for (int64_t byte = 0; byte < element; ++byte) CHECK(image[static_cast<size_t>(at * element + byte)] == (inside ? 0 : 0x55));
          }
        }
      }
    }
  }
  std::vector<float> floats(72);
  expect_error(ExitCode::kBug, "box 3 0 2 1 in 4 x 6", [&] { zero_box(floats.data(), shape, 4, true, {3, 0, 2, 1}); });
}

TEST_CASE("policy: the pipeline's id says how operations are carried out") {
  CHECK(pipeline_id({}) == "pillow/nearest/fill=0,0,0");
  CHECK(pipeline_id({Interpolation::kBicubic, {1, 22, 255}}) == "pillow/bicubic/fill=1,22,255");
}

TEST_CASE("policy: options out of range are refused by name") {
  const auto refused = [](const std::string& part, auto change) {
    PhotometricOptions options = everything(AutoAugment::kRandAugment);
    validate(options);
    change(options);
    expect_error(ExitCode::kUsage, part, [&] { validate(options); });
  };
  refused("magnitude is 31, expected a bin from 0 to 30", [](auto& o) { o.magnitude = 31; });
  refused("magnitude is -1", [](auto& o) { o.magnitude = -1; });
  refused("1 magnitude bins", [](auto& o) { o.num_bins = 1; });
  refused("RandAugment of 99 operations", [](auto& o) { o.num_ops = 99; });
  refused("probability 1.5", [](auto& o) { o.erase.probability = 1.5; });
  refused("probability nan", [](auto& o) { o.erase.probability = std::nan(""); });
  refused("areas from 0.5 to 0.33", [](auto& o) { o.erase.area_min = 0.5; });
  refused("ratios from 0 to 3.3", [](auto& o) { o.erase.ratio_min = 0; });
  refused("colour jitter of -0.1", [](auto& o) { o.jitter.contrast = -0.1; });
  refused("hue is 0.6", [](auto& o) { o.jitter.hue = 0.6; });
}

TEST_CASE("policy: records that cannot be applied are refused by name") {
  const auto refused = [](const std::string& part, auto change) {
    Photometric record{40, 60, {{kRotate, 30}, {kPosterize, 4}}, PixelBox{1, 2, 3, 4}};
    validate(record, "sample 7");
    change(record);
    expect_error(ExitCode::kInput, part, [&] { validate(record, "sample 7"); });
  };
  refused("sample 7 has operation 16, expected 0 to 15", [](auto& r) { r.ops[0].kind = static_cast<PixelOpKind>(16); });
  refused("sample 7 has operation -1", [](auto& r) { r.ops[0].kind = static_cast<PixelOpKind>(-1); });
  refused("Rotate of magnitude nan", [](auto& r) { r.ops[0].magnitude = std::nan(""); });
  refused("Rotate of magnitude inf", [](auto& r) { r.ops[0].magnitude = HUGE_VAL; });
  refused("Posterize of magnitude 9", [](auto& r) { r.ops[1].magnitude = 9; });
  refused("Posterize of magnitude 0", [](auto& r) { r.ops[1].magnitude = 0; });
  refused("Hue of magnitude 0.51", [](auto& r) { r.ops[1] = {kHue, 0.51}; });
  refused("65 operations", [](auto& r) { r.ops.resize(65); });
  refused("an image of 0 x 60", [](auto& r) { r.height = 0; });
  refused("erases 40 x 4 at row 1", [](auto& r) { r.erase->height = 40; });
  refused("erases 3 x 4 at row 1, column -1", [](auto& r) { r.erase->left = -1; });
  refused("erases 9223372036854775807 x 4", [](auto& r) { r.erase->height = INT64_MAX; });
}

TEST_CASE("policy: magnitudes at the bounds of a record can be applied") {
  for (const PixelShape& shape : kAwkwardShapes) {
    for (int kind = 0; kind < kNumPixelOps; ++kind) {
      for (const double magnitude : {-1e6, -1e3, -0.5, 0.0, 0.5, 1.0, 8.0, 256.0, 1e3, 1e6, 1.6e7}) {
        const Photometric record = of(shape, {{static_cast<PixelOpKind>(kind), magnitude}});
        try {
          validate(record, "record");
        } catch (const Error&) {
          continue;
        }
        for (const Interpolation interpolation : {Interpolation::kNearest, Interpolation::kBicubic}) {
          CAPTURE(kind, magnitude, shape.height, shape.width, shape.channels);
          CHECK(applied(record, shape, {interpolation, {}}).size() == static_cast<size_t>(shape.values()));
        }
      }
    }
  }
}

TEST_CASE("policy: values of flags") {
  CHECK(parse_auto_augment("none") == AutoAugment::kNone);
  CHECK(parse_auto_augment("ra") == AutoAugment::kRandAugment);
  CHECK(parse_auto_augment("ta_wide") == AutoAugment::kTrivialAugmentWide);
  CHECK(parse_auto_augment("imagenet") == AutoAugment::kImageNet);
  for (const AutoAugment policy : kPolicies) CHECK(parse_auto_augment(auto_augment_name(policy)) == policy);
  for (const std::string& name : auto_augment_names()) CHECK(auto_augment_name(parse_auto_augment(name)) == name);
  CHECK(auto_augment_names().size() == 6);
  expect_error(ExitCode::kUsage, "--auto-augment 'augmix' is not known, expected one of: none, ra, ta_wide, imagenet", [] { parse_auto_augment("augmix"); });
  CHECK(parse_color_jitter("0.4,0.3,0.2,0.1") == ColorJitter{0.4, 0.3, 0.2, 0.1});
  CHECK(parse_color_jitter("0.4,0.3,0.2") == ColorJitter{0.4, 0.3, 0.2, 0});
  CHECK(parse_color_jitter("0.4") == ColorJitter{0.4, 0.4, 0.4, 0});
  expect_error(ExitCode::kUsage, "'x' is no number", [] { parse_color_jitter("0.4,x,0.2"); });
  expect_error(ExitCode::kUsage, "'-0.4' is no number from 0", [] { parse_color_jitter("-0.4"); });
  expect_error(ExitCode::kUsage, "'inf' is no number", [] { parse_color_jitter("inf"); });
  expect_error(ExitCode::kUsage, "'' is no number", [] { parse_color_jitter("0.4,,0.1"); });
  expect_error(ExitCode::kUsage, "has 2 numbers", [] { parse_color_jitter("0.4,0.4"); });
  expect_error(ExitCode::kUsage, "has 0 numbers", [] { parse_color_jitter(""); });
  expect_error(ExitCode::kUsage, "the hue is 0.6", [] { parse_color_jitter("0.4,0.4,0.4,0.6"); });
}
