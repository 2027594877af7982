#pragma once
// Geometry of a training image: which part of it, mirrored or not, at which size. The draw is a small struct that can be
// recorded and applied later, and applies to every target of a sample alike. No LibTorch: loader threads run this.

#include <cstdint>
#include <vector>

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

// Bilinear resize with antialiasing (the triangle filter widens when shrinking), of one box of an image, in fixed point:
// the result of Pillow's Image.resize(BILINEAR, box) bit for bit. Horizontal pass first, 8 bits between the passes.
//   source [H, W, C] u8, dense    target [h, w, C] u8, dense    C <= 4
class Resizer {
 public:
  void resize(const uint8_t* source, int64_t source_width, int64_t channels, const Geometry& box, int64_t target_height, int64_t target_width,
              uint8_t* target);

 private:
  struct Taps {
    std::vector<int64_t> first;    // [size] first source pixel
    std::vector<int64_t> count;    // [size] number of weights
    std::vector<int32_t> weights;  // [size, stride] in units of 2^-22
    int64_t stride = 0;
    int64_t from = -1, to = -1;  // what they were computed for
  };
  static void compute_taps(int64_t from, int64_t to, Taps& taps);

  Taps horizontal_, vertical_;      // kept while sizes repeat
  std::vector<uint8_t> between_;    // [box height, target width, C]
};

}  // namespace fettle
