#include "data/augment.h"

#include <catch2/catch.hpp>

#include <cmath>

using namespace fettle;

TEST_CASE("augment: boxes lie inside the image, with the area and the ratio that were asked for") {
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

TEST_CASE("augment: an image too thin for the ratios gives its largest central box") {
  const CropOptions options{0.9, 1.0, 3.0 / 4, 4.0 / 3, 0};
  RandomStream wide(1, "geometry"), tall(1, "geometry");
  const Geometry a = draw_geometry(wide, 30, 300, options);
  CHECK((a.top == 0 && a.left == 130 && a.height == 30 && a.width == 40 && !a.flip));
  const Geometry b = draw_geometry(tall, 300, 30, options);
  CHECK((b.top == 130 && b.left == 0 && b.height == 40 && b.width == 30 && !b.flip));
}
