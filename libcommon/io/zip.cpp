#include "io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <set>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kDirectoryMagic = 0x02014b50, kEndMagic = 0x06054b50, kEnd64Magic = 0x06064b50, kLocatorMagic = 0x07064b50;
constexpr uint64_t kLocalBytes = 30, kDirectoryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocatorBytes = 20;
constexpr uint64_t kMaxComment = 0xffff;
constexpr uint16_t kEncrypted = 1, kZip64Extra = 1;
constexpr uint64_t kIn64 = 0xffffffff, kCountIn64 = 0xffff;  // "see the ZIP64 field"

struct Reader {
  std::span<const uint8_t> bytes;
  std::string_view name;

  // Little-endian; `offset` plus `size` must lie inside, which callers have checked for whole records.
  uint64_t number(uint64_t offset, int size) const {
    uint64_t value = 0;
    for (int i = 0; i < size; ++i) value |= uint64_t{bytes[offset + static_cast<uint64_t>(i)]} << 8 * i;
    return value;
  }
  bool holds(uint64_t offset, uint64_t size) const { return offset <= bytes.size() && size <= bytes.size() - offset; }
  bool begins(uint64_t offset, uint64_t size, uint32_t magic) const { return holds(offset, size) && number(offset, 4) == magic; }
  std::string text(uint64_t offset, uint64_t size) const { return {reinterpret_cast<const char*>(bytes.data()) + offset, size}; }
};

struct Directory {
  uint64_t offset = 0, size = 0, count = 0;
  uint64_t end = 0;  // where the records behind it begin
};

// The last end record whose comment reaches to the end of the file.
uint64_t find_end(const Reader& r) {
  const uint64_t size = r.bytes.size();
  for (uint64_t back = kEndBytes; back <= std::min(size, kEndBytes + kMaxComment); ++back) {
    const uint64_t at = size - back;
    if (r.begins(at, kEndBytes, kEndMagic) && r.number(at + 20, 2) == back - kEndBytes) return at;
  }
  FT_FAIL(ExitCode::kInput, "{} is truncated or no ZIP archive: it has no end record", r.name);
}

Directory find_directory(const Reader& r) {
  const uint64_t end = find_end(r);
  FT_REQUIRE(r.number(end + 4, 2) == 0 && r.number(end + 6, 2) == 0, "{} is a part of a ZIP archive of several disks", r.name);
  Directory directory{r.number(end + 16, 4), r.number(end + 12, 4), r.number(end + 10, 2), end};
  const bool in_64 = directory.offset == kIn64 || directory.size == kIn64 || directory.count == kCountIn64;
  if (in_64 && end >= kLocatorBytes && r.begins(end - kLocatorBytes, kLocatorBytes, kLocatorMagic)) {
    const uint64_t at = r.number(end - kLocatorBytes + 8, 8);
    FT_REQUIRE(at <= end - kLocatorBytes && r.begins(at, kEnd64Bytes, kEnd64Magic), "{} is no valid ZIP archive: its ZIP64 end record is not where it should be", r.name);
    directory = {r.number(at + 48, 8), r.number(at + 40, 8), r.number(at + 32, 8), at};
  }
  FT_REQUIRE(directory.offset <= directory.end && directory.size <= directory.end - directory.offset, "{} is no valid ZIP archive: its directory reaches beyond its end", r.name);
  return directory;
}

struct Sizes {
  uint64_t stored, full, offset;
};

// Fields that do not fit 32 bits stand in an extra field, in this order, those alone.
void read_extra_64(const Reader& r, uint64_t at, uint64_t size, const std::string& path, Sizes& sizes) {
  for (const uint64_t end = at + size; at + 4 <= end;) {
    const uint64_t tag = r.number(at, 2), length = r.number(at + 2, 2);
    at += 4;
    FT_REQUIRE(length <= end - at, "{}: the extra field of {} is malformed", r.name, quote(path));
    if (tag == kZip64Extra) {
      uint64_t field = at;
      for (uint64_t* value : {&sizes.full, &sizes.stored, &sizes.offset}) {
        if (*value != kIn64) continue;
        FT_REQUIRE(field + 8 <= at + length, "{}: the ZIP64 field of {} is too short", r.name, quote(path));
        *value = r.number(field, 8);
        field += 8;
      }
      return;
    }
    at += length;
  }
}

