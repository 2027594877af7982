// A mutated chunk hardly ever has the right checksum: the first byte of the input says whether to put those of a copy right first.
#include <zlib.h>

#include <vector>

#include "tests/fuzz/fuzz_image.h"

using namespace fettle;

namespace {

std::vector<uint8_t> with_checksums(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  const auto number = [&](size_t at) { return size_t{copy[at]} << 24 | size_t{copy[at + 1]} << 16 | size_t{copy[at + 2]} << 8 | copy[at + 3]; };
  for (size_t chunk = 8; chunk + 12 <= copy.size() && number(chunk) <= copy.size() - chunk - 12;) {
    const size_t size = number(chunk) + 4;
    const auto sum = static_cast<uint32_t>(crc32(0, copy.data() + chunk + 4, static_cast<uInt>(size)));
    for (size_t i = 0; i < 4; ++i) copy[chunk + 4 + size + i] = static_cast<uint8_t>(sum >> (24 - 8 * i));
    chunk += size + 8;
  }
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> input) {
    if (input.empty()) return;
    const std::vector<uint8_t> file = input[0] % 4 != 0 ? with_checksums(input.subspan(1)) : std::vector<uint8_t>(input.begin() + 1, input.end());
    ImageDecoder decoder({.max_pixels = fuzz::kMaxPixels});
    ImageInfo info;
    Image image;
    fuzz::decode_checked(decoder, file, info, image);
  });
}
