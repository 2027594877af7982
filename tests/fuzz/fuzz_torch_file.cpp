#include "io/torch_file.h"
#include "io/zip.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

namespace {

// Checksums keep a fuzzer out of a ZIP's pickle: what the archive's index says is looked at by itself.
void index_members(std::span<const uint8_t> bytes) {
  for (const ZipMember& member : index_zip(bytes, "fuzz")) {
    fuzz::demand(member.offset <= bytes.size() && member.size <= bytes.size() - member.offset, "members lie in the archive");
    has_checksum(bytes, member);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (is_zip({data, size})) fuzz::expect_answer(data, size, index_members);
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    for (const TorchTensor& tensor : index_torch_file(bytes, "fuzz").tensors) {
      fuzz::demand(tensor.begin <= tensor.end && tensor.end <= bytes.size(), "tensors lie in the file");
      fuzz::demand((tensor.end - tensor.begin) % static_cast<uint64_t>(dtype_bytes(tensor.dtype)) == 0, "tensors hold whole elements");
    }
  });
}
