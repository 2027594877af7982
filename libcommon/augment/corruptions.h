#pragma once
// Common corruptions of photographs at five severities, for testing a classifier: seven of ImageNet-C (Hendrycks and Dietterich,
// "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations", arXiv 1903.12261), with the parameters and
// the arithmetic of its authors' code. As there they come after resizing and cropping; the JPEG of quality 85 that ImageNet-C's
// files are stored in does not follow. x is pixel / 255; results are clipped to 0..1, times 255, truncated.
//
//   gaussian_noise   x + c n, n normal a channel                     c .08 .12 .18 .26 .38
//   shot_noise       poisson(c x) / c                                c 60 25 12 5 3
//   defocus_blur     a disk of radius r, smoothed by a Gaussian      r 3 4 6 8 10, sigma .1 .5 .5 .5 .5
//   contrast         (x - m) c + m, m the mean of the channel        c .4 .3 .2 .1 .05
//   brightness       HSV's value + c                                 c .1 .2 .3 .4 .5
//   pixelate         to c of its sides and back, Pillow's BOX        c .6 .5 .4 .3 .25
//   jpeg_compression quality c, 4:2:0                                c 25 18 15 10 7

#include <cstdint>
#include <string>
#include <vector>

#include "augment/pixel_ops.h"
#include "random/stream.h"

namespace fettle {

enum class Corruption : int { kGaussianNoise, kShotNoise, kDefocusBlur, kContrast, kBrightness, kPixelate, kJpegCompression };

inline constexpr int kSeverities = 5;

const std::vector<std::string>& corruption_names();  // in the order of the enum

// In place, severity 1..5. Pixels u8 [height, width, C], C 1 or 3; one channel is treated as three equal ones, of which the first is
// kept. Noise alone draws from the stream.
void corrupt(Corruption corruption, int severity, RandomStream& stream, const PixelShape& shape, uint8_t* pixels);

}  // namespace fettle
