#include "data/augment.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

using namespace fettle;

namespace {

std::vector<uint8_t> pattern(int64_t height, int64_t width, int64_t channels) {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) pixels.push_back(static_cast<uint8_t>(y * y * 37 + x * 91 + c * 53 + x * y * 11));
    }
  }
  return pixels;
}

std::vector<uint8_t> resized(Resizer& resizer, int64_t height, int64_t width, int64_t channels, const Geometry& box, int64_t to_height, int64_t to_width) {
  const std::vector<uint8_t> source = pattern(height, width, channels);
  std::vector<uint8_t> target(static_cast<size_t>(to_height * to_width * channels), 0xAA);
  resizer.resize(source.data(), width, channels, box, to_height, to_width, target.data());
  return target;
}

}  // namespace

TEST_CASE("augment: resizing gives Pillow's pixels") {
  // Image.crop(box).resize(size, BILINEAR) of Pillow 13.0.0; one resizer for all, so that tables kept for one size must not
  // serve another.
  Resizer resizer;
  for (int repeat = 0; repeat < 2; ++repeat) {
    CHECK(resized(resizer, 7, 9, 1, whole_image(7, 9), 4, 5) ==
          std::vector<uint8_t>{72, 140, 119, 113, 157, 100, 141, 137, 122, 107, 131, 146, 155, 118, 87, 119, 115, 137, 120, 87});
    CHECK(resized(resizer, 7, 9, 1, {1, 2, 5, 6, false}, 6, 11) ==
          std::vector<uint8_t>{241, 192, 108, 129, 184, 112, 40,  95,  151, 207, 239, 149, 164, 189, 161, 117, 137, 156, 112, 93,  153, 188,
                               89,  127, 193, 153, 78,  132, 186, 111, 71,  137, 174, 79,  120, 191, 156, 86,  145, 204, 134, 85,  97,  104,
                               119, 142, 183, 170, 140, 176, 207, 143, 86,  57,  40,  193, 158, 98,  143, 222, 174, 114, 54,  29,  109, 155});
    CHECK(resized(resizer, 5, 6, 3, {0, 1, 4, 4, false}, 3, 2) ==
          std::vector<uint8_t>{136, 156, 133, 102, 144, 138, 131, 111, 164, 154, 133, 131, 126, 168, 119, 129, 150, 125});
    CHECK(resized(resizer, 40, 40, 1, {2, 3, 37, 34, false}, 3, 2) == std::vector<uint8_t>{127, 125, 129, 128, 129, 130});
  }
}

TEST_CASE("augment: the same size is a copy, one pixel fills what it is asked to") {
  Resizer resizer;
  CHECK(resized(resizer, 6, 5, 3, whole_image(6, 5), 6, 5) == pattern(6, 5, 3));
  const std::vector<uint8_t> box = resized(resizer, 6, 5, 1, {2, 1, 3, 2, false}, 3, 2);
  const std::vector<uint8_t> source = pattern(6, 5, 1);
  for (size_t y = 0; y < 3; ++y) {
    for (size_t x = 0; x < 2; ++x) CHECK(box[y * 2 + x] == source[(y + 2) * 5 + x + 1]);
  }
  const std::vector<uint8_t> spread = resized(resizer, 6, 5, 1, {4, 3, 1, 1, false}, 7, 3);
  CHECK(std::all_of(spread.begin(), spread.end(), [&](uint8_t value) { return value == source[4 * 5 + 3]; }));
}

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
