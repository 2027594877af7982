#include "inspect-artifact/verify.h"

#include <fmt/format.h>

#include <deque>
#include <set>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/signals.h"
#include "base/text.h"
#include "dataset/dataset_id.h"
#include "dataset/image_files.h"
#include "dataset/shards.h"
#include "io/sha256.h"

namespace fettle::inspect_artifact {
namespace fs = std::filesystem;
namespace {

void stop_if_asked() {
  if (const int signal = stop_signal(); signal != 0)
    throw Error(static_cast<ExitCode>(128 + signal), "stopped before everything was verified");
}

class Walk {
 public:
  Walk(const VerifyOptions& options, Log& log) : options_(options), log_(log) {}

  Verification run(const fs::path& root) {
    Manifest manifest = read_manifest(root);
    result_.id = manifest_id(manifest);
    if (!options_.id.empty() && result_.id != options_.id) differs(root, options_.id, result_.id);
    enqueue(root, std::move(manifest));
    // A queue, not recursion: the length of a chain is not ours to choose.
    while (!queue_.empty()) {
      const auto [directory, listed] = std::move(queue_.front());
      queue_.pop_front();
      ++result_.num_artifacts;
      for (const ArtifactFile& file : listed.files) check_file(directory / file.path, file);
      for (const ArtifactInput& input : listed.inputs) check_input(resolved_path(input.path, directory), input, directory);
    }
    return std::move(result_);
  }

 private:
  void differs(const fs::path& path, std::string expected, std::string found) {
    result_.mismatches.push_back({path.string(), std::move(expected), std::move(found)});
  }

  void enqueue(const fs::path& directory, Manifest manifest) {
    std::error_code error;
    const fs::path real = fs::canonical(directory, error);
    if (seen_.insert(error ? directory : real).second) queue_.emplace_back(directory, std::move(manifest));
  }

  void check_file(const fs::path& path, const ArtifactFile& file) {
    stop_if_asked();
    ++result_.num_files;
    try {
      if (!fs::exists(path)) return differs(path, fmt::format("a file of {} bytes", file.bytes), "nothing");
      if (!fs::is_regular_file(path)) return differs(path, fmt::format("a file of {} bytes", file.bytes), "no regular file");
      if (const uint64_t bytes = fs::file_size(path); bytes != file.bytes)
        return differs(path, fmt::format("{} bytes", file.bytes), fmt::format("{} bytes", bytes));
      log_.debug("hashing " + quote(path.string()));
      if (const std::string hash = sha256_file(path); hash != file.sha256) differs(path, "sha256 " + file.sha256, "sha256 " + hash);
    } catch (const Error& error) {
      unreadable(path, fmt::format("a file of {} bytes", file.bytes), error);
    } catch (const fs::filesystem_error& error) {
      differs(path, fmt::format("a file of {} bytes", file.bytes), error.code().message());
    }
  }

  void check_input(const fs::path& path, const ArtifactInput& input, const fs::path& user) {
    stop_if_asked();
    ++result_.num_inputs;
    const std::string expected = fmt::format("{} (input {} of {})", input.id, quote(input.role), quote(user.string()));
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    const bool pattern = !fs::exists(status) && is_shard_pattern(path.string());
    if (!fs::exists(status) && !pattern) {
      if (options_.allow_missing_inputs) return result_.missing_inputs.push_back(path.string());
      return differs(path, expected, error && error != std::errc::no_such_file_or_directory ? error.message() : "nothing");
    }
    try {
      std::string complaint;
      if (!pattern && is_artifact(path)) {
        // Data may have a manifest.json of its own, which is none of ours: then it is judged as data.
        try {
          Manifest manifest = read_manifest(path);
          const std::string id = manifest_id(manifest);
          if (id != input.id) differs(path, expected, id);
          return enqueue(path, std::move(manifest));
        } catch (const Error& broken) {
          complaint = broken.what();
        }
      }
      const std::string id = dataset_id(path, false);
      if (id == input.id) return;
      if (pattern || fs::is_directory(status)) {
        log_.debug("hashing the contents of " + quote(path.string()));
        if (dataset_id(path, true) == input.id) return;
      } else if (is_list(path)) {
        // A list stands for the files that it names.
        for (const bool contents : {false, true}) {
          if (image_data_id(path.string(), DataFormat::kList, contents) == input.id) return;
        }
      }
      differs(path, expected, complaint.empty() ? id : complaint);
    } catch (const Error& failure) {
      unreadable(path, expected, failure);
    }
  }

  static bool is_list(const fs::path& path) {
    try {
      return find_data_format(path.string()) == DataFormat::kList;
    } catch (const Error&) {
      return false;  // a file of another kind, such as weights
    }
  }

  void unreadable(const fs::path& path, std::string expected, const Error& error) {
    if (error.code() != ExitCode::kInput) throw error;
    differs(path, std::move(expected), fmt::format("nothing that can be read: {}", error.what()));
  }

  const VerifyOptions& options_;
  Log& log_;
  Verification result_;
  std::deque<std::pair<fs::path, Manifest>> queue_;
  std::set<fs::path> seen_;
};

}  // namespace

Verification verify(const fs::path& directory, const VerifyOptions& options, Log& log) { return Walk(options, log).run(directory); }

}  // namespace fettle::inspect_artifact
