#pragma once
// Decoded training images in memory, so that later epochs decode only what did not fit. First come, first kept: every image is
// shown once an epoch, so nothing would be gained by putting one out for another.
//
// An image is kept whole, shrunk while decoding (JPEG: by 2, 4 or 8) as far as the smallest crop that can be drawn still has the
// resolution of the run's largest batches. A loader with a cache reads images that do not fit at the same shrink, so the pixels
// of a run depend on whether it has a cache and for which size, and neither on how much fits nor on who came first.

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "decode/image.h"

namespace fettle {

struct CachedImage {
  int64_t height = 0, width = 0;  // of the full picture, upright
  int64_t denominator = 1;
  Image image;                    // the picture at 1 / denominator
};

class ImageCache {
 public:
  // max_bytes counts pixels. `target_height` and `target_width` are those of the largest batch.
  ImageCache(int64_t num_images, int64_t max_bytes, int64_t target_height, int64_t target_width);

  int64_t target_height() const { return target_height_; }
  int64_t target_width() const { return target_width_; }

  // These may be called from any thread. What find() returns stays as it is for as long as the cache lives.
  const CachedImage* find(int64_t index) const;  // null where it is not kept
  bool has_room(int64_t bytes) const;
  void add(int64_t index, const CachedImage& image);  // a copy, if there is still room
  int64_t bytes() const;  // of pixels kept

 private:
  int64_t max_bytes_, target_height_, target_width_;
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<const CachedImage>> images_;  // [num_images]
  int64_t bytes_ = 0;
};

}  // namespace fettle
