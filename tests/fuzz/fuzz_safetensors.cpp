#include "io/safetensors.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    const SafetensorsHeader header = parse_safetensors_header(bytes, bytes.size(), "fuzz");
    uint64_t covered = 0;
    for (const TensorInfo& tensor : header.tensors) {
      fuzz::demand(tensor.begin == covered && tensor.end >= tensor.begin, "tensors tile the data");
      uint64_t expected = static_cast<uint64_t>(dtype_bytes(tensor.dtype));
      for (const int64_t dimension : tensor.shape) expected *= static_cast<uint64_t>(dimension);
      fuzz::demand(tensor.end - tensor.begin == expected, "bytes are shape times dtype");
      fuzz::demand(&header.tensors[header.index.at(tensor.name)] == &tensor, "names lead to their tensor");
      covered = tensor.end;
    }
    fuzz::demand(header.data_begin + covered == bytes.size(), "tensors end with the file");
  });
}
