// Golden kinds of resizing, cropping and flipping, in Pillow's form.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "augment/geometry.h"
#include "data/aligned_buffer.h"
#include "kernels/resize/resize.h"
#include "tests/golden/pictures.h"

namespace fettle::golden {

namespace {

using nlohmann::json;

Picture resized(const Picture& in, const Geometry& crop, int64_t height, int64_t width, kernels::ResizeFilter filter) {
  Picture out = blank({height, width, in.shape.channels});
  kernels::ResizeArgs args;
  args.in = in.pixels.data() + (crop.top * in.shape.width + crop.left) * in.shape.channels;
  args.in_height = crop.height;
  args.in_width = crop.width;
  args.in_stride = in.shape.width * in.shape.channels;
  args.channels = static_cast<int>(in.shape.channels);
  args.height = static_cast<double>(crop.height);
  args.width = static_cast<double>(crop.width);
  args.out = out.pixels.data();
  args.out_height = height;
  args.out_width = width;
  args.filter = filter;
  args.order = kernels::resize_order(crop.height, crop.width, height, width);
  AlignedBuffer workspace;
  args.workspace = workspace.reserve(kernels::resize_workspace_bytes(args));
  REQUIRE(kernels::resize(args) == kernels::Status::kOk);
  return out;
}

Picture mirrored(const Picture& in) {
  Picture out = in;
  const int64_t channels = in.shape.channels, width = in.shape.width;
  for (int64_t i = 0; i < in.shape.height * width; ++i) {
    const int64_t from = i / width * width + (width - 1 - i % width);
    std::copy_n(in.pixels.begin() + from * channels, channels, out.pixels.begin() + i * channels);
  }
  return out;
}

Geometry box_of(const json& box) { return {box.at(0), box.at(1), box.at(2), box.at(3), false}; }

std::optional<kernels::ResizeFilter> filter_of(const json& op) {
  const std::string filter = op.value("filter", "bilinear");
  if (!op.value("antialias", true) || op.contains("input")) return std::nullopt;  // neither aliased nor on floats
  if (filter == "bilinear") return kernels::ResizeFilter::kBilinear;
  return filter == "bicubic" ? std::optional(kernels::ResizeFilter::kBicubic) : std::nullopt;
}

std::optional<Picture> result_of(const json& op, const Picture& in) {
  const std::string name = op.at("name");
  const Geometry whole{0, 0, in.shape.height, in.shape.width, false};
  const std::optional<kernels::ResizeFilter> filter = filter_of(op);
  if (name == "hflip") return mirrored(in);
  if (name == "crop") {
    const Geometry box = box_of(op.at("top_left_height_width"));
    return resized(in, box, box.height, box.width, kernels::ResizeFilter::kBilinear);
  }
  if (!op.contains("size") || !filter || name.starts_with("center_crop")) return std::nullopt;
  if (name.starts_with("resized_crop")) return resized(in, box_of(op.at("top_left_height_width")), op["size"].at(0), op["size"].at(1), *filter);
  if (op["size"].is_array()) return resized(in, whole, op["size"].at(0), op["size"].at(1), *filter);
  const int64_t shorter = op["size"];
  const int64_t height = std::max(shorter, shorter * in.shape.height / in.shape.width), width = std::max(shorter, shorter * in.shape.width / in.shape.height);
  return resized(in, whole, height, width, *filter);
}

void run_geometry(const Case& test) {
  const Picture image = read_picture(test, "image");
  std::vector<std::string> unchecked;
  for (const json& op : test.json.at("ops")) {
    INFO("operation " << op.dump());
    if (const std::optional<Picture> found = result_of(op, image)) {
      check_operation(test, op, *found);
    } else {
      unchecked.push_back(op.at("name"));
    }
  }
  report_unchecked(test, unchecked);
}

// ---- RandomResizedCrop ---------------------------------------------------------------------------------------------------

double quantile(const std::vector<double>& sorted, double q) { return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1))]; }

void check_distribution(const json& row) {
  const int64_t height = row.at("image_hw").at(0), width = row.at("image_hw").at(1);
  const CropOptions options{row.at("scale").at(0), row.at("scale").at(1), row.at("ratio").at(0), row.at("ratio").at(1), 0};
  const int64_t draws = row.at("draws");
  std::map<std::string, std::vector<double>> columns;
  for (int64_t i = 0; i < draws; ++i) {
    RandomStream stream(11, "golden", 0, i);
    const Geometry box = draw_geometry(stream, height, width, options);
    columns["area_share"].push_back(static_cast<double>(box.height * box.width) / static_cast<double>(height * width));
    columns["aspect_w_over_h"].push_back(static_cast<double>(box.width) / static_cast<double>(box.height));
    // 0 where there is no room.
    columns["top_share"].push_back(static_cast<double>(box.top) / static_cast<double>(std::max<int64_t>(1, height - box.height)));
    columns["left_share"].push_back(static_cast<double>(box.left) / static_cast<double>(std::max<int64_t>(1, width - box.width)));
  }
  for (auto& [name, values] : columns) {
    if (!row.at("columns").contains(name)) continue;
    const json& expected = row["columns"][name];
    INFO(name << " of " << height << " x " << width);
    double sum = 0;
    for (const double value : values) sum += value;
    const double mean = sum / static_cast<double>(values.size());
    // Five standard errors of the difference between two samples.
    const double tolerance = 5 * expected.at("std").get<double>() * std::sqrt(2.0 / static_cast<double>(values.size()));
    CAPTURE(mean, expected.at("mean").get<double>(), tolerance);
    CHECK(std::abs(mean - expected.at("mean").get<double>()) <= tolerance);
    if (name == "area_share" || name == "aspect_w_over_h") {
      std::sort(values.begin(), values.end());
      for (const auto& [q, value] : expected.at("quantiles").items()) {
        CAPTURE(q);
        CHECK(std::abs(quantile(values, std::stod(q)) - value.get<double>()) <= 0.01);
      }
    }
  }
}

void run_random_resized_crop(const Case& test) {
  for (const json& row : test.json.at("worked_sizes")) {
    INFO(row.dump());
    const int64_t height = row.at("image_hw").at(0), width = row.at("image_hw").at(1);
    const auto [h, w] = box_sides(height, width, row.at("area_share"), row.at("aspect"));
    CHECK(h == row.at("height").get<int64_t>());
    CHECK(w == row.at("width").get<int64_t>());
    CHECK((h >= 1 && w >= 1 && h <= height && w <= width) == row.at("accepted").get<bool>());
  }
  for (const json& row : test.json.at("fallback_when_no_draw_fits")) {
    INFO(row.dump());
    // A share beyond the image never fits.
    RandomStream stream(1, "golden");
    const Geometry box = draw_geometry(stream, row.at("image_hw").at(0), row.at("image_hw").at(1), {.scale_min = 4, .scale_max = 4, .flip_probability = 0});
    const Geometry expected = box_of(row.at("top_left_height_width"));
    CHECK(std::array{box.top, box.left, box.height, box.width} == std::array{expected.top, expected.left, expected.height, expected.width});
  }
  for (const json& row : test.json.at("distribution")) check_distribution(row);
}

}  // namespace

std::vector<Kind> image_geometry_kinds() {
  return {{"vision/image_crop_flip", run_geometry}, {"vision/image_resize", run_geometry}, {"vision/random_resized_crop", run_random_resized_crop}};
}

}  // namespace fettle::golden
