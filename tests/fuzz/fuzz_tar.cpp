#include "io/tar.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend_tar.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> input) {
    if (input.empty()) return;
    const std::vector<uint8_t> archive = fuzz::archive_of(input);
    for (const TarMember& member : index_tar(archive, "fuzz")) {
      fuzz::demand(member.data_offset <= archive.size() && member.size <= archive.size() - member.data_offset, "data lie in the archive");
      fuzz::demand(member.path.size() <= 4096, "paths are bounded");
      fuzz::demand(!member.safe_path || (!member.path.empty() && member.path[0] != '/'), "safe paths are relative");
    }
  });
}
