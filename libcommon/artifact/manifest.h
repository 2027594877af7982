#pragma once
// The manifest of an artifact: a directory whose `manifest.json` is written last, so that its presence means that the
// artifact is complete. docs/architecture.md section "Artifacts" gives the schema; docs/artifact.md the fields one by one.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

using Json = nlohmann::json;

inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kManifestSchema = "fettle.artifact/1";
inline constexpr const char* kOptionsName = "options.json";  // beside it: what the run was started with
inline constexpr const char* kStateName = "state";           // and its states, until it has finished

struct ArtifactInput {
  std::string role;  // "data", "init", "from"
  std::string path;  // relative to the artifact's directory, or absolute as the user typed it; not part of the id
  std::string id;    // "sha256:<64 hex digits>"
};

struct ArtifactFile {
  std::string path;  // relative, inside the directory, '/'-separated
  uint64_t bytes = 0;
  std::string sha256;  // 64 hex digits
};

struct ToolStamp {
  std::string name, version, git;
  bool dirty = false;
};

struct Manifest {
  std::string kind;  // "classifier"
  ToolStamp tool;
  Json options = Json::object();    // what can change the result, resolved
  std::vector<std::string> drawn;   // options whose value was drawn, such as "seed"
  std::vector<ArtifactInput> inputs;
  std::vector<ArtifactFile> files;  // what another tool reads
  Json model = Json::object();
  Json metrics = Json::object();    // numbers, all finite
  Json run = Json::object();        // volatile facts: not part of the id
  Json extra = Json::object();      // keys this version does not know, kept as they were
};

// Strict reading: a missing or mistyped field, a newer schema, a path that leaves the directory, a malformed hash are
// Error(kInput) that names `where` and the field. Depth and size are bounded.
Manifest parse_manifest(std::string_view text, const std::string& where);
Json to_json(const Manifest& manifest);

// "sha256:..." of the canonical JSON (sorted keys, no blanks, UTF-8) without `run` and without each input's `path`.
std::string manifest_id(const Manifest& manifest);

bool is_artifact(const std::filesystem::path& directory);
// Error(kInput) when there is none, with what to do about it; `kind` "" accepts any.
Manifest read_manifest(const std::filesystem::path& directory, const std::string& kind = "");

// Hashes `file_names` (relative to the directory), fills manifest.files and writes manifest.json atomically as the
// artifact's last file. Error(kBug) on a metric that is not finite.
void write_manifest(const std::filesystem::path& directory, Manifest manifest, const std::vector<std::string>& file_names);

// True for a relative '/'-separated path that stays inside the directory it is relative to.
bool stays_inside(std::string_view path);

// How an input's path is recorded in the artifact at `directory`, and how a recorded one is found again.
std::string recorded_path(const std::filesystem::path& input, const std::filesystem::path& directory);
std::filesystem::path resolved_path(const std::string& recorded, const std::filesystem::path& directory);

// JSON text with bounded depth; throws Error(kInput) that names `where` and the byte.
Json parse_json(std::string_view text, const std::string& where);

}  // namespace fettle
