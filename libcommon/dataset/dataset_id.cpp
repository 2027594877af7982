#include "dataset/dataset_id.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/errors.h"
#include "io/sha256.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

struct DataFile {
  std::string relative_path;
  fs::path path;
  uint64_t bytes;
};

void require_ok(const std::error_code& error, const fs::path& path) {
  if (error) throw_errno(error.value(), fmt::format("read '{}'", path.string()));
}

void collect(const fs::path& folder, const std::string& prefix, std::vector<fs::path>& ancestors, std::vector<DataFile>& files) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);
  require_ok(error, folder);
  FT_REQUIRE(std::find(ancestors.begin(), ancestors.end(), real) == ancestors.end(),
             "'{}' leads back to a folder that holds it", folder.string());
  ancestors.push_back(real);
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string relative = prefix + entry->path().filename().string();
    std::error_code failed;
    const fs::file_status status = entry->status(failed);
    FT_REQUIRE(status.type() != fs::file_type::not_found, "'{}' is a link that leads nowhere", entry->path().string());
    require_ok(failed, entry->path());
    if (fs::is_directory(status)) {
      collect(entry->path(), relative + "/", ancestors, files);
    } else if (fs::is_regular_file(status)) {
      const uint64_t bytes = fs::file_size(entry->path(), failed);
      require_ok(failed, entry->path());
      files.push_back({relative, entry->path(), bytes});
    }
  }
  require_ok(error, folder);
  ancestors.pop_back();
}

std::string escaped(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
  return out;
}

}  // namespace

std::string dataset_id(const fs::path& path, bool hash_contents) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  require_ok(fs::exists(status) ? std::error_code() : std::make_error_code(std::errc::no_such_file_or_directory), path);
  if (!fs::is_directory(status)) return "sha256:" + sha256_file(path);

  std::vector<DataFile> files;
  std::vector<fs::path> ancestors;
  collect(path, "", ancestors, files);
  FT_REQUIRE(!files.empty(), "the folder '{}' holds no files", path.string());
  std::sort(files.begin(), files.end(), [](const DataFile& a, const DataFile& b) { return a.relative_path < b.relative_path; });
  Sha256 hash;
  for (const DataFile& file : files) {
    std::string line = fmt::format("{}, {}", escaped(file.relative_path), file.bytes);
    if (hash_contents) line += ", " + sha256_file(file.path);
    hash.update(line + "\n");
  }
  return "sha256:" + hash.hex();
}

}  // namespace fettle
