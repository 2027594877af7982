// What we write loads in the Python libraries: FETTLE_PYTHON names an interpreter that has torch, timm, torchvision and
// safetensors (default python3). Skipped where it has not.
#include <catch2/catch.hpp>

#include <cstdlib>

#include "artifact/manifest.h"
#include "tests/support/idx_files.h"
#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;

TEST_CASE("chain: timm and torchvision load a trained ResNet and find the same accuracy") {
  const char* const named = std::getenv("FETTLE_PYTHON");
  const std::string python = named != nullptr && *named != '\0' ? named : "python3";
  const test::ProcessResult look = test::run_process({python, "-c", "import torch, timm, torchvision, safetensors, numpy"});
  if (look.code != 0) return test::skip("no Python with torch, timm, torchvision and safetensors; FETTLE_PYTHON names one");

  const test::TempDir dir;
  std::vector<uint8_t> labels;
  for (int i = 0; i < 60; ++i) labels.push_back(static_cast<uint8_t>(i * i % 5));
  for (uint8_t& label : labels) label = label == 4 ? 2 : label;  // 0, 1, 2 occur
  test::write_idx_dataset(dir / "data", labels, labels, 20, 20);
  const std::string artifact = (dir / "run").string(), data = (dir / "data").string();
  const test::ProcessResult trained =
      test::run_process({FETTLE_BIN "/multiscale-train", "--data", data, "--arch", "resnet18", "--sampler", "ssc-fbs", "--size", "20", "--size-multiple", "4",
                         "--batch-size", "20", "--epochs", "2", "--lr", "0.01", "--seed", "3", "--threads", "1", "--precision", "fp32", "--device", "cpu", "--out", artifact, "-q"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const test::ProcessResult loaded = test::run_process({python, FETTLE_CHAIN_TESTS "/load_in_python.py", artifact, data});
  INFO(loaded.err);
  REQUIRE(loaded.code == 0);
  const Json found = Json::parse(loaded.out);
  const Json metrics = read_manifest(artifact).metrics;
  for (const std::string library : {"timm", "torchvision"}) {
    INFO(library << ": " << found.at(library));
    // A rounding that flips one of the sixty predictions would be a coincidence; the loss knows every digit.
    CHECK(found.at(library).at("nll").get<double>() == Approx(metrics.at("val_nll").get<double>()).epsilon(1e-4));
    CHECK(found.at(library).at("top1_percent").get<double>() == Approx(metrics.at("val_top1_percent").get<double>()).epsilon(1e-4));
  }
}
