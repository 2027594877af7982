#include "models/image_classifier.h"

#include <ATen/ATen.h>

#include "base/errors.h"

namespace fettle {

void ImageClassifier::require_input(int64_t batch, int64_t channels, int64_t height, int64_t width, bool training) const {
  FT_REQUIRE_USAGE(channels == in_channels(), "the network was made for images of {} channels, found {}", in_channels(), channels);
  FT_REQUIRE_USAGE(height >= min_input_size() && width >= min_input_size(), "an image of {}x{} pixels is too small: the network takes {}x{} and up",
                   height, width, min_input_size(), min_input_size());
  FT_REQUIRE_USAGE(height % size_multiple() == 0 && width % size_multiple() == 0, "an image of {}x{} pixels cannot be cut into patches of {}x{}: the network takes multiples of {}",
                   height, width, size_multiple(), size_multiple(), size_multiple());
  const int64_t stride = output_stride();
  if (stride == 0) return;
  const int64_t pixels = ((height + stride - 1) / stride) * ((width + stride - 1) / stride);
  FT_REQUIRE_USAGE(!training || batch != 1 || pixels > 1,
                   "a batch of 1 at {}x{} pixels leaves batch norm a single value a channel; training needs a larger batch or more than {} pixels a side",
                   height, width, stride);
}

void ImageClassifier::require_input(const at::Tensor& x) const {
  FT_CHECK(x.dim() == 4, "expected a batch [B, C, H, W], found {} dimensions", x.dim());
  require_input(x.size(0), x.size(1), x.size(2), x.size(3), is_training());
}

}  // namespace fettle
