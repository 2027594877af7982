// Through the executable: exit codes, and what goes to which stream.
#include <catch2/catch.hpp>

#include <algorithm>

#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/inspect-artifact/made_up.h"

using namespace fettle;
using Catch::Contains;
namespace fs = std::filesystem;

namespace {

test::ProcessResult inspect(std::vector<std::string> arguments, const std::map<std::string, std::string>& environment = {}) {
  arguments.insert(arguments.begin(), FETTLE_INSPECT_ARTIFACT);
  return test::run_process(arguments, environment);
}

int64_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

}  // namespace

TEST_CASE("inspect-artifact verify: path and id with code 0, the offending file with code 1, code 3 for no artifact") {
  const test::TempDir dir;
  const std::string run = (dir / "run").string();
  test::write_artifact(run, test::classifier());
  const std::string id = manifest_id(read_manifest(run));
  const test::ProcessResult good = inspect({"verify", run});
  CHECK(good.code == 0);
  CHECK(good.out == run + "  " + id + "\n");
  CHECK(good.err.empty());
  CHECK(inspect({"verify", run, "--id", id}).code == 0);
  CHECK(inspect({"verify", run, "--id", "sha256:" + std::string(64, '0')}).code == 1);

  test::write_text(dir / "run/model.safetensors", "Weights");
  const test::ProcessResult bad = inspect({"verify", run});
  CHECK(bad.code == 1);
  CHECK(bad.out.empty());
  CHECK_THAT(bad.err, Contains("error: " + run + "/model.safetensors: expected sha256 ") && Contains(", found sha256 "));
  CHECK(lines(bad.err) == 1);
  const test::ProcessResult json = inspect({"verify", run, "--json"});
  CHECK(json.code == 1);
  CHECK(Json::parse(json.out)["artifacts"][0]["mismatches"][0]["path"] == run + "/model.safetensors");

  const test::ProcessResult none = inspect({"verify", dir.path().string()});
  CHECK(none.code == 3);
  CHECK(none.out.empty());
}

TEST_CASE("inspect-artifact verify: many mismatches are four lines at most; missing inputs fail unless allowed") {
  const test::TempDir dir;
  Manifest manifest = test::classifier();
  for (int i = 0; i < 6; ++i) manifest.inputs.push_back({"data", "../gone-" + std::to_string(i), "sha256:" + std::string(64, 'a')});
  test::write_artifact(dir / "run", manifest);
  const test::ProcessResult bad = inspect({"verify", (dir / "run").string()});
  CHECK(bad.code == 1);
  CHECK(lines(bad.err) == 4);
  CHECK_THAT(bad.err, Contains("gone-0") && Contains("and 3 more"));
  CHECK(inspect({"verify", (dir / "run").string(), "--allow-missing-inputs"}).code == 0);
}

TEST_CASE("inspect-artifact show: text, JSON, and --require for CI") {
  const test::TempDir dir;
  const std::string run = (dir / "run").string();
  test::write_artifact(run, test::classifier());
  CHECK_THAT(inspect({"show", run}).out, Contains("val_top1_percent") && Contains("msc-vbs"));
  const Json json = Json::parse(inspect({"show", run, "--json"}).out);
  CHECK(json["manifest"]["options"]["sampler"] == "msc-vbs");
  CHECK(json["metrics"]["best_epoch"] == 1);
  CHECK(inspect({"show", run, "--require", "val_top1_percent>=89"}).code == 0);
  CHECK(inspect({"show", run, "--require", "val_top1_percent>=90"}).code == 1);
  CHECK(inspect({"compare", run, run, "--require", "val_top1_percent>=90"}).code == 2);
}

TEST_CASE("inspect-artifact compare: code 0 whether they differ or not") {
  const test::TempDir dir;
  Manifest manifest = test::classifier();
  test::write_artifact(dir / "a", manifest);
  manifest.options["lr"] = 0.2;
  test::write_artifact(dir / "b", manifest);
  const std::string a = (dir / "a").string(), b = (dir / "b").string();
  CHECK(inspect({"compare", a, b}).code == 0);
  CHECK_THAT(inspect({"compare", a, b}).out, Contains("lr"));
  CHECK(inspect({"compare", a, a}).code == 0);
  CHECK(Json::parse(inspect({"compare", a, b, "--json"}).out)["differences"]["options.lr"]["b"] == 0.2);
  CHECK(inspect({"compare", a, (dir / "c").string()}).code == 3);
}

TEST_CASE("inspect-artifact plot: writes one file, replaces it only when told to, says what is missing") {
  const test::TempDir dir;
  const std::string run = (dir / "run").string(), svg = (dir / "a.svg").string();
  fs::create_directory(run);
  test::write_text(dir / "run/metrics.jsonl", test::metrics_log(2) + "{\"event\":\"tr");
  // No gnuplot in PATH.
  const test::ProcessResult without = inspect({"plot", run, "--out", svg}, {{"PATH", dir.path().string()}});
  CHECK(without.code == 4);
  CHECK_THAT(without.err, Contains("apt-get install gnuplot-nox"));
  CHECK_FALSE(fs::exists(svg));

  test::write_text(dir / "bad.svg", "mine");
  CHECK(inspect({"plot", run, "--out", (dir / "bad.svg").string()}).code == 2);
  CHECK(test::read_text(dir / "bad.svg") == "mine");
  CHECK(inspect({"plot", run, "--out", run, "--overwrite"}).code == 2);
  CHECK(inspect({"plot", run}).code == 2);
  if (test::run_process({"/bin/sh", "-c", "command -v gnuplot"}).code != 0) return test::skip("no gnuplot");

  const test::ProcessResult drawn = inspect({"plot", run, "--out", svg});
  CHECK(drawn.code == 0);
  CHECK(drawn.out == svg + "\n");
  CHECK_THAT(test::read_text(svg), Contains("</svg>"));
  CHECK(inspect({"plot", run, "--out", (dir / "bad.svg").string(), "--overwrite"}).code == 0);
  CHECK_THAT(test::read_text(dir / "bad.svg"), Contains("</svg>"));
  CHECK(inspect({"plot", run, "--out", (dir / "absent/a.svg").string()}).code == 4);

  // The user's own settings do not enter.
  test::write_text(dir / ".gnuplot", "set xlabel 'from the home directory'\nexit status 3\n");
  CHECK(inspect({"plot", run, "--out", svg, "--overwrite"}, {{"HOME", dir.path().string()}}).code == 0);

  test::write_text(dir / "run/metrics.jsonl", "{\"event\":\"train\"}\n{broken\n{\"event\":\"train\"}\n");
  const test::ProcessResult broken = inspect({"plot", run, "--out", svg, "--overwrite"});
  CHECK(broken.code == 3);
  CHECK_THAT(broken.err, Contains("metrics.jsonl, line 2"));
}

TEST_CASE("inspect-artifact: flags and numbers of paths belong to their command") {
  for (const std::vector<std::string>& wrong :
       std::vector<std::vector<std::string>>{{"show", "a", "b"},
                                             {"compare", "a"},
                                             {"compare", "a", "b", "c"},
                                             {"show", "a", "--out", "b"},
                                             {"plot", "a", "--id", "sha256:" + std::string(64, '0'), "--out", "x"},
                                             {"verify", "a", "--id", "sha256:12"},
                                             {"show"},
                                             {},
                                             {"look", "a"}}) {
    CHECK(inspect(wrong).code == 2);
  }
}
