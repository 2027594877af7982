#pragma once
// Runs an executable and catches what it says.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fettle::test {

struct ProcessResult {
  int code = 0;  // the exit code, or 128 + the signal that ended it
  std::string out, err;
};

// command[0] is looked up in PATH unless it has a slash. `environment` adds to ours, or replaces; no standard input.
ProcessResult run_process(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment = {},
                          const std::filesystem::path& directory = ".");

}  // namespace fettle::test
