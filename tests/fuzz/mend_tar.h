#pragma once
// A mutated header hardly ever has the right checksum, and what lies behind that check would go untried: targets that read
// archives put the checksums right in half of their inputs.

#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

namespace fettle::fuzz {

// The first byte says whether to mend; the rest is the archive.
inline std::vector<uint8_t> archive_of(std::span<const uint8_t> input) {
  std::vector<uint8_t> copy(input.begin() + 1, input.end());
  for (size_t block = 0; input[0] % 2 == 0 && block + 512 <= copy.size(); block += 512) {
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

}  // namespace fettle::fuzz
