#include "tests/tools/inspect-artifact/made_up.h"

#include "tests/support/temp_dir.h"

namespace fettle::test {

Manifest classifier() {
  Manifest manifest;
  manifest.kind = "classifier";
  manifest.tool = {"multiscale-train", "0.1.0", "abc1234", false};
  manifest.options = {{"epochs", 2}, {"lr", 0.1}, {"sampler", "msc-vbs"}, {"seed", 7}};
  manifest.drawn = {"seed"};
  manifest.model = {{"arch", "resnet20"}, {"num_classes", 10}};
  manifest.metrics = {{"val_top1_percent", 89.5},       {"val_ece", 0.021},
                      {"train_multiply_adds", 3.05e12}, {"best_epoch", 1},
                      {"val_top1_percent_at_16", 74.9}, {"val_top1_percent_at_28", 89.5},
                      {"val_ece_at_16", 0.11},          {"val_ece_at_28", 0.021},
                      {"val_top1_percent_mean", 82.2}};
  manifest.run = {{"started_utc", "2026-01-02T03:04:05Z"}, {"wall_s", 125.0}, {"device", "cpu"}, {"out", "runs/a"}};
  return manifest;
}

void write_artifact(const std::filesystem::path& directory, Manifest manifest, const std::string& weights) {
  std::filesystem::create_directories(directory);
  write_text(directory / "model.safetensors", weights);
  write_manifest(directory, std::move(manifest), {"model.safetensors"});
}

void edit_manifest(const std::filesystem::path& directory, const std::function<void(Json&)>& change) {
  Json json = Json::parse(read_text(directory / kManifestName));
  change(json);
  write_text(directory / kManifestName, json.dump());
}

std::string metrics_log(int epochs, double loss) {
  std::string text;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (int i = 1; i <= 2; ++i) {
      const int step = epoch * 100 + i * 50;
      text += Json{{"event", "train"}, {"epoch", epoch}, {"step", step}, {"multiply_adds", step * 1e10}, {"lr", 0.1}, {"loss", loss / step}}
                  .dump() +
              "\n";
    }
    text += Json{{"event", "epoch"},
                 {"epoch", epoch},
                 {"step", epoch * 100 + 100},
                 {"multiply_adds", (epoch + 1) * 1e12},
                 {"train", {{"loss", loss}}},
                 {"val_top1_percent", 80 + epoch},
                 {"val_top5_percent", 99},
                 {"val_ece", 0.03},
                 {"val_nll", 0.4}}
                .dump() +
            "\n";
  }
  return text;
}

}  // namespace fettle::test
