#pragma once
// Model descriptions to and from JSON. A description struct D has the members arch and num_classes, in_channels where its input has
// channels, the constants kFamily and kArchs (text for messages), a function has_arch(), and a template fields(self, field) that calls
// field(name, member, limits...) for every further member: that list alone decides what is written, read and overridden.

#include <cstdint>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/errors.h"

namespace fettle {

inline constexpr int64_t kMaxChannels = 65536;     // of an image
inline constexpr int64_t kMaxClasses = 1 << 20;  // above it a description is damaged, not ambitious

// The values of a JSON object. Each has its type and range and none is extra; what is wrong is an Error of the given code that
// names the key, what was expected and what was found.
class DescriptionReader {
 public:
  enum class Keys { kAll, kSome };  // of the list: every one is expected, or any may be missing
  DescriptionReader(const nlohmann::json& json, const std::vector<std::string>& keys, Keys needed, ExitCode code);

  // A missing key leaves the value as it is.
  void read(const std::string& key, int64_t& value, int64_t min, int64_t max) const;
  void read(const std::string& key, double& value, double min, double max) const;
  void read(const std::string& key, std::vector<int64_t>& value, int64_t min, int64_t max) const;  // a number is a list of one
  void read(const std::string& key, std::string& value) const;
  void read(const std::string& key, std::string& value, const std::vector<std::string>& allowed) const;

 private:
  const nlohmann::json& json_;
  ExitCode code_;
};

// The row of a family's table whose `arch` it is; null without one.
template <typename Rows>
auto find_arch(const Rows& rows, const std::string& arch) -> decltype(std::data(rows)) {
  for (const auto& row : rows) {
    if (arch == row.arch) return &row;
  }
  return nullptr;
}

// Members that do not go together, where the family has such: its fault() says which.
template <typename D>
void require_no_fault(const D& description, ExitCode code) {
  if constexpr (requires { description.fault(); }) {
    if (const std::string fault = description.fault(); !fault.empty()) FT_FAIL(code, "model description: {}", fault);
  }
}

template <typename D>
inline constexpr bool has_channels = requires(D description) { description.in_channels; };

template <typename D>
nlohmann::json description_to_json(const D& description) {
  nlohmann::json json = {{"family", D::kFamily}, {"arch", description.arch}, {"num_classes", description.num_classes}};
  if constexpr (has_channels<D>) json["in_channels"] = description.in_channels;
  D::fields(description, [&](const char* name, const auto& value, const auto&...) { json[name] = value; });
  return json;
}

// Strict: every key is expected. Error(kInput).
template <typename D>
D description_from_json(const nlohmann::json& json) {
  D description;
  std::vector<std::string> keys = {"family", "arch", "num_classes"};
  if constexpr (has_channels<D>) keys.emplace_back("in_channels");
  D::fields(description, [&](const char* name, const auto&...) { keys.emplace_back(name); });
  const DescriptionReader reader(json, keys, DescriptionReader::Keys::kAll, ExitCode::kInput);
  std::string family;
  reader.read("family", family, {D::kFamily});
  reader.read("arch", description.arch);
  if constexpr (has_channels<D>) reader.read("in_channels", description.in_channels, 1, kMaxChannels);
  reader.read("num_classes", description.num_classes, 1, kMaxClasses);
  D::fields(description, [&](const char* name, auto& value, const auto&... limits) { reader.read(name, value, limits...); });
  FT_REQUIRE(D::has_arch(description.arch), "model description: family '{}' has {}, found '{}'", D::kFamily, D::kArchs, description.arch);
  require_no_fault(description, ExitCode::kInput);
  return description;
}

// Any of the further members. Error(kUsage).
template <typename D>
void override_description(D& description, const nlohmann::json& json) {
  std::vector<std::string> keys;
  D::fields(description, [&](const char* name, const auto&...) { keys.emplace_back(name); });
  const DescriptionReader reader(json, keys, DescriptionReader::Keys::kSome, ExitCode::kUsage);
  D::fields(description, [&](const char* name, auto& value, const auto&... limits) { reader.read(name, value, limits...); });
  require_no_fault(description, ExitCode::kUsage);
}

}  // namespace fettle
