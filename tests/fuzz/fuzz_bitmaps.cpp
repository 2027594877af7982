// Any file; the seeds are those of our own readers: BMP, GIF, PNM and TGA.
#include "tests/fuzz/fuzz_image.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    ImageDecoder decoder({.max_pixels = fuzz::kMaxPixels});
    ImageInfo info;
    Image image;
    fuzz::decode_checked(decoder, bytes, info, image);
  });
}
