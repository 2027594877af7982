#include "artifact/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/errors.h"
#include "base/text.h"
#include "io/file.h"
#include "io/sha256.h"

namespace fettle {
namespace {

constexpr uint64_t kMaxManifestBytes = 64 << 20;
constexpr int kMaxDepth = 64;

const char* const kKnownKeys[] = {"schema", "kind", "tool", "options", "drawn", "inputs", "files", "model", "metrics", "run"};

// Reads fields of one object and names it in every complaint.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    FT_REQUIRE(object_.is_object(), "{}: expected an object, found {}", where_, object_.type_name());
  }
  const Json& get(const char* key, Json::value_t type) const {
    const auto found = object_.find(key);
    FT_REQUIRE(found != object_.end(), "{}: '{}' is missing", where_, key);
    FT_REQUIRE(found->type() == type, "{}: '{}' should be {}, found {}", where_, key, Json(type).type_name(), found->type_name());
    return *found;
  }
  std::string text(const char* key) const { return get(key, Json::value_t::string).get<std::string>(); }
  bool boolean(const char* key) const { return get(key, Json::value_t::boolean).get<bool>(); }
  uint64_t size(const char* key) const { return get(key, Json::value_t::number_unsigned).get<uint64_t>(); }
  const Json& object(const char* key) const { return get(key, Json::value_t::object); }
  const Json& array(const char* key) const { return get(key, Json::value_t::array); }
  const std::string& where() const { return where_; }

 private:
  const Json& object_;
  std::string where_;
};

bool is_hash(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

void check_schema(const std::string& schema, const std::string& where) {
  const std::string family = "fettle.artifact/";
  FT_REQUIRE(schema.starts_with(family), "{}: schema '{}' is not one of Fettle's artifacts ('{}')", where, schema.substr(0, 80), kManifestSchema);
  if (schema == kManifestSchema) return;
  throw Error(ExitCode::kInput, fmt::format("{}: schema '{}' is not known to this build, which reads '{}'", where, schema.substr(0, 80), kManifestSchema),
              "update Fettle, or remake the artifact with this build");
}

Json file_json(const ArtifactFile& file) { return {{"path", file.path}, {"bytes", file.bytes}, {"sha256", file.sha256}}; }

}  // namespace

bool stays_inside(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string_view::npos || path.find('\\') != std::string_view::npos) return false;
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") return false;
  }
  return true;
}

Json parse_json(std::string_view text, const std::string& where) {
  // The callback sees the depth before a container is made.
  const auto depth_guard = [&](int depth, Json::parse_event_t, Json&) {
    FT_REQUIRE(depth <= kMaxDepth, "{}: nested deeper than {} levels", where, kMaxDepth);
    return true;
  };
  try {
    return Json::parse(text, depth_guard);
  } catch (const Json::parse_error& error) {
    FT_FAIL(ExitCode::kInput, "{}: not valid JSON near byte {}", where, error.byte);
  } catch (const Json::exception& error) {
    FT_FAIL(ExitCode::kInput, "{}: not valid JSON: {}", where, error.what());
  }
}

Manifest parse_manifest(std::string_view text, const std::string& where) {
  const Json json = parse_json(text, where);
  const Fields top(json, where);
  check_schema(top.text("schema"), where);

  Manifest manifest;
  manifest.kind = top.text("kind");
  FT_REQUIRE(!manifest.kind.empty(), "{}: 'kind' is empty", where);
  const Fields tool(top.object("tool"), where + ": tool");
  manifest.tool = {tool.text("name"), tool.text("version"), tool.text("git"), tool.boolean("dirty")};
  manifest.options = top.object("options");
  for (const Json& name : top.array("drawn")) {
    FT_REQUIRE(name.is_string(), "{}: 'drawn' should hold names of options", where);
    manifest.drawn.push_back(name.get<std::string>());
  }
  for (const Json& entry : top.array("inputs")) {
    const Fields input(entry, where + ": inputs");
    manifest.inputs.push_back({input.text("role"), input.text("path"), input.text("id")});
    const std::string& id = manifest.inputs.back().id;
    FT_REQUIRE(id.starts_with("sha256:") && is_hash(std::string_view(id).substr(7)), "{}: input '{}' has no sha256 id", where, manifest.inputs.back().role);
  }
  for (const Json& entry : top.array("files")) {
    const Fields file(entry, where + ": files");
    manifest.files.push_back({file.text("path"), file.size("bytes"), file.text("sha256")});
    const ArtifactFile& last = manifest.files.back();
    FT_REQUIRE(stays_inside(last.path), "{}: file path '{}' leaves the artifact's directory", where, last.path);
    FT_REQUIRE(is_hash(last.sha256), "{}: file '{}' has no sha256", where, last.path);
    for (size_t i = 0; i + 1 < manifest.files.size(); ++i) FT_REQUIRE(manifest.files[i].path != last.path, "{}: file '{}' is listed twice", where, last.path);
  }
  manifest.model = top.object("model");
  manifest.metrics = top.object("metrics");
  for (const auto& [name, value] : manifest.metrics.items()) {
    FT_REQUIRE(value.is_number(), "{}: metric '{}' should be a number, found {}", where, name, value.type_name());
  }
  manifest.run = top.object("run");
  for (const auto& [key, value] : json.items()) {
    if (std::find(std::begin(kKnownKeys), std::end(kKnownKeys), key) == std::end(kKnownKeys)) manifest.extra[key] = value;
  }
  return manifest;
}