// The directory's entry at `at`, which moves behind it.
ZipMember read_entry(const Reader& r, const Directory& directory, uint64_t& at) {
  const uint64_t limit = directory.offset + directory.size;
  FT_REQUIRE(at <= limit && kDirectoryBytes <= limit - at && r.number(at, 4) == kDirectoryMagic, "{} is no valid ZIP archive: its directory ends early", r.name);
  const uint64_t path_bytes = r.number(at + 28, 2), extra_bytes = r.number(at + 30, 2), comment_bytes = r.number(at + 32, 2);
  FT_REQUIRE(path_bytes + extra_bytes + comment_bytes <= limit - at - kDirectoryBytes, "{} is no valid ZIP archive: its directory ends early", r.name);
  ZipMember member;
  member.path = r.text(at + kDirectoryBytes, path_bytes);
  member.crc32 = static_cast<uint32_t>(r.number(at + 16, 4));
  FT_REQUIRE((r.number(at + 8, 2) & kEncrypted) == 0, "{}: {} is encrypted", r.name, quote(member.path));
  member.stored = r.number(at + 10, 2) == 0;
  Sizes sizes{r.number(at + 20, 4), r.number(at + 24, 4), r.number(at + 42, 4)};
  read_extra_64(r, at + kDirectoryBytes + path_bytes, extra_bytes, member.path, sizes);
  FT_REQUIRE(!member.stored || sizes.stored == sizes.full, "{}: {} claims two sizes, {} and {} bytes", r.name, quote(member.path), sizes.stored, sizes.full);
  member.size = sizes.stored;

  const uint64_t local = sizes.offset;
  FT_REQUIRE(local <= directory.offset && kLocalBytes <= directory.offset - local && r.number(local, 4) == kLocalMagic, "{}: {} is not where the directory says", r.name,
             quote(member.path));
  const uint64_t local_path = r.number(local + 26, 2), header = kLocalBytes + local_path + r.number(local + 28, 2);
  FT_REQUIRE(header <= directory.offset - local && member.size <= directory.offset - local - header, "{}: {} reaches beyond the archive's data", r.name, quote(member.path));
  FT_REQUIRE(r.text(local + kLocalBytes, local_path) == member.path, "{}: {} has another name in front of its data", r.name, quote(member.path));
  member.offset = local + header;
  at += kDirectoryBytes + path_bytes + extra_bytes + comment_bytes;
  return member;
}

}  // namespace

bool is_zip(std::span<const uint8_t> bytes) { return Reader{bytes, ""}.begins(0, 4, kLocalMagic); }

std::vector<ZipMember> index_zip(std::span<const uint8_t> bytes, std::string_view name, uint64_t max_members) {
  const Reader r{bytes, name};
  const Directory directory = find_directory(r);
  FT_REQUIRE(directory.count <= max_members, "{} has {} members, more than the {} allowed", name, directory.count, max_members);
  FT_REQUIRE(directory.count <= directory.size / kDirectoryBytes, "{} is no valid ZIP archive: its directory cannot hold {} members", name, directory.count);
  std::vector<ZipMember> members;
  std::set<std::string_view> paths;
  uint64_t at = directory.offset;
  members.reserve(directory.count);
  for (uint64_t i = 0; i < directory.count; ++i) {
    members.push_back(read_entry(r, directory, at));
    FT_REQUIRE(paths.insert(members.back().path).second, "{} has two members {}", name, quote(members.back().path));
  }
  std::vector<const ZipMember*> by_offset;
  for (const ZipMember& member : members) by_offset.push_back(&member);
  std::sort(by_offset.begin(), by_offset.end(), [](const ZipMember* a, const ZipMember* b) { return std::pair(a->offset, a->size) < std::pair(b->offset, b->size); });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    FT_REQUIRE(by_offset[i]->offset >= by_offset[i - 1]->offset + by_offset[i - 1]->size, "{}: {} and {} overlap", name, quote(by_offset[i - 1]->path), quote(by_offset[i]->path));
  }
  return members;
}

bool has_checksum(std::span<const uint8_t> bytes, const ZipMember& member) {
  return crc32_z(0, bytes.data() + member.offset, member.size) == member.crc32;
}

}  // namespace fettle
