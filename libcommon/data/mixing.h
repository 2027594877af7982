#pragma once
// MixUp (Zhang et al., ICLR 2018) and CutMix (Yun et al., ICCV 2019) on a batch, as torchvision's v2.MixUp and v2.CutMix and
// CoreNet apply them: sample i is mixed with sample i - 1 of the batch, the first with the last, so batches must be shuffled.
// One draw a batch, which can be recorded and applied later.
//
//   MixUp    x[i] <- lambda x[i] + (1 - lambda) x[i - 1]
//   CutMix   x[i] <- x[i - 1] within a box, x[i] elsewhere; lambda is the share of the area outside of the box
//   both     t[i] <- lambda t[i] + (1 - lambda) t[i - 1]

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "augment/pixel_ops.h"
#include "random/stream.h"

namespace fettle {

struct MixOptions {
  double mixup_alpha = 0, mixup_probability = 1;    // lambda ~ Beta(alpha, alpha); alpha 0: never
  double cutmix_alpha = 0, cutmix_probability = 1;
};

// Errors (kUsage): an alpha that is negative or not finite, a probability out of 0..1.
void validate(const MixOptions& options);

// The numbers are part of recorded augmentations.
enum class MixKind : int { kNone = 0, kMixUp = 1, kCutMix = 2 };

struct MixDraw {
  MixKind kind = MixKind::kNone;
  double lambda = 1;              // weight of the sample itself
  int64_t height = 0, width = 0;  // of the images it was drawn for
  PixelBox box;                   // CutMix: what comes from the partner, in pixels of these images; may be empty
  bool operator==(const MixDraw&) const = default;
};

// If both are on, one of them is chosen evenly, and then applied with its own probability. The stream's order of draws: which
// (if both are on), whether, the two gammas behind lambda (Marsaglia and Tsang; they lean on libm), CutMix's centre: column, row.
MixDraw draw_mix(RandomStream& stream, const MixOptions& options, int64_t height, int64_t width);

// CutMix with a given centre: half sides trunc(sqrt(1 - lambda) / 2 * side), clipped to the image; lambda is then set anew.
MixDraw cutmix_around(double lambda, int64_t center_row, int64_t center_column, int64_t height, int64_t width);

// Refuses a record that cannot be applied: Error(kInput) that begins with `name`.
void validate(const MixDraw& draw, std::string_view name);

struct MixedBatch {
  at::Tensor images;   // [B, C, H, W]
  at::Tensor targets;  // [B, K]
};

// images [B, C, H, W] and targets [B, K] (one-hot or soft), floating; new tensors of the same types and memory formats, or the
// same ones where nothing is mixed. At another size than the recorded one CutMix's box is scaled, edges rounded, and lambda
// follows it. There is no gradient through lambda.
MixedBatch mix(const MixDraw& draw, const at::Tensor& images, const at::Tensor& targets);

}  // namespace fettle
