#pragma once
// A temporary directory that is gone when the test ends, and one-line file helpers.

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fettle::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

// Files with their folders; a path that ends in '/' is a folder.
void write_tree(const std::filesystem::path& folder, const std::vector<std::pair<std::string, std::string>>& files);

void write_text(const std::filesystem::path& path, std::string_view text);
std::string read_text(const std::filesystem::path& path);

}  // namespace fettle::test
