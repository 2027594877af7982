#include "tests/support/shared_files.h"

#include <algorithm>
#include <cstdlib>

namespace fettle::test {
namespace {

std::filesystem::path folder_of(const char* variable, const char* name) {
  const char* value = std::getenv(variable);
  const std::filesystem::path path = value != nullptr && *value != '\0' ? std::filesystem::path(value) : std::filesystem::path(FETTLE_SOURCE_DIR) / ".." / "shared" / name;
  return std::filesystem::is_directory(path) ? path : std::filesystem::path();
}

}  // namespace

std::filesystem::path source_folder() { return FETTLE_SOURCE_DIR; }

std::filesystem::path golden_folder() { return folder_of("FETTLE_GOLDEN", "golden"); }
std::filesystem::path data_folder() { return folder_of("FETTLE_DATA", "data"); }

std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder, std::string_view ending) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().filename().string().ends_with(ending)) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace fettle::test
