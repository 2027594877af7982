#include "data/image_cache.h"

#include "base/errors.h"

namespace fettle {

ImageCache::ImageCache(int64_t num_images, int64_t max_bytes, int64_t target_height, int64_t target_width)
    : max_bytes_(max_bytes), target_height_(target_height), target_width_(target_width), images_(static_cast<size_t>(num_images)) {
  FT_CHECK(max_bytes >= 0 && target_height > 0 && target_width > 0, "a cache of {} bytes for {} x {}", max_bytes, target_height, target_width);
}

const CachedImage* ImageCache::find(int64_t index) const {
  const std::lock_guard lock(mutex_);
  return images_.at(static_cast<size_t>(index)).get();
}

bool ImageCache::has_room(int64_t bytes) const {
  const std::lock_guard lock(mutex_);
  return bytes <= max_bytes_ - bytes_;
}

void ImageCache::add(int64_t index, const CachedImage& image) {
  auto copy = std::make_unique<const CachedImage>(image);
  const auto bytes = static_cast<int64_t>(image.image.pixels.size());
  const std::lock_guard lock(mutex_);
  std::unique_ptr<const CachedImage>& place = images_.at(static_cast<size_t>(index));
  if (place || bytes > max_bytes_ - bytes_) return;
  place = std::move(copy);
  bytes_ += bytes;
}

int64_t ImageCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace fettle
