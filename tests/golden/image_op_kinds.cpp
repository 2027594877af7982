// Golden kinds of pixel operations and augmentation policies. Where a case has both forms of torchvision, `<op>.pil` (Pillow) and
// `<op>` (tensors), Pillow's is the one that must be met.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "augment/affine.h"
#include "augment/pixel_ops.h"
#include "augment/policy.h"
#include "base/errors.h"
#include "tests/golden/golden.h"
#include "tests/golden/pictures.h"
#include "tests/support/temp_dir.h"

namespace fettle::golden {
namespace {

using nlohmann::json;

PixelColor color_from(const json& op) {
  PixelColor color{};
  if (!op.contains("fill") || op["fill"].is_string()) return color;  // "default (0)"
  for (size_t c = 0; c < 3; ++c) color[c] = op["fill"].at(c);
  return color;
}

// The input that an operation names.
Picture input_of(const Case& test, const json& op) {
  const std::string input = op.value("input", "image");
  if (input.starts_with("all values ")) {
    Picture flat = read_picture(test, "image");
    int value = 0;
    std::from_chars(input.data() + 11, input.data() + input.size(), value);
    std::fill(flat.pixels.begin(), flat.pixels.end(), static_cast<uint8_t>(value));
    return flat;
  }
  return read_picture(test, input == "dull" ? "dull" : "image");
}

Picture apply_policy_op(const Picture& in, const PixelOp& op, const PixelOpSettings& settings) {
  Picture out = in;
  std::vector<uint8_t> scratch;
  const Photometric record{in.shape.height, in.shape.width, {op}, std::nullopt};
  validate(record, "the case's operation");
  apply_ops(record, settings, in.shape, out.pixels.data(), scratch);
  return out;
}

std::optional<PixelOpKind> kind_named(std::string_view name) {
  for (int kind = 0; kind < kNumPixelOps; ++kind) {
    if (pixel_op_name(static_cast<PixelOpKind>(kind)) == name) return static_cast<PixelOpKind>(kind);
  }
  return std::nullopt;
}

// What the operation gives on `in`; nothing for one that is not known here.
std::optional<Picture> result_of(const json& op, const Picture& in) {
  const std::string name = op.at("name");
  const auto is = [&](std::string_view prefix) { return name.starts_with(prefix); };
  const uint8_t* const source = in.pixels.data();
  Picture out = blank(in.shape);
  uint8_t* const target = out.pixels.data();
  using namespace pixel_ops;
  if (op.contains("op")) {
    const std::optional<PixelOpKind> kind = kind_named(op["op"].get<std::string>());
    if (!kind) return std::nullopt;
    // These cases hold Solarize's threshold as a share of the largest value.
    const double magnitude = op.at("magnitude").get<double>() * (*kind == PixelOpKind::kSolarize ? 255 : 1);
    return apply_policy_op(in, {*kind, magnitude}, {parse_interpolation(op.at("filter").get<std::string>()), color_from(op)});
  }
  if (is("brightness")) {
    brightness(source, in.shape, op.at("factor"), target);
  } else if (is("contrast")) {
    contrast(source, in.shape, op.at("factor"), target);
  } else if (is("saturation")) {
    saturation(source, in.shape, op.at("factor"), target);
  } else if (is("sharpness")) {
    sharpness(source, in.shape, op.at("factor"), target);
  } else if (is("hue")) {
    hue(source, in.shape, op.at("factor"), target);
  } else if (is("posterize")) {
    posterize(source, in.shape, op.at("bits"), target);
  } else if (is("solarize")) {
    solarize(source, in.shape, op.at("threshold"), target);
  } else if (is("autocontrast")) {
    autocontrast(source, in.shape, target);
  } else if (is("equalize")) {
    equalize(source, in.shape, target);
  } else if (is("invert")) {
    invert(source, in.shape, target);
  } else if (is("gaussian_blur")) {
    gaussian_blur(source, in.shape, op.at("kernel"), op.at("sigma"), target);
  } else if (is("grayscale")) {
    out = blank({in.shape.height, in.shape.width, op.at("channels")});
    grayscale(source, in.shape, out.shape.channels, out.pixels.data());
  } else if (is("erase")) {
    out = in;
    const json& box = op.at("row_col_height_width");
    erase(out.pixels.data(), in.shape, {box.at(0), box.at(1), box.at(2), box.at(3)}, {});
  } else {
    const Interpolation interpolation = parse_interpolation(op.value("filter", "bilinear"));
    const PixelColor fill = color_from(op);
    if (op.contains("angle_degrees_counter_clockwise")) {
      const double degrees = op["angle_degrees_counter_clockwise"];
      if (!op.value("expand", false)) {
        rotate(source, in.shape, degrees, interpolation, fill, target);
      } else {
        out = blank(expanded_shape(in.shape, degrees));
        rotate_expanded(source, in.shape, degrees, interpolation, fill, out.pixels.data());
      }
    } else if (op.contains("shear_degrees") || op.contains("translate_xy")) {
      AffineParameters p{.angle_degrees = op.value("angle", 0.0), .scale = op.value("scale", 1.0)};
      p.center_x = static_cast<double>(in.shape.width) * 0.5;
      p.center_y = static_cast<double>(in.shape.height) * 0.5;
      if (op.contains("translate_xy")) p.translate_x = op["translate_xy"].at(0), p.translate_y = op["translate_xy"].at(1);
      if (op.contains("shear_degrees")) p.shear_x_degrees = op["shear_degrees"].at(0), p.shear_y_degrees = op["shear_degrees"].at(1);
      if (op.contains("center")) p.center_x = op["center"].at(0), p.center_y = op["center"].at(1);
      affine(source, in.shape, p, interpolation, fill, target);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

// [C, H, W] floats of (pixel / 255 - mean) / std after the box is erased with black, as dataset reinforcement does.
void check_erased_and_normalised(const Case& test, const json& op) {
  Picture picture = read_picture(test, "image");
  const json& box = op.at("row_col_height_width");
  pixel_ops::erase(picture.pixels.data(), picture.shape, {box.at(0), box.at(1), box.at(2), box.at(3)}, {});
  const json& reference = [&]() -> const json& {
    for (const json& other : test.json.at("ops")) {
      if (other.contains("mean")) return other;
    }
    throw Skip{"no operation states mean and deviation"};
  }();
  const std::vector<double> expected = read_doubles(test, op.at("name").get<std::string>());
  const int64_t plane = picture.shape.height * picture.shape.width;
  double largest = 0;
  for (int64_t c = 0; c < picture.shape.channels; ++c) {
    const double mean = reference.at("mean").at(static_cast<size_t>(c)), deviation = reference.at("std").at(static_cast<size_t>(c));
    for (int64_t i = 0; i < plane; ++i) {
      const double found = (picture.pixels[static_cast<size_t>(i * picture.shape.channels + c)] / 255.0 - mean) / deviation;
      largest = std::max(largest, std::abs(found - expected.at(static_cast<size_t>(c * plane + i))));
    }
  }
  CHECK(largest <= op.at("tolerance").at("atol").get<double>());
}

void run_operations(const Case& test) {
  std::vector<std::string> unchecked;
  for (const json& op : test.json.at("ops")) {
    const std::string name = op.at("name");
    INFO("operation " << op.dump());
    if (op.value("input", "").starts_with("image / 255")) {
      if (op.contains("row_col_height_width")) {
        check_erased_and_normalised(test, op);
      } else {
        unchecked.push_back(name);
      }
      continue;
    }
    const std::optional<Picture> found = result_of(op, input_of(test, op));
    if (!found) {
      unchecked.push_back(name);
      continue;
    }
    check_operation(test, op, *found);
  }
  report_unchecked(test, unchecked);
}

// ---- tables --------------------------------------------------------------------------------------------------------------

// "randaugment_160x192" -> {160, 192}; what follows the sizes is left alone.
std::pair<int64_t, int64_t> size_in(std::string_view name) {
  const size_t cross = name.find('x', name.find_first_of("0123456789"));
  const size_t begin = name.find_last_not_of("0123456789", cross - 1) + 1;
  int64_t height = 0, width = 0;
  std::from_chars(name.data() + begin, name.data() + cross, height);
  std::from_chars(name.data() + cross + 1, name.data() + name.size(), width);
  FT_REQUIRE(height > 0 && width > 0, "table '{}' names no size", name);
  return {height, width};
}

void check_magnitudes(const std::string& name, const json& table, MagnitudeTable kind, double tolerance) {
  const auto [height, width] = size_in(name);
  for (const auto& [op_name, entry] : table.items()) {
    INFO(op_name);
    const std::optional<PixelOpKind> op = kind_named(op_name);
    REQUIRE(op.has_value());
    CHECK(is_signed(*op) == entry.at("signed").get<bool>());
    if (entry.at("magnitudes").is_null()) continue;
    const std::vector<double> magnitudes = entry["magnitudes"];
    const auto num_bins = static_cast<int64_t>(magnitudes.size());
    // Solarize's threshold is stored as a share of the largest value.
    const double unit = *op == PixelOpKind::kSolarize ? 255 : 1;
    for (int64_t bin = 0; bin < num_bins; ++bin) {
      const double found = table_magnitude(kind, *op, bin, num_bins, height, width) / unit;
      CAPTURE(bin, found, magnitudes[static_cast<size_t>(bin)]);
      CHECK(std::abs(found - magnitudes[static_cast<size_t>(bin)]) <= tolerance);
    }
  }
}

void check_pairs(const json& table, AutoAugment policy) {
  const auto& pairs = auto_augment_pairs(policy);
  REQUIRE(table.size() == pairs.size());
  for (size_t i = 0; i < pairs.size(); ++i) {
    for (size_t j = 0; j < 2; ++j) {
      INFO("pair " << i << ": " << table[i].dump());
      const PolicyStep& step = pairs[i][j];
      CHECK(pixel_op_name(step.kind) == table[i].at(j).at(0).get<std::string>());
      CHECK(step.probability == table[i][j].at(1).get<double>());
      CHECK(step.bin == (table[i][j].at(2).is_null() ? -1 : table[i][j][2].get<int>()));
    }
  }
}

void run_policy_tables(const Case& test) {
  const double tolerance = test.json.at("tolerance").at("atol");
  const json tables = json::parse(test::read_text(test.directory / "tables.json"));
  for (const auto& [name, table] : tables.items()) {
    INFO("table " << name);
    if (name.starts_with("randaugment_") || name.starts_with("autoaugment_magnitudes_")) {
      check_magnitudes(name, table, MagnitudeTable::kRandAugment, tolerance);
    } else if (name.starts_with("trivialaugment_wide_")) {
      check_magnitudes(name, table, MagnitudeTable::kTrivialAugmentWide, tolerance);
    } else if (name.starts_with("autoaugment_")) {
      check_pairs(table, parse_auto_augment(name.substr(12)));
    } else {
      throw Skip{fmt::format("table {} is not known", name)};
    }
  }
}

// ---- reinforce/randaugment_ops -------------------------------------------------------------------------------------------

void run_randaugment_ops(const Case& test) {
  const json& expected = test.json.at("expected");
  const double tolerance = test.json.at("tolerance").at("magnitude");
  const std::vector<std::string> names = expected.at("operations");
  for (size_t i = 0; i < names.size(); ++i) CHECK(pixel_op_name(static_cast<PixelOpKind>(i)) == names[i]);

  const Picture image = read_picture(test, "image_hwc", true);
  for (const auto& [key, spaces] : expected.items()) {
    if (key == "operations") continue;
    int64_t bin = -1;
    if (!key.starts_with("bin_") || std::from_chars(key.data() + 4, key.data() + key.size(), bin).ec != std::errc()) {
      throw Skip{fmt::format("expected.{} is not known", key)};
    }
    for (const auto& [size, space] : spaces.items()) {
      INFO(key << " at " << size);
      const auto [height, width] = size_in(size);
      for (const auto& [name, entry] : space.items()) {
        INFO(name);
        const std::optional<PixelOpKind> op = kind_named(name);
        REQUIRE(op.has_value());
        const double magnitude = table_magnitude(MagnitudeTable::kRandAugment, *op, bin, 31, height, width);
        CHECK(std::abs(magnitude - entry.at(0).get<double>()) <= tolerance);
        CHECK(is_signed(*op) == entry.at(1).get<bool>());
      }
    }
    // Pillow's pixels, exactly; `tensor.*` is torchvision's other form.
    for (size_t i = 0; i < names.size(); ++i) {
      const auto op = static_cast<PixelOpKind>(i);
      const double magnitude = table_magnitude(MagnitudeTable::kRandAugment, op, bin, 31, image.shape.height, image.shape.width);
      for (const double sign : {1.0, -1.0}) {
        for (const Interpolation interpolation : {Interpolation::kNearest, Interpolation::kBilinear}) {
          const std::string prefix = interpolation == Interpolation::kNearest ? "pil." : "bilinear.pil.";
          const std::string name = prefix + names[i] + (sign > 0 ? ".plus" : ".minus");
          if (test.tensors.find(name) == nullptr) continue;
          INFO(name);
          check_picture(apply_policy_op(image, {op, sign * magnitude}, {interpolation, {}}), read_picture(test, name, true), 0, 0, 0);
        }
      }
    }
  }
}

}  // namespace

std::vector<Kind> image_op_kinds() {
  return {{"vision/image_color", run_operations},           {"vision/image_tone", run_operations},
          {"vision/image_rotate_affine", run_operations},   {"vision/image_blur_gray_erase", run_operations},
          {"vision/image_policy_ops", run_operations},      {"vision/policy_tables", run_policy_tables},
          {"reinforce/randaugment_ops", run_randaugment_ops}};
}

}  // namespace fettle::golden
