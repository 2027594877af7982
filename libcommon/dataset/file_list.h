#pragma once
// What a folder or an archive holds, with sizes: the one walk from which samples, classes and the identity of the data are
// all computed. About 41 bytes a file and its path, so that 1.3 million files fit in 100 MB.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

// A folder that stays open: paths below it are looked up from here, wherever the process goes meanwhile.
class OpenFolder {
 public:
  explicit OpenFolder(std::string path);  // Error(kInput): missing, forbidden, no folder
  ~OpenFolder();
  OpenFolder(const OpenFolder&) = delete;
  OpenFolder& operator=(const OpenFolder&) = delete;

  int descriptor() const { return descriptor_; }
  const std::string& path() const { return path_; }
  std::string join(std::string_view relative) const;  // for messages; an absolute path stays as it is, as does one below "."

 private:
  std::string path_;
  int descriptor_ = -1;
};

enum class FileKind : uint8_t { kFile, kFolder, kLink };  // links: in archives only, where they are not followed

struct FileEntry {
  uint64_t path = 0;       // where its path begins in the text beside it
  uint64_t offset = 0;     // of its bytes in the archive
  uint64_t size = 0;       // bytes
  uint32_t archive = 0;    // which one, where there are several
  int32_t label = -1;      // once it has one
  uint16_t path_bytes = 0;
  FileKind kind = FileKind::kFile;
};
static_assert(sizeof(FileEntry) == 40);

inline constexpr size_t kMaxPathBytes = 4095;  // Linux's own limit

// Entries sorted by path, bytewise. A folder's path ends in '/'; the root itself is not listed.
struct FileList {
  std::string text;  // the paths, each ended by a NUL: what open() takes
  std::vector<FileEntry> entries;

  std::string_view path(const FileEntry& entry) const { return std::string_view(text).substr(entry.path, entry.path_bytes); }
  FileEntry& add(std::string_view prefix, std::string_view name, FileKind kind);  // at the end, as `prefix` + `name`
};

// Every regular file and every folder below, hidden ones too. Symbolic links count as what they lead to; devices, pipes and
// sockets do not count. Errors (kInput): unreadable, links that lead nowhere or in a circle, paths of more than kMaxPathBytes.
FileList list_folder(const OpenFolder& folder);

// The members of a tar archive, "./" and doubled '/' taken out. Errors (kInput): those of io/tar.h, and a member with an
// unsafe path. A path that occurs twice is listed twice.
FileList list_archive(std::span<const uint8_t> bytes, std::string_view name);

}  // namespace fettle
