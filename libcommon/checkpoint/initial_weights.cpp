#include "checkpoint/initial_weights.h"

#include <fmt/format.h>

#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/weights.h"

namespace fettle {

Json ids_by_role(const std::vector<ArtifactInput>& inputs) {
  Json ids = Json::object();
  for (const ArtifactInput& input : inputs) ids[input.role] = input.id;
  return ids;
}

std::vector<ArtifactInput> inputs_of_resumed(const RunRecord& before, const std::vector<std::pair<std::string, std::string>>& paths) {
  std::vector<ArtifactInput> inputs;
  try {
    for (const auto& [role, path] : paths) {
      if (path.empty()) continue;
      const std::string id = before.initial.at("ids").at(role).get<std::string>();
      FT_REQUIRE_USAGE(before.inputs.value(role, "") == path || WeightsFile(path).id() == id, "--resume: the run was started from other weights than those in {}", quote_path(path));
      inputs.push_back({role, path, id});
    }
  } catch (const Json::exception& error) {
    throw Error(ExitCode::kInput, fmt::format("options.json of the run does not say which weights it was started from ({})", error.what()), "--overwrite starts anew");
  }
  return inputs;
}

}  // namespace fettle
