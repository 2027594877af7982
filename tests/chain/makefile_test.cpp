#include <catch2/catch.hpp>

#include "artifact/manifest.h"
#include "tests/support/idx_files.h"
#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
namespace fs = std::filesystem;

TEST_CASE("chain: the example Makefile trains, checks, compares and plots, and fails on a missed requirement") {
  if (test::run_process({"make", "--version"}).code != 0) return test::skip("no make");
  const test::TempDir dir;
  std::vector<uint8_t> labels;
  for (int i = 0; i < 120; ++i) labels.push_back(static_cast<uint8_t>(i % 10));
  test::write_idx_dataset(dir / "data", labels, labels, 12, 12);
  const auto make = [&](const std::string& require) {
    return test::run_process({"make", "-C", FETTLE_EXAMPLES, "BIN=" FETTLE_BIN, "DATA=" + (dir / "data").string(), "RUNS=" + (dir / "runs").string(), "EPOCHS=1",
                              "SIZE=12", "SIZES=8:16:3", "REQUIRE=" + require});
  };
  const test::ProcessResult first = make("val_top1_percent>=0");
  INFO(first.err);
  REQUIRE(first.code == 0);
  CHECK(is_artifact(dir / "runs/fixed"));
  CHECK_THAT(first.out, Catch::Contains("val_top1_percent"));
  CHECK_THAT(test::read_text(dir / "runs/curves.svg"), Catch::Contains("<svg"));
  const std::string id = manifest_id(read_manifest(dir / "runs/variable"));

  const test::ProcessResult again = make("val_top1_percent>=0");
  CHECK(again.code == 0);
  CHECK_THAT(again.out, !Catch::Contains("--sampler"));  // nothing is trained twice
  CHECK(manifest_id(read_manifest(dir / "runs/variable")) == id);

  const test::ProcessResult missed = make("val_top1_percent>=101");
  CHECK(missed.code != 0);
  CHECK_THAT(missed.err, Catch::Contains("required val_top1_percent>=101"));
}
