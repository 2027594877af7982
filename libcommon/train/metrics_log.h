#pragma once
// metrics.jsonl: one JSON object a line, append-only, flushed. Plots and CI read it.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace fettle {

class MetricsLog {
 public:
  // Cuts the file back to `offset` bytes (a resumed run repeats what came after its state) and appends from there.
  MetricsLog(const std::filesystem::path& file, uint64_t offset);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  void write(const nlohmann::json& line);  // Error(kBug) on a number that is not finite
  uint64_t sync();                         // to disk; returns the offset

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  uint64_t offset_ = 0;
};

}  // namespace fettle
