#pragma once
// Strict reading of a model description: every key is expected, none is extra, each value has its type and range. What is
// wrong is the file's fault: Error(kInput) that names the key, what was expected and what was found.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace fettle {

class DescriptionReader {
 public:
  DescriptionReader(const nlohmann::json& json, const std::vector<std::string>& keys);
  int64_t integer(const std::string& key, int64_t min, int64_t max) const;
  std::string text(const std::string& key) const;

 private:
  const nlohmann::json& json_;
};

inline constexpr int64_t kMaxChannels = 65536;     // of an image
inline constexpr int64_t kMaxClasses = 1 << 20;  // above it a description is damaged, not ambitious

}  // namespace fettle
