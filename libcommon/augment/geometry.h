#pragma once
// Geometry of an image on its way to a network: which part of it, mirrored or not, at which size. A training draw is a small
// struct that can be recorded and applied later, and applies to every target of a sample alike.

#include <cstdint>
#include <utility>

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

// (height, width) that no crop of draw_geometry() goes below.
std::pair<int64_t, int64_t> smallest_crop(int64_t height, int64_t width, const CropOptions& options);

// The sides (height, width) of a box that covers `share` of an image's area at width / height = ratio, each rounded to the
// nearest whole number, ties to even; they may exceed the image's.
std::pair<int64_t, int64_t> box_sides(int64_t height, int64_t width, double share, double ratio);

// What a resize does with a source: `region` is what its filter may see, in whole pixels, `box` within it what becomes the output.
struct View {
  int64_t top = 0, left = 0, height = 0, width = 0;  // the region, in pixels of the source
  double box_top = 0, box_left = 0, box_height = 0, box_width = 0;  // from the region's corner
  int64_t resized_height = 0, resized_width = 0;     // what the whole region would become, of which the output may be a part
  bool flip = false;
};

// A training crop: an image of its own, the filter does not look beyond it.
View crop_view(const Geometry& geometry, int64_t out_height, int64_t out_width);

// Evaluation: the image is resized so that size / crop_share fits its shorter side (torchvision's Resize and timm's crop_pct;
// 224 and 0.875: 256), then the centre of out_height x out_width is cut out (CenterCrop: half pixels round to even). The longer side
// and size / crop_share are cut to whole pixels, as there. One view: nothing is resized that is not shown.
// 0 < crop_share <= 1.
View center_view(int64_t height, int64_t width, int64_t out_height, int64_t out_width, double crop_share);

}  // namespace fettle
