#include "augment/geometry.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

using namespace fettle;

TEST_CASE("geometry: boxes lie inside the image, with the area and the ratio that were asked for") {
  const CropOptions options{0.2, 0.8, 3.0 / 4, 4.0 / 3, 0.5};
  constexpr int kDraws = 20000;
  double area = 0, log_ratio = 0, flips = 0, top_left = 0;
  bool inside = true, allowed = true;
  for (int i = 0; i < kDraws; ++i) {
    RandomStream stream(5, "geometry", 1, i);
    const Geometry box = draw_geometry(stream, 200, 200, options);
    inside = inside && box.top >= 0 && box.left >= 0 && box.height >= 1 && box.width >= 1 && box.top + box.height <= 200 && box.left + box.width <= 200;
    const double share = static_cast<double>(box.height * box.width) / 40000, ratio = static_cast<double>(box.width) / static_cast<double>(box.height);
    // Sides are rounded to whole pixels.
    allowed = allowed && share > 0.19 && share < 0.81 && ratio > 0.74 && ratio < 1.35;
    area += share, log_ratio += std::log(ratio), flips += box.flip, top_left += static_cast<double>(box.top - box.left);
  }
  CHECK(inside);
  CHECK(allowed);
  // Means within five standard errors; areas that do not fit at an extreme ratio are redrawn, which lowers their mean a little.
  CHECK(std::abs(area / kDraws - 0.5) < 0.01);
  CHECK(std::abs(log_ratio / kDraws) < 0.006);
  CHECK(std::abs(flips / kDraws - 0.5) < 0.018);
  CHECK(std::abs(top_left / kDraws) < 2);
}

TEST_CASE("geometry: an image too thin for the ratios gives its largest central box") {
  const CropOptions options{0.9, 1.0, 3.0 / 4, 4.0 / 3, 0};
  RandomStream wide(1, "geometry"), tall(1, "geometry");
  const Geometry a = draw_geometry(wide, 30, 300, options);
  CHECK((a.top == 0 && a.left == 130 && a.height == 30 && a.width == 40 && !a.flip));
  const Geometry b = draw_geometry(tall, 300, 30, options);
  CHECK((b.top == 130 && b.left == 0 && b.height == 40 && b.width == 30 && !b.flip));
}

TEST_CASE("geometry: no crop is smaller than the smallest, which is hardly smaller than some") {
  for (const CropOptions& options : {CropOptions{}, CropOptions{0.5, 1.0, 3.0 / 4, 4.0 / 3, 0.5}, CropOptions{0.2, 0.2, 1, 1, 0}}) {
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{384, 512}, {300, 300}, {40, 400}, {500, 20}, {1, 1}}) {
      const auto [lowest, narrowest] = smallest_crop(height, width, options);
      REQUIRE((lowest >= 1 && narrowest >= 1));
      int64_t low = height, narrow = width;
      for (int i = 0; i < 5000; ++i) {
        RandomStream stream(3, "geometry", 0, i);
        const Geometry box = draw_geometry(stream, height, width, options);
        low = std::min(low, box.height), narrow = std::min(narrow, box.width);
      }
      INFO(height << " x " << width << ": " << lowest << " x " << narrowest << ", drawn " << low << " x " << narrow);
      CHECK((lowest <= low && narrowest <= narrow));
      if (height == 384 || height == 300) CHECK((static_cast<double>(low) < 1.25 * static_cast<double>(lowest) && static_cast<double>(narrow) < 1.25 * static_cast<double>(narrowest)));
    }
  }
}

TEST_CASE("geometry: sides of a box round to even, as torchvision's") {
  CHECK(box_sides(224, 224, 0.610935, 0.942286) == std::pair<int64_t, int64_t>{180, 170});
  CHECK(box_sides(97, 301, 0.465608, 1.023685) == std::pair<int64_t, int64_t>{115, 118});
  // 2.5 and 3.5 pixels.
  CHECK(box_sides(5, 5, 0.25, 1) == std::pair<int64_t, int64_t>{2, 2});
  CHECK(box_sides(7, 7, 0.25, 1) == std::pair<int64_t, int64_t>{4, 4});
}

TEST_CASE("geometry: evaluation shows the centre of the resized image") {
  // Resize(256) of 384 x 512 (width x height) gives 256 x 341; CenterCrop(224) begins at row 58 (58.5 rounds to even), column 16.
  const View photo = center_view(512, 384, 224, 224, 0.875);
  CHECK((photo.resized_height == 341 && photo.resized_width == 256));
  CHECK((photo.top == 0 && photo.left == 0 && photo.height == 512 && photo.width == 384 && !photo.flip));
  CHECK(photo.box_top == Approx(58 * 512.0 / 341));
  CHECK(photo.box_height == Approx(224 * 512.0 / 341));
  CHECK(photo.box_left == Approx(16 * 1.5));
  CHECK(photo.box_width == Approx(224 * 1.5));
  // The other way round; and a size that its share cuts: int(100 / 0.9) = 111.
  const View lying = center_view(384, 512, 100, 100, 0.9);
  CHECK(lying.box_top == Approx(6 * 384.0 / 111));
  CHECK(lying.box_left == Approx(24 * 512.0 / 148));
  CHECK(lying.box_width == Approx(100 * 512.0 / 148));
  const View whole = center_view(28, 28, 40, 40, 1);
  CHECK((whole.box_top == 0 && whole.box_left == 0 && whole.box_height == 28 && whole.box_width == 28));
  // Never beyond the image, whatever the rounding.
  bool inside = true;
  for (int64_t height = 1; height < 60; ++height) {
    for (int64_t width = 1; width < 60; ++width) {
      for (const double share : {1.0, 0.95, 0.875, 1.0 / 3}) {
        const View view = center_view(height, width, 7, 9, share);
        inside = inside && view.box_top >= 0 && view.box_left >= 0 && view.box_height > 0 && view.box_width > 0 &&
                 view.box_top + view.box_height <= static_cast<double>(height) && view.box_left + view.box_width <= static_cast<double>(width);
      }
    }
  }
  CHECK(inside);
}
