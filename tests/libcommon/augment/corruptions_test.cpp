#include "augment/corruptions.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

using namespace fettle;

namespace {

constexpr PixelShape kShape{40, 56, 3};

// (7 y + 13 x + 29 c + 5 (x y mod 11)) mod 256
std::vector<uint8_t> picture() {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < kShape.height; ++y) {
    for (int64_t x = 0; x < kShape.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) pixels.push_back(static_cast<uint8_t>((y * 7 + x * 13 + c * 29 + (y * x) % 11 * 5) % 256));
    }
  }
  return pixels;
}

Corruption named(const std::string& name) {
  const auto& names = corruption_names();
  const auto found = std::find(names.begin(), names.end(), name);
  REQUIRE(found != names.end());
  return static_cast<Corruption>(found - names.begin());
}

std::vector<uint8_t> corrupted(const std::string& name, int severity, uint64_t seed = 1) {
  std::vector<uint8_t> pixels = picture();
  RandomStream stream(seed, "test");
  corrupt(named(name), severity, stream, kShape, pixels.data());
  return pixels;
}

struct Digest {
  const char* name;
  int severity;
  int64_t sum, weighted;  // of the values, and of value * (place mod 1009 + 1), mod 1e9 + 7
};

// From numpy 2.4.6 and Pillow 13.0 by the authors' formulas (contrast, pixelate, JPEG with those libraries' own functions; blur and HSV
// written out).
constexpr Digest kExpected[] = {
    {"contrast", 1, 853431, 417198498}, {"contrast", 2, 853234, 416928800}, {"contrast", 3, 853653, 416947037},
    {"contrast", 4, 853418, 416660991}, {"contrast", 5, 853480, 416596441}, {"pixelate", 1, 859629, 421484897},
    {"pixelate", 2, 860268, 421633621}, {"pixelate", 3, 858113, 419200409}, {"pixelate", 4, 858005, 418558723},
    {"pixelate", 5, 858960, 418548157}, {"jpeg_compression", 1, 856041, 420118669}, {"jpeg_compression", 2, 855067, 419896827},
    {"jpeg_compression", 3, 858210, 421014123}, {"jpeg_compression", 4, 855234, 419833110}, {"jpeg_compression", 5, 862437, 424400900},
    {"defocus_blur", 1, 853498, 416485764}, {"defocus_blur", 2, 853723, 416079103}, {"defocus_blur", 3, 854021, 415850981},
    {"defocus_blur", 4, 865124, 421574580}, {"defocus_blur", 5, 863077, 420635877}, {"brightness", 1, 960731, 470317456},
    {"brightness", 2, 1042372, 509784699}, {"brightness", 3, 1108463, 541707196}, {"brightness", 4, 1161405, 567271899},
    {"brightness", 5, 1199254, 585557000},
};

}  // namespace

TEST_CASE("corruptions: values are those of the authors' formulas in numpy and Pillow") {
  for (const Digest& want : kExpected) {
    const std::vector<uint8_t> pixels = corrupted(want.name, want.severity);
    int64_t sum = 0, weighted = 0;
    for (size_t i = 0; i < pixels.size(); ++i) {
      sum += pixels[i];
      weighted += pixels[i] * static_cast<int64_t>(i % 1009 + 1);
    }
    INFO(want.name << ", severity " << want.severity);
    // Truncation turns a last bit of a double into one step: a few of 6,720 values where sums are made in another order.
    const bool exact = std::string(want.name) == "pixelate" || std::string(want.name) == "jpeg_compression";
    CHECK(std::abs(sum - want.sum) <= (exact ? 0 : 30));
    if (exact) CHECK(weighted % 1000000007 == want.weighted);
  }
}

TEST_CASE("corruptions: noise has the mean and the deviation that it should, and repeats with its stream") {
  const std::vector<uint8_t> clean = picture();
  for (const char* name : {"gaussian_noise", "shot_noise"}) {
    CHECK(corrupted(name, 3, 5) == corrupted(name, 3, 5));
    CHECK(corrupted(name, 3, 5) != corrupted(name, 3, 6));
  }
  // Of values that stay clear of the edges.
  const std::vector<uint8_t> noisy = corrupted("gaussian_noise", 1), shot = corrupted("shot_noise", 1);
  double mean = 0, square = 0, shot_mean = 0, shot_square = 0, n = 0;
  for (size_t i = 0; i < clean.size(); ++i) {
    if (clean[i] < 100 || clean[i] > 150) continue;
    const double difference = (noisy[i] + 0.5 - clean[i]) / 255, counted = (shot[i] + 0.5 - clean[i]) / 255;
    n += 1;
    mean += difference, square += difference * difference;
    shot_mean += counted, shot_square += counted * counted;
  }
  REQUIRE(n > 500);
  CHECK(std::abs(mean / n) < 4 * 0.08 / std::sqrt(n));
  CHECK(std::sqrt(square / n) == Approx(0.08).epsilon(0.1));
  CHECK(std::abs(shot_mean / n) < 4 * std::sqrt(0.5 / 60 / n));
  CHECK(shot_square / n == Approx(0.49 / 60).epsilon(0.15));
}

TEST_CASE("corruptions: one channel, and images smaller than the kernel") {
  for (const std::string& name : corruption_names()) {
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 2}, {9, 30}}) {
      for (const int64_t channels : {1, 3}) {
        INFO(name << " of " << height << " x " << width << " x " << channels);
        const PixelShape shape{height, width, channels};
        std::vector<uint8_t> pixels(static_cast<size_t>(shape.values()), 100);
        RandomStream stream(1, "test");
        corrupt(named(name), 5, stream, shape, pixels.data());
        // A constant picture stays one, but for noise.
        if (name.find("noise") == std::string::npos) CHECK(std::all_of(pixels.begin(), pixels.end(), [&](uint8_t v) { return std::abs(v - pixels[0]) <= 3; }));
        if (name == "brightness") CHECK(std::abs(pixels[0] - 227) <= 1);
      }
    }
  }
}
