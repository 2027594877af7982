#pragma once
// RGB or grey to JPEG, with the bytes of libjpeg-turbo's defaults, which are Pillow's: 4:2:0, Huffman tables of the standard, accurate integer DCT.

#include <cstdint>
#include <vector>

namespace fettle {

// pixels: [height, width, 3] RGB, sides 1..65500; quality 1..100.
std::vector<uint8_t> encode_jpeg(const uint8_t* pixels, int64_t height, int64_t width, int quality);

// The same of [height, width, channels], 1 or 3 channels, into `bytes`, which is replaced and keeps its capacity.
void encode_jpeg(const uint8_t* pixels, int64_t height, int64_t width, int channels, int quality, std::vector<uint8_t>& bytes);

}  // namespace fettle
