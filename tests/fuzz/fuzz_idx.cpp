#include "decode/idx.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    const IdxArray array = decode_idx(bytes, "fuzz");
    uint64_t expected = 1;
    for (const int64_t dimension : array.shape) expected *= static_cast<uint64_t>(dimension);
    fuzz::demand(!array.shape.empty() && array.shape.size() <= 4, "one to four dimensions");
    fuzz::demand(array.data.size() == expected, "values are the product of the sizes");
  });
}
