#pragma once
// One part of a data set as the loader reads it: pixels of one size in memory (IDX), or encoded files.

#include <cstdint>
#include <string>
#include <variant>

#include "dataset/image_files.h"
#include "dataset/image_set.h"

namespace fettle {

using LabelledImages = std::variant<ImageSet, ImageFiles>;

inline int64_t num_images(const LabelledImages& images) {
  const auto* set = std::get_if<ImageSet>(&images);
  return set != nullptr ? set->num_images : std::get<ImageFiles>(images).size();
}

inline int64_t num_channels(const LabelledImages& images) {
  const auto* set = std::get_if<ImageSet>(&images);
  return set != nullptr ? set->channels : 3;  // files are decoded to RGB
}

}  // namespace fettle
