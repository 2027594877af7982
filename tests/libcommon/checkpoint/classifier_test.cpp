#include "checkpoint/classifier.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "checkpoint/weights.h"
#include "models/factory.h"
#include "models/module.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {

// Weights of a small network as a bare file.
ClassifierSource bare(const fs::path& file, int64_t num_classes = 7) {
  const ModelDescription description = describe("mobilenet_v2", 3, num_classes, {{"width_multiplier", 0.1}});
  save_weights(file, named_tensors(*make_model(description, 3)));
  ClassifierSource source;
  source.from = file.string();
  source.arch = "mobilenet_v2";
  source.arch_options = R"({"width_multiplier": 0.1})";
  return source;
}

}  // namespace

TEST_CASE("classifier: a bare file says its classes, flags say how images are prepared") {
  const test::TempDir dir;
  ClassifierSource source = bare(dir / "w.safetensors");
  const Classifier usual = open_classifier(source);
  CHECK(usual.model->num_classes() == 7);
  CHECK(usual.preprocessing == Preprocessing{});
  CHECK(usual.class_names.empty());
  CHECK_FALSE(usual.model->is_training());
  CHECK_THAT(usual.description, Catch::Contains("mobilenet_v2, 7 classes, 224 px, normalised as ImageNet is (--mean, --std)"));

  test::write_text(dir / "names.txt", "a\nb\r\nc, d\ne\nf\ng\nh\n");
  source.size = 160;
  source.resize = 200;
  source.mean = "128/255";
  source.std = "0.5,0.25,1";
  source.interpolation = "bicubic";
  source.labels = (dir / "names.txt").string();
  const Classifier said = open_classifier(source);
  CHECK(said.preprocessing == Preprocessing{160, 0.8, "bicubic", {128.0 / 255, 128.0 / 255, 128.0 / 255}, {0.5, 0.25, 1}});
  CHECK(said.class_names == std::vector<std::string>{"a", "b", "c, d", "e", "f", "g", "h"});
  CHECK(said.id == usual.id);
}

TEST_CASE("classifier: what does not fit is refused") {
  const test::TempDir dir;
  const ClassifierSource good = bare(dir / "w.safetensors");
  const auto refused = [&](ExitCode code, const std::string& part, const std::function<void(ClassifierSource&)>& change) {
    INFO(part);
    ClassifierSource source = good;
    change(source);
    expect_error(code, part, [&] {
      validate(source);
      open_classifier(source);
    });
  };
  refused(ExitCode::kUsage, "--from is needed", [](ClassifierSource& s) { s.from.clear(); });
  refused(ExitCode::kUsage, "--arch is needed", [](ClassifierSource& s) { s.arch.clear(); });
  refused(ExitCode::kUsage, "no architecture 'mobilenet_v9'", [](ClassifierSource& s) { s.arch = "mobilenet_v9"; });
  refused(ExitCode::kInput, "does not fit the network", [](ClassifierSource& s) { s.arch = "resnet18", s.arch_options.clear(); });
  NamedTensors fewer = named_tensors(*make_model(describe("mobilenet_v2", 3, 7, {{"width_multiplier", 0.1}}), 3));
  std::erase_if(fewer, [](const auto& entry) { return entry.first.starts_with("features.3.conv.1.1.") && !entry.first.ends_with("num_batches_tracked"); });
  save_weights(dir / "fewer.safetensors", fewer);
  ClassifierSource incomplete = good;
  incomplete.from = (dir / "fewer.safetensors").string();
  expect_error(ExitCode::kInput, "4 tensors are missing ('features.3.conv.1.1.weight', ...)", [&] { open_classifier(incomplete); });
  expect_error(ExitCode::kInput, "-v lists all names", [&] { open_classifier(incomplete); });
  expect_error(ExitCode::kInput, "'features.3.conv.1.1.bias', 'features.3.conv.1.1.running_mean'", [&] { open_classifier(incomplete, /*all_names=*/true); });
  refused(ExitCode::kInput, "--arch may be another network", [](ClassifierSource& s) { s.arch = "resnet20", s.arch_options.clear(); });
  refused(ExitCode::kInput, "expected", [](ClassifierSource& s) { s.arch_options.clear(); });  // another width
  refused(ExitCode::kUsage, "--resize 100 is below the size 224", [](ClassifierSource& s) { s.resize = 100; });
  refused(ExitCode::kUsage, "--mean: 2 numbers for 3 channels", [](ClassifierSource& s) { s.mean = "0.5,0.5"; });
  refused(ExitCode::kUsage, "--std: 0 is not above 0", [](ClassifierSource& s) { s.std = "0"; });
  refused(ExitCode::kUsage, "--interpolation", [](ClassifierSource& s) { s.interpolation = "nearest"; });
  for (const char* wrong : {"x", "1/0", "1//2", "0.1,", "1e999"}) refused(ExitCode::kUsage, "--mean: expected numbers", [&](ClassifierSource& s) { s.mean = wrong; });
  test::write_text(dir / "names.txt", "a\nb\n");
  refused(ExitCode::kInput, "2 lines, but the network has 7 classes", [&](ClassifierSource& s) { s.labels = (dir / "names.txt").string(); });
  refused(ExitCode::kInput, "", [&](ClassifierSource& s) { s.from = (dir / "nothing").string(); });
}

