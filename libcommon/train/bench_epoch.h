#pragma once
// An epoch of the trainer, for benchmarks that set it beside a bare loop of the same steps.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "train/trainer.h"

namespace fettle {

// Seconds of the steps of an epoch, as the trainer reports them; validation does not count. `folder` is made anew.
inline double trained_epoch_seconds(const TrainOptions& options, TrainerSetup setup, TrainTask& task, const std::filesystem::path& folder) {
  std::filesystem::remove_all(folder);
  OutputDirectory output(folder, OutputMode::kCreate);
  Log log(stderr, LogLevel::kQuiet, false, false);
  const RunRecord record;
  Trainer(options, std::move(setup), task, output, record, log).run();
  std::ifstream lines(folder / "metrics.jsonl");
  double train_s = 0;
  for (std::string line; std::getline(lines, line);) {
    if (const nlohmann::json json = nlohmann::json::parse(line); json.at("event") == "epoch") train_s = json.at("train_s");
  }
  FT_CHECK(train_s > 0);
  return train_s;
}

// "1.003 (0.991-1.020)": the median and between which values all lie.
inline std::string spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return fmt::format("{:.3f} ({:.3f}-{:.3f})", values[values.size() / 2], values.front(), values.back());
}

}  // namespace fettle
