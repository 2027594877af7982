// A mutated header hardly ever has the right checksum, and what lies behind that check would go untried: the first byte
// of the input says whether to put the checksums of a copy right first.
#include <cstdio>
#include <vector>

#include "io/tar.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

namespace {

std::vector<uint8_t> with_checksums(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  for (size_t block = 0; block + 512 <= copy.size(); block += 512) {
    uint8_t* header = copy.data() + block;
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? 0 : header[i];
    if (sum == 8 * ' ') continue;  // an end block
    char text[8];
    std::snprintf(text, sizeof text, "%06o", sum);
    for (size_t i = 0; i < 7; ++i) header[148 + i] = static_cast<uint8_t>(text[i]);
    header[155] = ' ';
  }
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> input) {
    if (input.empty()) return;
    const std::vector<uint8_t> archive = input[0] % 2 == 0 ? with_checksums(input.subspan(1)) : std::vector<uint8_t>(input.begin() + 1, input.end());
    for (const TarMember& member : index_tar(archive, "fuzz")) {
      fuzz::demand(member.data_offset <= archive.size() && member.size <= archive.size() - member.data_offset, "data lie in the archive");
      fuzz::demand(member.path.size() <= 4096, "paths are bounded");
      fuzz::demand(!member.safe_path || (!member.path.empty() && member.path[0] != '/'), "safe paths are relative");
    }
  });
}
