#include "artifact/output_directory.h"

#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "artifact/manifest.h"
#include "tests/support/expect_error.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {
const RunRecord kRecord{{{"seed", 7}}, {"seed"}};
}

TEST_CASE("output: looking creates nothing, open makes the directory and remembers the options") {
  const test::TempDir dir;
  OutputDirectory output(dir / "a/b", OutputMode::kCreate);
  CHECK(fs::is_empty(dir.path()));
  output.open(kRecord);
  output.open(kRecord);
  CHECK(fs::exists(dir / "a/b/options.json"));
  CHECK_FALSE(output.resuming());
}

TEST_CASE("output: an existing run is refused, resumed or replaced as asked") {
  const test::TempDir dir;
  OutputDirectory(dir / "run", OutputMode::kCreate).open(kRecord);
  test::write_text(dir / "run/metrics.jsonl", "{}\n");

  expect_error(ExitCode::kUsage, "--resume continues", [&] { OutputDirectory(dir / "run", OutputMode::kCreate); });
  {
    OutputDirectory resumed(dir / "run/", OutputMode::kResume);
    CHECK(resumed.resuming());
    CHECK_FALSE(resumed.finished());
    REQUIRE(resumed.recorded().has_value());
    CHECK(resumed.recorded()->options == kRecord.options);
    CHECK(resumed.recorded()->drawn == kRecord.drawn);
    resumed.open({});
    CHECK(fs::exists(dir / "run/metrics.jsonl"));
  }
  OutputDirectory replaced(dir / "run", OutputMode::kOverwrite);
  CHECK(fs::exists(dir / "run/metrics.jsonl"));  // still there until the first step
  replaced.open(kRecord);
  CHECK_FALSE(fs::exists(dir / "run/metrics.jsonl"));
}

TEST_CASE("output: resuming a directory that is not there starts anew; an empty one may be used") {
  const test::TempDir dir;
  CHECK_FALSE(OutputDirectory(dir / "new", OutputMode::kResume).resuming());
  fs::create_directory(dir / "empty");
  OutputDirectory(dir / "empty", OutputMode::kCreate).open(kRecord);
  CHECK(fs::exists(dir / "empty/options.json"));
}

TEST_CASE("output: a run killed while it wrote its first file may be resumed, replaced or started anew") {
  const test::TempDir dir;
  const fs::path left = dir / "run/.options.json.tmp-a1b2c3";
  for (const OutputMode mode : {OutputMode::kCreate, OutputMode::kResume, OutputMode::kOverwrite}) {
    fs::create_directories(dir / "run");
    test::write_text(left, "{\"opt");
    OutputDirectory output(dir / "run", mode);
    CHECK_FALSE(fs::exists(left));
    CHECK_FALSE(output.recorded().has_value());
    output.open(kRecord);
    fs::remove(dir / "run/options.json");
  }
}

TEST_CASE("output: resuming clears what a killed process left half written, when the run goes on and not before") {
  const test::TempDir dir;
  OutputDirectory(dir / "run", OutputMode::kCreate).open(kRecord);
  const std::vector<std::string> left = {"run/.model.safetensors.tmp-a1b2c3", "run/.metrics.jsonl.tmp-000000", "run/state/.step-00000007.tmp-zzzzzz", "run/state.removed/step-00000001"};
  const std::vector<std::string> kept = {"run/metrics.jsonl", "run/state/step-00000006", "run/.notes.tmp-file"};
  fs::create_directories(dir / "run/state");
  for (const auto& name : left) fs::create_directories(dir / name);
  for (const auto& name : kept) fs::create_directories(dir / name);
  const auto there = [&](const std::string& name) { return fs::exists(dir / name); };
  OutputDirectory output(dir / "run", OutputMode::kResume);
  CHECK(std::all_of(left.begin(), left.end(), there));
  output.open(kRecord);
  CHECK(std::none_of(left.begin(), left.end(), there));
  CHECK(std::all_of(kept.begin(), kept.end(), there));
}

TEST_CASE("output: what a tool keeps of its inputs is there for the run that goes on; older runs kept nothing") {
  const test::TempDir dir;
  RunRecord record = kRecord;
  record.initial = {{"ids", {{"init", "sha256:0"}}}};
  OutputDirectory(dir / "run", OutputMode::kCreate).open(record);
  CHECK(OutputDirectory(dir / "run", OutputMode::kResume).recorded()->initial == record.initial);
  test::write_text(dir / "run/options.json", R"({"options": {}, "drawn": [], "inputs": {}})");
  CHECK(OutputDirectory(dir / "run", OutputMode::kResume).recorded()->initial.empty());
  test::write_text(dir / "run/options.json", R"({"options": {}, "drawn": [], "inputs": {}, "initial": 3})");
  expect_error(ExitCode::kInput, "not what a run writes", [&] { OutputDirectory(dir / "run", OutputMode::kResume).recorded(); });
}

TEST_CASE("output: replacing clears what an earlier, killed replacement left as well, and writes the new options") {
  const test::TempDir dir;
  OutputDirectory(dir / "run", OutputMode::kCreate).open(kRecord);
  for (const char* step : {"run/state.removed/step-00000001", "run/state/step-00000002"}) {
    fs::create_directories(dir / step);
    test::write_text(dir / step / "facts.json", "{}");
  }
  test::write_text(dir / "run/metrics.jsonl", "{}\n");
  OutputDirectory replaced(dir / "run", OutputMode::kOverwrite);
  replaced.open({{{"seed", 8}}, {}});
  CHECK(std::distance(fs::directory_iterator(dir / "run"), fs::directory_iterator()) == 1);
  CHECK_THAT(test::read_text(dir / "run/options.json"), Catch::Contains("\"seed\": 8"));
}

TEST_CASE("output: a second process on the same directory is refused") {
  const test::TempDir dir;
  OutputDirectory first(dir / "run", OutputMode::kCreate);
  first.open(kRecord);
  expect_error(ExitCode::kUsage, "in use by another process", [&] { OutputDirectory(dir / "run", OutputMode::kResume); });
  expect_error(ExitCode::kUsage, "in use by another process", [&] { OutputDirectory(dir / "run", OutputMode::kOverwrite); });
}

TEST_CASE("output: files that no run made are never touched") {
  const test::TempDir dir;
  test::write_text(dir / "thesis.tex", "precious");
  for (const OutputMode mode : {OutputMode::kResume, OutputMode::kOverwrite}) {
    expect_error(ExitCode::kUsage, "left alone", [&] { OutputDirectory(dir.path(), mode); });
  }
  CHECK(test::read_text(dir / "thesis.tex") == "precious");
}

TEST_CASE("output: a place that cannot be written is refused before any work") {
  const test::TempDir dir;
  test::write_text(dir / "file", "");
  expect_error(ExitCode::kUsage, "is not a directory", [&] { OutputDirectory(dir / "file", OutputMode::kCreate); });
  expect_error(ExitCode::kInput, "is not a directory", [&] { OutputDirectory(dir / "file/run", OutputMode::kCreate); });
  expect_error(ExitCode::kUsage, "--out", [&] { OutputDirectory("", OutputMode::kCreate); });
  if (geteuid() == 0) return test::skip("permissions do not bind root");
  chmod(dir.path().c_str(), 0555);
  expect_error(ExitCode::kInput, "Permission denied", [&] { OutputDirectory(dir / "run", OutputMode::kCreate); });
  chmod(dir.path().c_str(), 0755);
}
