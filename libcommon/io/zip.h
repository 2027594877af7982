#pragma once
// An index of a ZIP archive that lies in memory, as torch.save writes it: members stored without compression, ZIP64 or not.
// Nothing is unpacked: compressed members are listed, and their bytes mean nothing. Format: PKWARE's APPNOTE 6.3.
//
// Errors (kInput, each starts with `name`): no end record, several disks, encrypted members, sizes or offsets beyond the file, a local header that disagrees with the directory, members that overlap, duplicate names, more
// members than max_members.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

struct ZipMember {
  std::string path;      // as stored; never to be used as a file name
  uint64_t offset = 0;   // bytes from the start of the archive
  uint64_t size = 0;     // as it lies there
  bool stored = true;    // not compressed
  uint32_t crc32 = 0;    // as the directory claims; see has_checksum()
};

bool is_zip(std::span<const uint8_t> bytes);  // by its first four bytes

std::vector<ZipMember> index_zip(std::span<const uint8_t> bytes, std::string_view name, uint64_t max_members = 1'000'000);

// Whether the member's bytes have the checksum that the directory claims.
bool has_checksum(std::span<const uint8_t> bytes, const ZipMember& member);

}  // namespace fettle
