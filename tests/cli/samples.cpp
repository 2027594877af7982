#include "tests/cli/samples.h"

#include <stdexcept>

#include "tests/support/idx_files.h"

namespace fettle::test {

Sample sample_of(const std::string& tool, const std::filesystem::path& directory) {
  const auto in = [&](const char* name) { return (directory / name).string(); };
  if (tool == "inspect-artifact") return {.positionals = {"show", FETTLE_ARTIFACT_V1}, .flags = {}, .missing = {"show", in("absent")}};
  if (tool == "multiscale-train") {
    std::vector<uint8_t> labels;
    for (int i = 0; i < 40; ++i) labels.push_back(static_cast<uint8_t>(i % 10));
    std::filesystem::create_directory(directory / "data");
    write_idx_dataset(directory / "data", labels, labels, 28, 28);
    const std::vector<std::string> flags = {"--sampler",       "msc-vbs", "--size",       "28",  "--sizes",  "16:40:3",
                                            "--size-multiple", "4",       "--batch-size", "8",   "--epochs", "1",
                                            "--seed",          "1",       "--device",     "cpu", "--out",    in("run")};
    const auto with_data = [&](const std::string& data) {
      std::vector<std::string> all = {"--data", data};
      all.insert(all.end(), flags.begin(), flags.end());
      return all;
    };
    return {.positionals = {}, .flags = with_data(in("data")), .missing = with_data(in("absent"))};
  }
  throw std::runtime_error("tests/cli/samples.cpp has no sample of " + tool);
}

}  // namespace fettle::test
