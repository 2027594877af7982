#pragma once
// The files that a run's weights came from, kept in options.json under "ids" as {role: id}: a run that goes on from a state needs them no
// more. A file that is named anew, because it was moved, must be the one of the beginning: Error(kUsage). `paths`: by role, as typed; ""
// for none. The ids of an artifact's inputs are of what was read, now: a file may be another one, or none, when the run ends.

#include <string>
#include <utility>
#include <vector>

#include "artifact/manifest.h"
#include "artifact/output_directory.h"

namespace fettle {

Json ids_by_role(const std::vector<ArtifactInput>& inputs);
std::vector<ArtifactInput> inputs_of_resumed(const RunRecord& before, const std::vector<std::pair<std::string, std::string>>& paths);

}  // namespace fettle
