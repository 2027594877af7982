#pragma once
// Is an artifact, with all that it was made from, still what its manifest says?

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/log.h"

namespace fettle::inspect_artifact {

struct VerifyOptions {
  bool allow_missing_inputs = false;
  std::string id;  // what the artifact's id must be; "": any
};

struct Mismatch {
  std::string path;  // of the file, the folder or the artifact
  std::string expected, found;
};

struct Verification {
  std::string id;                           // of the artifact asked for
  std::vector<Mismatch> mismatches;         // in the order found; empty: all is well
  std::vector<std::string> missing_inputs;  // tolerated by allow_missing_inputs
  int64_t num_artifacts = 0, num_files = 0, num_inputs = 0;  // looked at
};

// Recomputes size and hash of each listed file, and the id of each input at its recorded path: an input that is an
// artifact is verified likewise, each directory once; anything else must have one of the two ids that raw data can have
// (dataset/dataset_id.h). An input's path is the only link: a manifest edited at the end of the chain shows by `id` alone.
// Error(kInput) when `directory` is no artifact; Error(kInterrupted, kTerminated) when a signal asked to stop.
Verification verify(const std::filesystem::path& directory, const VerifyOptions& options, Log& log);

}  // namespace fettle::inspect_artifact
