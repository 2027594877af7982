#pragma once
// A file as read-only memory. Pages are read when touched, so that opening 10 GB costs nothing.
//
// When another process cuts the file short while it is mapped, touching what is gone ends this process with SIGBUS: no
// check made beforehand can prevent that. Files that are replaced by rename, as everything in io/ is, keep their old
// contents for those who hold a map.

#include <cstdint>
#include <filesystem>
#include <span>

namespace fettle {

class MappedFile {
 public:
  // Must be a regular file: anything else, missing or forbidden is kInput. An empty file is legal: bytes() is empty.
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const uint8_t> bytes() const { return bytes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  std::span<const uint8_t> bytes_;
};

}  // namespace fettle
