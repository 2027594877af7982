#pragma once
// Geometry of a training image: which part of it, mirrored or not, at which size. The draw is a small struct that can be
// recorded and applied later, and applies to every target of a sample alike. No LibTorch: loader threads run this.

#include <cstdint>

#include "random/stream.h"

namespace fettle {

struct Geometry {
  int64_t top = 0, left = 0, height = 0, width = 0;  // the crop, in pixels of the source
  bool flip = false;                                 // left to right, after the resize
};

struct CropOptions {
  double scale_min = 0.08, scale_max = 1.0;        // share of the source's area
  double ratio_min = 3.0 / 4, ratio_max = 4.0 / 3;  // width / height
  double flip_probability = 0.5;
};

// RandomResizedCrop's box as torchvision draws it: ten tries at a uniform area and a log-uniform ratio, then the largest
// central box whose ratio is allowed. The stream's order of draws: per try area, log ratio, (if it fits) top, left; then
// the flip.
Geometry draw_geometry(RandomStream& stream, int64_t height, int64_t width, const CropOptions& options);

Geometry whole_image(int64_t height, int64_t width);

}  // namespace fettle
