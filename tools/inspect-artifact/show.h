#pragma once
// One artifact, for people and for programs.

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "artifact/manifest.h"

namespace fettle::inspect_artifact {

std::string show_text(const std::filesystem::path& directory, const Manifest& manifest);

// {"path", "id", "manifest": all of it}
nlohmann::json show_json(const std::filesystem::path& directory, const Manifest& manifest);

}  // namespace fettle::inspect_artifact
