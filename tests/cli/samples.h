#pragma once
// What the contract has to know of a tool: a command line that can run, and one that cannot.

#include <filesystem>
#include <string>
#include <vector>

namespace fettle::test {

struct Sample {
  std::vector<std::string> positionals;  // "show", "DIR"
  std::vector<std::string> flags;        // with --out, for tools that have one
  std::vector<std::string> missing;      // a whole command line that names an input that is not there
};

// Makes what the sample needs in `directory`. Throws for a tool that has no entry.
Sample sample_of(const std::string& tool, const std::filesystem::path& directory);

}  // namespace fettle::test
