#pragma once
// An index of a tar archive that lies in memory (a map of the file, or what gunzip returned): members and where their bytes
// are. Nothing is unpacked.
//
// Read: v7, ustar, GNU (long names and links, base-256 numbers) and pax (path, linkpath, size; other keys are skipped). A
// header's checksum must hold. Missing end blocks are legal where the file ends after a member, as in GNU tar.
// Errors (kInput, each starts with `name`): truncated headers or data, wrong checksums, sizes beyond the file, malformed
// numbers and pax records, sparse files, pax globals that would rename or resize every member, anything but zeros after
// the end blocks (a second archive would go unread in silence), more members or longer names than the limits allow.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

enum class TarType : int { kFile, kDirectory, kSymlink, kHardlink, kOther };  // other: devices, pipes, vendors' own

struct TarMember {
  std::string path;         // as stored; a directory's may end in '/'
  std::string link_target;  // of links, as stored: never checked, a reader of the index has no use for it
  TarType type = TarType::kFile;
  bool safe_path = false;   // relative, no "..", not empty, no NUL: who writes or looks up by path must refuse the others
  uint64_t data_offset = 0;
  uint64_t size = 0;        // bytes at data_offset; 0 for all but files and kOther
};

struct TarLimits {
  uint64_t max_members = 20'000'000;
  uint64_t max_path_bytes = 4096;
  uint64_t max_pax_bytes = 1 << 20;  // one extended header
};

// Whether it begins as an archive does: with a header whose checksum holds.
bool is_tar(std::span<const uint8_t> bytes);

// Hands out one member after the other, in the archive's order. For archives of millions of members, whose index would be
// larger than what the caller keeps of it.
void visit_tar(std::span<const uint8_t> bytes, std::string_view name, const std::function<void(TarMember&&)>& visit, const TarLimits& limits = {});

std::vector<TarMember> index_tar(std::span<const uint8_t> bytes, std::string_view name, const TarLimits& limits = {});

}  // namespace fettle
