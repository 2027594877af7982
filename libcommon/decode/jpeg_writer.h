#pragma once
// RGB to JPEG, with the bytes of libjpeg-turbo's defaults, which are Pillow's: 4:2:0, Huffman tables of the standard, accurate integer DCT.

#include <cstdint>
#include <vector>

namespace fettle {

// pixels: [height, width, 3] RGB, sides 1..65500; quality 1..100.
std::vector<uint8_t> encode_jpeg(const uint8_t* pixels, int64_t height, int64_t width, int quality);

}  // namespace fettle
