#include "inspect-artifact/verify.h"

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/signals.h"
#include "dataset/dataset_id.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/inspect-artifact/made_up.h"

using namespace fettle;
using namespace fettle::inspect_artifact;
using Catch::Contains;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {

// data (raw) <- teacher <- student: the student's inputs are both.
struct Chain {
  test::TempDir dir;
  fs::path data = dir / "data", teacher = dir / "teacher", student = dir / "student";

  explicit Chain(bool hash_contents = false) {
    fs::create_directory(data);
    test::write_text(data / "images", "0123456789");
    test::write_text(data / "labels", "01");
    Manifest manifest = test::classifier();
    manifest.inputs = {{"data", "../data", dataset_id(data, hash_contents)}};
    test::write_artifact(teacher, manifest);
    manifest.inputs.push_back({"teacher", teacher.string(), manifest_id(read_manifest(teacher))});
    test::write_artifact(student, manifest, "other weights");
  }

  Verification check(const VerifyOptions& options = {}) const {
    Log log(stderr, LogLevel::kQuiet);
    return verify(student, options, log);
  }
  // The one thing that must differ.
  void differs(const fs::path& path, const std::string& expected, const std::string& found, const VerifyOptions& options = {}) const {
    const Verification result = check(options);
    REQUIRE(result.mismatches.size() == 1);
    CHECK(result.mismatches[0].path == path.string());
    CHECK_THAT(result.mismatches[0].expected, Contains(expected));
    CHECK_THAT(result.mismatches[0].found, Contains(found));
  }
};

}  // namespace

TEST_CASE("verify: an untouched chain is accepted, each artifact looked at once") {
  const Chain chain;
  const Verification result = chain.check();
  CHECK(result.mismatches.empty());
  CHECK(result.id == manifest_id(read_manifest(chain.student)));
  CHECK(result.num_artifacts == 2);
  CHECK(result.num_files == 2);
  CHECK(result.num_inputs == 3);
}

TEST_CASE("verify: a changed byte, a changed size and a missing file are found, here and up the chain") {
  const Chain chain;
  for (const fs::path& artifact : {chain.student, chain.teacher}) {
    const fs::path file = artifact / "model.safetensors";
    const std::string before = test::read_text(file);
    std::string flipped = before;
    flipped[3] ^= 1;
    test::write_text(file, flipped);
    chain.differs(file, "sha256 ", "sha256 ");
    test::write_text(file, before + "x");
    chain.differs(file, std::to_string(before.size()) + " bytes", std::to_string(before.size() + 1) + " bytes");
    fs::remove(file);
    chain.differs(file, "a file of", "nothing");
    fs::create_directory(file);
    chain.differs(file, "a file of", "no regular file");
    fs::remove(file);
    test::write_text(file, before);
  }
  CHECK(chain.check().mismatches.empty());
}

TEST_CASE("verify: an edited manifest shows in whoever has it as an input, and by --id") {
  const Chain chain;
  const std::string id = chain.check().id;
  test::edit_manifest(chain.student, [](Json& j) { j["metrics"]["val_top1_percent"] = 99.9; });
  CHECK(chain.check().mismatches.empty());
  chain.differs(chain.student, id, "sha256:", {.id = id});
  test::edit_manifest(chain.student, [](Json& j) { j["metrics"]["val_top1_percent"] = 89.5; });
  CHECK(chain.check({.id = id}).mismatches.empty());

  test::edit_manifest(chain.teacher, [](Json& j) { j["run"]["wall_s"] = 1; });  // not part of the id
  CHECK(chain.check().mismatches.empty());
  test::edit_manifest(chain.teacher, [](Json& j) { j["options"]["lr"] = 0.2; });
  chain.differs(chain.teacher, "input 'teacher' of", "sha256:");
  test::write_text(chain.teacher / "manifest.json", "{");
  chain.differs(chain.teacher, "input 'teacher' of", "not valid JSON");
}

