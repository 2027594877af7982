#include "tests/cli/samples.h"

#include <cstdint>
#include <stdexcept>
#include <utility>

#include "io/safetensors.h"
#include "tests/support/idx_files.h"
#include "tests/support/temp_dir.h"

namespace fettle::test {
namespace {

// ResNet-20 for ten classes, all zeros.
void write_resnet20(const std::filesystem::path& file) {
  std::vector<TensorSpec> specs;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) { specs.push_back({name, Dtype::kF32, std::move(shape)}); };
  const auto add_pair = [&](const std::string& prefix, const std::string& number, int64_t in, int64_t out) {
    add(prefix + "conv" + number + ".weight", {out, in, 3, 3});
    for (const char* part : {"weight", "bias", "running_mean", "running_var"}) add(prefix + "bn" + number + "." + part, {out});
  };
  add_pair("", "1", 3, 16);
  for (int64_t stage = 1; stage <= 3; ++stage) {
    for (int64_t block = 0; block < 3; ++block) {
      const std::string prefix = "layer" + std::to_string(stage) + "." + std::to_string(block) + ".";
      const int64_t out = 8 << stage;
      add_pair(prefix, "1", block == 0 && stage > 1 ? out / 2 : out, out);
      add_pair(prefix, "2", out, out);
    }
  }
  add("linear.weight", {10, 64});
  add("linear.bias", {10});
  SafetensorsWriter writer(file, specs, {});
  for (const TensorSpec& spec : specs) {
    int64_t values = 1;
    for (const int64_t n : spec.shape) values *= n;
    writer.write(std::vector<uint8_t>(static_cast<size_t>(values) * 4));
  }
  writer.commit();
}

}  // namespace

Sample sample_of(const std::string& tool, const std::filesystem::path& directory) {
  const auto in = [&](const char* name) { return (directory / name).string(); };
  if (tool == "inspect-artifact") return {.positionals = {"show", FETTLE_ARTIFACT_V1}, .flags = {}, .missing = {"show", in("absent")}};
  if (tool == "evaluate-model") {
    write_resnet20(directory / "w.safetensors");
    write_text(directory / "p.ppm", "P6 4 4 255\n" + std::string(48, 'x'));
    const auto with_weights = [&](const std::string& file) { return std::vector<std::string>{"--from", file, "--arch", "resnet20", "--predict", in("p.ppm"), "--device", "cpu", "--seed", "1"}; };
    return {.positionals = {}, .flags = with_weights(in("w.safetensors")), .missing = with_weights(in("absent"))};
  }
  if (tool == "byteformer-train") {
    for (const char* part : {"train", "val"}) {
      for (const char* label : {"a", "b"}) {
        std::filesystem::create_directories(directory / "files" / part / label);
        write_text(directory / "files" / part / label / "1.bin", std::string(50, *label));
      }
    }
    const auto with_data = [&](const std::string& data) {
      return std::vector<std::string>{"--data", data, "--arch", "bf_custom", "--arch-options", R"({"width": 8, "num_layers": 1, "num_heads": 1, "kernel": 4})", "--batch-size", "2", "--epochs", "1", "--seed", "1",
                                      "--device", "cpu", "--out", in("run")};
    };
    return {.positionals = {}, .flags = with_data(in("files")), .missing = with_data(in("absent"))};
  }
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
