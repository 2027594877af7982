#include "artifact/manifest.h"

#include <catch2/catch.hpp>

#include <cmath>

#include "io/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;

namespace {

const std::string kHash(64, 'a');

Manifest sample() {
  Manifest manifest;
  manifest.kind = "classifier";
  manifest.tool = {"multiscale-train", "0.1.0", "abc1234", false};
  manifest.options = {{"epochs", 2}, {"lr", 0.1}, {"seed", 1}};
  manifest.drawn = {"seed"};
  manifest.inputs = {{"data", "../d/cifar", "sha256:" + kHash}};
  manifest.files = {{"model.safetensors", 12, kHash}};
  manifest.model = {{"arch", "resnet18"}};
  manifest.metrics = {{"val_top1_percent", 91.5}};
  manifest.run = {{"wall_s", 61.2}};
  return manifest;
}

std::string with(const std::function<void(Json&)>& change) {
  Json json = to_json(sample());
  change(json);
  return json.dump();
}

Manifest parse(const std::string& text) { return parse_manifest(text, "m.json"); }

}  // namespace

TEST_CASE("manifest: what is written is read back, unknown keys included") {
  const Json json = Json::parse(with([](Json& j) { j["notes"] = {{"by", "someone"}}; }));
  CHECK(to_json(parse(json.dump())) == json);
}

TEST_CASE("manifest: the id is the hash of the canonical JSON without run and input paths") {
  const std::string canonical =
      R"({"drawn":["seed"],"files":[{"bytes":12,"path":"model.safetensors","sha256":")" + kHash +
      R"("}],"inputs":[{"id":"sha256:)" + kHash + R"(","role":"data"}],"kind":"classifier","metrics":{"val_top1_percent":91.5},)"
      R"("model":{"arch":"resnet18"},"options":{"epochs":2,"lr":0.1,"seed":1},"schema":"fettle.artifact/1",)"
      R"("tool":{"dirty":false,"git":"abc1234","name":"multiscale-train","version":"0.1.0"}})";
  CHECK(manifest_id(sample()) == "sha256:" + sha256_hex(canonical));

  Manifest moved = sample();
  moved.run = {{"wall_s", 1e9}, {"out", "elsewhere"}};
  moved.inputs[0].path = "/mnt/cifar";
  CHECK(manifest_id(moved) == manifest_id(sample()));
  Manifest other = sample();
  other.options["lr"] = 0.2;
  CHECK(manifest_id(other) != manifest_id(sample()));
}

TEST_CASE("manifest: every malformed field is refused by name") {
  const auto refused = [](const std::string& part, const std::function<void(Json&)>& change) {
    expect_error(ExitCode::kInput, part, [&] { parse(with(change)); });
  };
  refused("'kind' is missing", [](Json& j) { j.erase("kind"); });
  refused("'options' should be object", [](Json& j) { j["options"] = 3; });
  refused("schema 'fettle.artifact/2'", [](Json& j) { j["schema"] = "fettle.artifact/2"; });
  refused("not one of Fettle's", [](Json& j) { j["schema"] = "other/1"; });
  refused("'../../etc/passwd' leaves", [](Json& j) { j["files"][0]["path"] = "../../etc/passwd"; });
  refused("leaves the artifact's directory", [](Json& j) { j["files"][0]["path"] = "/etc/passwd"; });
  refused("leaves the artifact's directory", [](Json& j) { j["files"][0]["path"] = "a/../../b"; });
  refused("'bytes' should be", [](Json& j) { j["files"][0]["bytes"] = -1; });
  refused("has no sha256", [](Json& j) { j["files"][0]["sha256"] = "abc"; });
  refused("is listed twice", [](Json& j) { j["files"].push_back(j["files"][0]); });
  refused("input 'data' has no sha256 id", [](Json& j) { j["inputs"][0]["id"] = "md5:1"; });
  refused("metric 'val_top1_percent' should be a number, found null", [](Json& j) { j["metrics"]["val_top1_percent"] = nullptr; });
  expect_error(ExitCode::kInput, "m.json: not valid JSON near byte 2", [] { parse("nonsense"); });
  expect_error(ExitCode::kInput, "nested deeper than 64", [] { parse(std::string(100'000, '[')); });
  expect_error(ExitCode::kInput, "expected an object", [] { parse("[]"); });
}

TEST_CASE("manifest: it is written last, with the hashes of the files it lists") {
  const test::TempDir dir;
  test::write_text(dir / "model.safetensors", "weights");
  CHECK_FALSE(is_artifact(dir.path()));
  expect_error(ExitCode::kInput, "not a complete artifact", [&] { read_manifest(dir.path()); });
  write_manifest(dir.path(), sample(), {"model.safetensors"});
  const Manifest manifest = read_manifest(dir.path(), "classifier");
  REQUIRE(manifest.files.size() == 1);
  CHECK(manifest.files[0].bytes == 7);
  CHECK(manifest.files[0].sha256 == sha256_hex("weights"));
  expect_error(ExitCode::kInput, "of kind 'classifier', expected 'dataset'", [&] { read_manifest(dir.path(), "dataset"); });
  expect_error(ExitCode::kInput, "no such artifact", [&] { read_manifest(dir / "absent"); });

  Manifest broken = sample();
  broken.metrics["val_ece"] = std::nan("");
  expect_error(ExitCode::kBug, "metric val_ece", [&] { write_manifest(dir.path(), broken, {}); });
}

TEST_CASE("manifest: an unfinished run says how to go on") {
  const test::TempDir dir;
  std::filesystem::create_directory(dir / "state");
  expect_error(ExitCode::kInput, "--resume", [&] { read_manifest(dir.path()); });
}

TEST_CASE("manifest: inputs are recorded relative to the artifact unless typed absolute") {
  CHECK(recorded_path("/data/x/../y", "runs/a") == "/data/y");
  CHECK(recorded_path("d/cifar", "runs/a") == "../../d/cifar");
  CHECK(resolved_path("../../d/cifar", "runs/a") == std::filesystem::path("d/cifar"));
  CHECK(resolved_path("/data/y", "runs/a") == std::filesystem::path("/data/y"));
}

TEST_CASE("manifest: paths that stay inside") {
  for (const char* good : {"a", "a/b.txt", "state.d/x", "..a", "a..b"}) CHECK(stays_inside(good));
  for (const char* bad : {"", "/a", "..", "a/..", "./a", "a//b", "a/", "a\\b"}) CHECK_FALSE(stays_inside(bad));
}