TEST_CASE("verify: changed data are found, and so are inputs that are gone") {
  const Chain chain;
  test::write_text(chain.data / "images", "0123456789x");
  const Verification changed = chain.check();
  REQUIRE(changed.mismatches.size() == 2);  // an input of both
  CHECK(changed.mismatches[0].path == (chain.data).string());
  CHECK_THAT(changed.mismatches[0].expected, Contains("input 'data' of"));

  fs::remove_all(chain.data);
  CHECK(chain.check().mismatches.size() == 2);
  CHECK(chain.check().mismatches[0].found == "nothing");
  const Verification tolerated = chain.check({.allow_missing_inputs = true});
  CHECK(tolerated.mismatches.empty());
  CHECK(tolerated.missing_inputs == std::vector<std::string>{chain.data.string(), chain.data.string()});
  fs::remove_all(chain.teacher);
  CHECK(chain.check().mismatches.size() == 2);
  CHECK(chain.check({.allow_missing_inputs = true}).mismatches.empty());
}

TEST_CASE("verify: data are known by names and sizes, or by contents where these were hashed") {
  const Chain by_size(false), by_contents(true);
  for (const Chain* chain : {&by_size, &by_contents}) {
    CHECK(chain->check().mismatches.empty());
    test::write_text(chain->data / "images", "9876543210");
  }
  CHECK(by_size.check().mismatches.empty());
  CHECK(by_contents.check().mismatches.size() == 2);
}

TEST_CASE("verify: a data folder with a manifest.json of its own is judged as data") {
  const test::TempDir dir;
  fs::create_directory(dir / "data");
  test::write_text(dir / "data/manifest.json", R"({"images": 3})");
  Manifest manifest = test::classifier();
  manifest.inputs = {{"data", "../data", dataset_id(dir / "data", false)},
                     {"list", "../data/manifest.json", dataset_id(dir / "data/manifest.json", false)}};
  test::write_artifact(dir / "run", manifest);
  Log log(stderr, LogLevel::kQuiet);
  CHECK(verify(dir / "run", {}, log).mismatches.empty());
  test::write_text(dir / "data/manifest.json", R"({"images": 12})");
  const Verification changed = verify(dir / "run", {}, log);
  REQUIRE(changed.mismatches.size() == 2);
  CHECK_THAT(changed.mismatches[0].found, Contains("'schema' is missing"));
}

TEST_CASE("verify: inputs in a circle end") {
  const test::TempDir dir;
  Manifest a = test::classifier();
  test::write_artifact(dir / "b", a);
  a.inputs = {{"from", "../b", manifest_id(read_manifest(dir / "b"))}};
  test::write_artifact(dir / "a", a);
  test::edit_manifest(dir / "b", [](Json& j) {
    j["inputs"] = {{{"role", "from"}, {"path", "../a"}, {"id", "sha256:" + std::string(64, '0')}}};
  });
  Log log(stderr, LogLevel::kQuiet);
  const Verification result = verify(dir / "a", {}, log);
  CHECK(result.num_artifacts == 2);
  CHECK(result.mismatches.size() == 2);  // neither can have the id of the other
}

TEST_CASE("verify: a signal ends it between two files") {
  const Chain chain;
  const pid_t child = fork();  // the flag of signals is the process's
  if (child == 0) {
    install_stop_signals();
    raise(SIGTERM);
    try {
      chain.check();
    } catch (const Error& error) {
      _exit(static_cast<int>(error.code()));
    }
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WEXITSTATUS(status) == 143);
}

TEST_CASE("verify: what is no artifact is bad input") {
  const test::TempDir dir;
  Log log(stderr, LogLevel::kQuiet);
  expect_error(ExitCode::kInput, "not a complete artifact", [&] { verify(dir.path(), {}, log); });
  test::write_text(dir / "manifest.json", "{}");
  expect_error(ExitCode::kInput, "'schema' is missing", [&] { verify(dir.path(), {}, log); });
}

// Artifacts of every schema that was ever written stay readable, with the id they had.
TEST_CASE("verify: the artifact kept from schema fettle.artifact/1") {
  const fs::path kept = FETTLE_ARTIFACT_V1;
  const Manifest manifest = read_manifest(kept, "classifier");
  CHECK(manifest_id(manifest) == "sha256:707863fa986158bc269639d63db264df25a1253b9e6036f1d917f4b3c32fb07e");
  CHECK(manifest.options.at("note") == "größe \"28\"\n");
  CHECK(manifest.extra.contains("future"));
  CHECK(to_json(manifest) == Json::parse(test::read_text(kept / "manifest.json")));
  Log log(stderr, LogLevel::kQuiet);
  const Verification result = verify(kept, {.id = manifest_id(manifest)}, log);
  CHECK(result.mismatches.empty());
  CHECK(result.num_files == 2);
  CHECK(result.num_inputs == 1);
}
