// The first four bytes of the input choose a box and a target. What decodes as a whole must decode in part, at full size to the same
// pixels.
#include <algorithm>
#include <cstring>

#include "tests/fuzz/fuzz_image.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> input) {
    if (input.size() < 4) return;
    static ImageDecoder decoder({.max_pixels = fuzz::kMaxPixels});  // what one file leaves behind must not hurt the next
    const auto bytes = input.subspan(4);
    ImageInfo info;
    Image whole, part;
    fuzz::decode_checked(decoder, bytes, info, whole);
    if (info.format != ImageFormat::kJpeg) return;
    Box box{input[0] * info.height / 256, input[1] * info.width / 256, 0, 0};
    box.height = 1 + input[2] * (info.height - box.top - 1) / 255;
    box.width = 1 + input[3] * (info.width - box.left - 1) / 255;
    const PlacedBox placed = decoder.decode_box(box, 1, part);
    const auto top = static_cast<int64_t>(placed.top), left = static_cast<int64_t>(placed.left);
    fuzz::demand(top >= 0 && left >= 0 && top + box.height <= part.height && left + box.width <= part.width, "the box lies in the part");
    for (int64_t y = 0; y < box.height; ++y) {
      fuzz::demand(std::memcmp(part.pixels.data() + 3 * ((top + y) * part.width + left), whole.pixels.data() + 3 * ((box.top + y) * whole.width + box.left),
                               static_cast<size_t>(3 * box.width)) == 0,
                   "a box has the pixels of the whole");
    }
    const PlacedBox shrunk = decoder.decode_box(box, decoder.denominator(box.height, box.width, std::max<int64_t>(box.height / 5, 1), std::max<int64_t>(box.width / 5, 1)), part);
    fuzz::demand(shrunk.top >= 0 && shrunk.left >= 0 && shrunk.top + shrunk.height <= static_cast<double>(part.height) &&
                     shrunk.left + shrunk.width <= static_cast<double>(part.width),
                 "the box lies in the shrunk part");
  });
}
