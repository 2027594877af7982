#pragma once
// Images for the tests of pixel operations, by formula, so that values recorded from Pillow can be read beside it.

#include <cstdint>
#include <vector>

#include "augment/pixel_ops.h"

namespace fettle::test {

// y y 37 + x 91 + c 53 + x y 11, mod 256
inline std::vector<uint8_t> pattern(const PixelShape& shape) {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < shape.height; ++y) {
    for (int64_t x = 0; x < shape.width; ++x) {
      for (int64_t c = 0; c < shape.channels; ++c) pixels.push_back(static_cast<uint8_t>(y * y * 37 + x * 91 + c * 53 + x * y * 11));
    }
  }
  return pixels;
}

// Shapes where loops over vectors, chunks and edges may go wrong.
inline const std::vector<PixelShape> kAwkwardShapes = {{1, 1, 3}, {1, 1, 1}, {1, 9, 3}, {9, 1, 1}, {2, 2, 3}, {3, 3, 1}, {3, 5, 3}, {7, 31, 1}, {17, 33, 3}, {5, 700, 3}, {4, 1601, 1}};

}  // namespace fettle::test
