#pragma once
// What the image targets share: header and pixels must agree, and memory is bounded by a small limit on pixels.

#include "decode/image.h"
#include "tests/fuzz/fuzz.h"

namespace fettle::fuzz {

inline constexpr int64_t kMaxPixels = 1 << 18;

// Opens and decodes. An image that was opened may still be refused when it is decoded.
inline void decode_checked(ImageDecoder& decoder, std::span<const uint8_t> bytes, ImageInfo& info, Image& image) {
  info = decoder.open(bytes, "fuzz");
  demand(info.height > 0 && info.width > 0 && info.height <= kMaxPixels / info.width, "pixels are bounded");
  demand(info.orientation >= 1 && info.orientation <= 8, "orientations are 1 to 8");
  decoder.decode(image);
  demand(image.height == info.height && image.width == info.width, "the header tells the size");
  demand(image.pixels.size() == static_cast<size_t>(image.height * image.width * 3), "three bytes a pixel");
}

}  // namespace fettle::fuzz
