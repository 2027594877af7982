#pragma once
// Artifacts and runs made up for the tests of inspect-artifact.

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "artifact/manifest.h"

namespace fettle::test {

// A finished classifier with one weights file, some metrics by size, and no inputs.
Manifest classifier();

// Writes `manifest` to `directory` with a model.safetensors that holds `weights`.
void write_artifact(const std::filesystem::path& directory, Manifest manifest, const std::string& weights = "weights");

// Reads, changes and rewrites manifest.json as it stands: no hash is renewed.
void edit_manifest(const std::filesystem::path& directory, const std::function<void(Json&)>& change);

// A metrics.jsonl of `epochs` epochs with two reports each.
std::string metrics_log(int epochs, double loss = 2.0);

}  // namespace fettle::test
