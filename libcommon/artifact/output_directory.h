#pragma once
// The directory that a run makes. It is created late (at the first step), locked against a second process as long as the
// run lives, and remembers the options of the run so that --resume can compare them.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace fettle {

using Json = nlohmann::json;

enum class OutputMode { kCreate, kResume, kOverwrite };

// options.json: what the run in a directory was started with.
struct RunRecord {
  Json options = Json::object();   // as they go into the manifest
  std::vector<std::string> drawn;  // names of options that were drawn
  Json inputs = Json::object();    // flags that name inputs, as they were typed
  Json initial = Json::object();   // what the tool keeps of inputs that a resumed run does not read again
};

class OutputDirectory {
 public:
  // Looks only: creates and removes nothing but a trial entry in the parent and what a killed run left of options.json.
  // Error(kUsage): it exists and `mode` is kCreate; it exists and no run of ours made it (any mode); another process works on it.
  // Error(kMachine) or Error(kInput): it cannot be written.
  // A follower is another process of the run whose leader makes the directory: it reads, and neither checks, locks nor writes.
  OutputDirectory(std::filesystem::path path, OutputMode mode, bool is_follower = false);
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory&) = delete;
  OutputDirectory& operator=(const OutputDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }
  bool resuming() const { return mode_ == OutputMode::kResume && existed_; }
  bool finished() const;                          // resuming, and the manifest is there
  std::optional<RunRecord> recorded() const;      // what options.json says; nothing when it is not there yet

  // Makes the directory, locks it and writes options.json. Of one that is there it first clears all with kOverwrite, else what a killed
  // process left half written. Later calls, and a follower's, do nothing.
  void open(const RunRecord& record);

 private:
  void lock();

  std::filesystem::path path_;
  OutputMode mode_;
  bool existed_ = false;
  bool opened_ = false;  // or not ours to open
  int lock_fd_ = -1;
};

}  // namespace fettle