TEST_CASE("preprocessing: JSON and back; what is wrong is refused by its key") {
  const Preprocessing p{96, 0.9, "bicubic", {0.5}, {0.25}};
  CHECK(preprocessing_from_json(to_json(p)) == p);
  const auto refused = [&](const std::string& part, const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json json = to_json(p);
    change(json);
    INFO(part);
    expect_error(ExitCode::kInput, part, [&] { preprocessing_from_json(json); });
  };
  refused("size", [](auto& j) { j["size"] = 0; });
  refused("size", [](auto& j) { j.erase("size"); });
  refused("resize", [](auto& j) { j["resize"] = "stretch"; });
  refused("crop_pct", [](auto& j) { j["crop_pct"] = 1.5; });
  refused("interpolation", [](auto& j) { j["interpolation"] = "nearest"; });
  refused("mean", [](auto& j) { j["mean"] = nlohmann::json::array(); });
  refused("std", [](auto& j) { j["std"] = {0}; });
  refused("mean", [](auto& j) { j["mean"] = {"a"}; });
  refused("2 means, but 1 deviations", [](auto& j) { j["mean"] = {0.1, 0.2}; });
  refused("color", [](auto& j) { j["color"] = 1; });
  CHECK(shortest_decimal(0.485F) == 0.485);
  CHECK(static_cast<float>(shortest_decimal(0.1F / 3)) == 0.1F / 3);
}

TEST_CASE("weights: what is exported for a library comes back the same") {
  const test::TempDir dir;
  for (const char* arch : {"resnet18", "seresnet50", "mobilenetv1_100", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "swin_t", "vit_tiny_patch16_224"}) {
    const auto model = make_model(describe(arch, 3, 10), 5);
    std::vector<std::string> libraries = own_libraries(*model);
    for (const LibraryNames& other : other_libraries(*model)) libraries.push_back(other.library);
    for (const std::string& library : libraries) {
      INFO(arch << " for " << library);
      save_weights(dir / "w.safetensors", tensors_for_library(*model, library));
      const auto back = make_model(describe(arch, 3, 10), 6);
      const LoadReport report = load_weights(WeightsFile(dir / "w.safetensors"), *back);
      CHECK(report.is_complete());
      const std::vector<StateEntry> want = state_dict(*model), got = state_dict(*back);
      for (size_t i = 0; i < want.size(); ++i) {
        INFO(want[i].name);
        CHECK(at::equal(got[i].tensor, want[i].tensor));
      }
    }
  }
  for (const auto& [name, tensor] : tensors_for_library(*make_model(describe("mobilenet_v3_small", 3, 10)), "timm")) {
    if (name == "conv_head.weight") CHECK(tensor.dim() == 4);
  }
  const auto cifar = make_model(describe("resnet20", 3, 10), 5);
  expect_error(ExitCode::kUsage, "no library 'timm' knows \"resnet20\"", [&] { tensors_for_library(*cifar, "timm"); });
  const auto mobile = make_model(describe("mobilenet_v2", 3, 10), 5);
  expect_error(ExitCode::kUsage, "its names can be: timm, huggingface, torchvision", [&] { tensors_for_library(*mobile, "keras"); });
}
