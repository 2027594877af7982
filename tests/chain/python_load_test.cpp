// What we write loads in the Python libraries: FETTLE_PYTHON names an interpreter that has torch, timm, torchvision and
// safetensors (default python3). Skipped where it has not.
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

#include "artifact/manifest.h"
#include "tests/support/idx_files.h"
#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;

namespace {

std::string python_with(const std::string& modules) {
  const char* const named = std::getenv("FETTLE_PYTHON");
  const std::string python = named != nullptr && *named != '\0' ? named : "python3";
  return test::run_process({python, "-c", "import " + modules}).code == 0 ? python : "";
}

}  // namespace

TEST_CASE("chain: networks of Python's libraries come in, answer the same, and go out unchanged") {
  const std::string python = python_with("torch, timm, torchvision, safetensors, numpy, PIL");
  if (python.empty()) return test::skip("no Python with torch, timm, torchvision, safetensors and Pillow; FETTLE_PYTHON names one");
  const test::TempDir dir;
  const test::ProcessResult made = test::run_process({python, FETTLE_CHAIN_TESTS "/round_trip.py", "make", dir.path().string()});
  INFO(made.err);
  REQUIRE(made.code == 0);
  int networks = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
    if (entry.path().extension() != ".json") continue;
    ++networks;
    const Json facts = Json::parse(test::read_text(entry.path()));
    const std::string stem = (dir / entry.path().stem().string()).string();
    const test::ProcessResult result = test::run_process(
        {FETTLE_BIN "/evaluate-model", "--from", stem + ".safetensors", "--arch", facts.at("arch"), "--arch-options", facts.at("options").dump(), "--size", "224", "--resize", "224",
         "--mean", "0.5", "--std", "0.25", "--predict", (dir / "picture.png").string(), "--json", "--export", stem + ".back.safetensors", "--names", facts.at("library"), "--device",
         "cpu"});
    INFO(entry.path().stem() << "\n" << result.err);
    REQUIRE(result.code == 0);
    const Json output = Json::parse(result.out);
    REQUIRE(output.at("predictions").at(0).at("top").size() == 5);
    for (const Json& answer : output.at("predictions").at(0).at("top")) {
      const size_t label = std::stoul(answer.at("class").get<std::string>());
      CHECK(answer.at("probability").get<double>() == Approx(facts.at("probabilities").at(label).get<double>()).margin(2e-4));
    }
  }
  CHECK(networks >= 26);
  const test::ProcessResult checked = test::run_process({python, FETTLE_CHAIN_TESTS "/round_trip.py", "check", dir.path().string()});
  INFO(checked.err);
  CHECK(checked.code == 0);
}

TEST_CASE("chain: timm and torchvision load a trained ResNet and find the same accuracy") {
  const std::string python = python_with("torch, timm, torchvision, safetensors, numpy");
  if (python.empty()) return test::skip("no Python with torch, timm, torchvision and safetensors; FETTLE_PYTHON names one");

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