Json to_json(const Manifest& manifest) {
  Json json = manifest.extra;
  json["schema"] = kManifestSchema;
  json["kind"] = manifest.kind;
  json["tool"] = {{"name", manifest.tool.name}, {"version", manifest.tool.version}, {"git", manifest.tool.git}, {"dirty", manifest.tool.dirty}};
  json["options"] = manifest.options;
  json["drawn"] = manifest.drawn;
  json["inputs"] = Json::array();
  for (const ArtifactInput& input : manifest.inputs) json["inputs"].push_back({{"role", input.role}, {"path", input.path}, {"id", input.id}});
  json["files"] = Json::array();
  for (const ArtifactFile& file : manifest.files) json["files"].push_back(file_json(file));
  json["model"] = manifest.model;
  json["metrics"] = manifest.metrics;
  json["run"] = manifest.run;
  return json;
}

std::string manifest_id(const Manifest& manifest) {
  Json json = to_json(manifest);
  json.erase("run");
  for (Json& input : json["inputs"]) input.erase("path");
  return "sha256:" + sha256_hex(json.dump());
}

bool is_artifact(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(directory / kManifestName, ignored);
}

Manifest read_manifest(const std::filesystem::path& directory, const std::string& kind) {
  std::error_code ignored;
  FT_REQUIRE(std::filesystem::exists(directory, ignored), "{}: no such artifact", directory.string());
  if (!is_artifact(directory)) {
    const bool unfinished = std::filesystem::exists(directory / kStateName, ignored) || std::filesystem::exists(directory / kOptionsName, ignored);
    throw Error(ExitCode::kInput, fmt::format("{}: not a complete artifact: it has no {}", directory.string(), kManifestName),
                unfinished ? "its run has not finished: repeat that command with --resume" : "");
  }
  const std::filesystem::path file = directory / kManifestName;
  Manifest manifest = parse_manifest(read_file(file, kMaxManifestBytes), file.string());
  FT_REQUIRE(kind.empty() || manifest.kind == kind, "{}: an artifact of kind '{}', expected '{}'", directory.string(), manifest.kind, kind);
  return manifest;
}

void write_manifest(const std::filesystem::path& directory, Manifest manifest, const std::vector<std::string>& file_names) {
  for (const auto& [name, value] : manifest.metrics.items()) {
    FT_CHECK(value.is_number() && std::isfinite(value.get<double>()), "metric {} is {}", name, value.dump());
  }
  manifest.files.clear();
  for (const std::string& name : file_names) {
    FT_CHECK(stays_inside(name), "{}", name);
    manifest.files.push_back({name, std::filesystem::file_size(directory / name), sha256_file(directory / name)});
  }
  write_file_atomic(directory / kManifestName, to_json(manifest).dump(1) + "\n");
}

std::string recorded_path(const std::filesystem::path& input, const std::filesystem::path& directory) {
  if (input.is_absolute()) return input.lexically_normal().string();
  return std::filesystem::absolute(input).lexically_normal().lexically_relative(std::filesystem::absolute(directory).lexically_normal()).string();
}

std::filesystem::path resolved_path(const std::string& recorded, const std::filesystem::path& directory) {
  const std::filesystem::path path(recorded);
  return path.is_absolute() ? path : (directory / path).lexically_normal();
}

}  // namespace fettle
