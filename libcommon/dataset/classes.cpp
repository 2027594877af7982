#include "dataset/classes.h"

#include <algorithm>
#include <map>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {

int64_t count_classes(const std::vector<bool>& seen, const std::string& name) {
  const auto missing = std::find(seen.begin(), seen.end(), false);
  if (missing != seen.end()) {
    throw Error(ExitCode::kInput, fmt::format("{} has labels up to {} but none is {}: expected 0 to C-1 without a gap", name, seen.size() - 1, missing - seen.begin()),
                fmt::format("--num-classes {} if some classes are meant to have no images", seen.size()));
  }
  return static_cast<int64_t>(seen.size());
}

void require_names_differ(const std::vector<std::string>& names, const std::string& name) {
  std::map<std::string, const std::string*> lowered;
  for (const std::string& one : names) {
    const auto [twin, unique] = lowered.emplace(to_lower(one), &one);
    FT_REQUIRE(unique, "the classes {} and {} of {} differ only in case", quote(*twin->second), quote(one), name);
  }
}

}  // namespace fettle
