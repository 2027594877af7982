// A table of bytes as a user brings it.
#include "byteformer-train/byte_transforms.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    const byteformer::ByteTable table = byteformer::parse_phi(bytes, "fuzz");
    int seen[256] = {};
    for (const uint8_t value : table) ++seen[value];
    for (const int count : seen) fuzz::demand(count == 1, "every value once");
  });
}
