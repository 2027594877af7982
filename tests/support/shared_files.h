#pragma once
// Recorded cases and data sets that lie outside the repository. Empty when there are none: skip the case.

#include <filesystem>
#include <string_view>
#include <vector>

namespace fettle::test {

std::filesystem::path source_folder();  // of this repository
std::filesystem::path golden_folder();  // $FETTLE_GOLDEN, or ../shared/golden beside the source tree
std::filesystem::path data_folder();    // $FETTLE_DATA, or ../shared/data

// All regular files below `folder` whose names end so, sorted.
std::vector<std::filesystem::path> files_below(const std::filesystem::path& folder, std::string_view ending);

}  // namespace fettle::test
