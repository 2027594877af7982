#include "artifact/output_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "io/file.h"

namespace fettle {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCondemnedName = "state.removed";  // states on their way out

bool made_by_a_run(const fs::path& directory) {
  return fs::is_empty(directory) || is_artifact(directory) || fs::exists(directory / kOptionsName) || fs::exists(directory / kStateName);
}

void try_writing_beside(const fs::path& path) {
  const fs::path parent = fs::absolute(path).parent_path();
  fs::path existing = parent;
  while (!fs::exists(existing) && existing != existing.root_path()) existing = existing.parent_path();
  FT_REQUIRE(fs::is_directory(existing), "cannot make '{}': '{}' is not a directory", path.string(), existing.string());
  std::string trial = (existing / ".fettle-trial-XXXXXX").string();
  if (mkdtemp(trial.data()) == nullptr) throw_errno(errno, fmt::format("write in '{}' (for --out {})", existing.string(), path.string()));
  rmdir(trial.c_str());
}

// Removes what a run made, options.json apart, which marks the directory as a run's: killed at any instant, this leaves
// what the next --overwrite replaces and what --resume trains from the start.
void clear(const fs::path& directory) {
  const fs::path state = directory / kStateName, condemned = directory / kCondemnedName;
  fs::remove(directory / kManifestName);  // from here on this is no artifact
  fs::remove_all(condemned);
  if (fs::exists(state)) fs::rename(state, condemned);  // whole or gone, never half a state
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().filename() != kOptionsName) fs::remove_all(entry.path());
  }
}

}  // namespace

OutputDirectory::OutputDirectory(fs::path path, OutputMode mode, bool is_follower) : path_(std::move(path)), mode_(mode), opened_(is_follower) {
  // A trailing slash would make the parent of the directory the directory itself.
  if (!path_.has_filename()) path_ = path_.parent_path();
  FT_REQUIRE_USAGE(!path_.empty(), "--out: expected a directory to make, found ''");
  try {
    existed_ = fs::exists(path_);
    if (is_follower) return;
    if (existed_) {
      FT_REQUIRE_USAGE(fs::is_directory(path_), "--out '{}' exists and is not a directory", path_.string());
      // A run killed at its very beginning leaves nothing but half an options.json.
      remove_stale_temporaries(path_ / kOptionsName);
      if (mode_ == OutputMode::kCreate && !fs::is_empty(path_)) {
        throw Error(ExitCode::kUsage, fmt::format("--out '{}' exists", path_.string()), "--resume continues the run in it, --overwrite replaces it");
      }
      FT_REQUIRE_USAGE(made_by_a_run(path_), "--out '{}' exists and holds files that no run of Fettle made; it is left alone", path_.string());
      if (access(path_.c_str(), W_OK | X_OK) != 0) throw_errno(errno, fmt::format("write in '{}'", path_.string()));
      lock();
    } else {
      try_writing_beside(path_);
    }
  } catch (const fs::filesystem_error& error) {
    throw_errno(error.code().value(), fmt::format("look at '{}'", path_.string()));
  }
}

OutputDirectory::~OutputDirectory() {
  if (lock_fd_ >= 0) close(lock_fd_);
}

void OutputDirectory::lock() {
  lock_fd_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_fd_ < 0) throw_errno(errno, fmt::format("open '{}'", path_.string()));
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) == 0) return;
  FT_REQUIRE_USAGE(errno != EWOULDBLOCK, "--out '{}' is in use by another process", path_.string());
  throw_errno(errno, fmt::format("lock '{}'", path_.string()));
}

bool OutputDirectory::finished() const { return resuming() && is_artifact(path_); }

std::optional<RunRecord> OutputDirectory::recorded() const {
  const fs::path file = path_ / kOptionsName;
  if (!resuming() || !fs::exists(file)) return std::nullopt;
  const Json json = parse_json(read_file(file, 16 << 20), file.string());
  RunRecord record;
  try {
    record.options = json.at("options").get<Json::object_t>();
    record.drawn = json.at("drawn").get<std::vector<std::string>>();
    record.inputs = json.at("inputs").get<Json::object_t>();
    record.initial = json.value("initial", Json::object()).get<Json::object_t>();
  } catch (const Json::exception& error) {
    throw Error(ExitCode::kInput, fmt::format("{}: not what a run writes ({})", file.string(), error.what()), "--overwrite starts anew");
  }
  return record;
}

void OutputDirectory::open(const RunRecord& record) {
  if (opened_) return;
  try {
    if (!existed_) {
      fs::create_directories(path_);
      lock();
    } else if (mode_ == OutputMode::kOverwrite) {
      clear(path_);
    } else {
      // What a killed process left half written or half removed.
      remove_stale_temporaries_in(path_);
      remove_stale_temporaries_in(path_ / kStateName);
      fs::remove_all(path_ / kCondemnedName);
    }
  } catch (const fs::filesystem_error& error) {
    throw_errno(error.code().value(), fmt::format("make '{}'", path_.string()));
  }
  const fs::path file = path_ / kOptionsName;
  if (!resuming() || !fs::exists(file)) {
    write_file_atomic(file, Json{{"options", record.options}, {"drawn", record.drawn}, {"inputs", record.inputs}, {"initial", record.initial}}.dump(1) + "\n");
  }
  opened_ = true;
}

}  // namespace fettle
