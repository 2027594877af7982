#include "models/description_json.h"

#include <algorithm>

#include "base/text.h"

namespace fettle {
namespace {

// An unsigned number beyond int64 would wrap: compare it as what it is.
bool is_integer_within(const nlohmann::json& json, int64_t min, int64_t max) {
  return json.is_number_unsigned() ? json.get<uint64_t>() <= static_cast<uint64_t>(max) && json.get<int64_t>() >= min
                                   : json.is_number_integer() && json.get<int64_t>() >= min && json.get<int64_t>() <= max;
}

}  // namespace

DescriptionReader::DescriptionReader(const nlohmann::json& json, const std::vector<std::string>& keys, Keys needed, ExitCode code) : json_(json), code_(code) {
  if (!json.is_object()) FT_FAIL(code, "model description: expected an object, found {}", json.type_name());
  for (const auto& item : json.items()) {
    if (std::find(keys.begin(), keys.end(), item.key()) != keys.end()) continue;
    FT_FAIL(code, "model description: unknown key '{}', expected {}", item.key(), keys.empty() ? "none" : join(keys, ", "));
  }
  if (needed == Keys::kSome) return;
  for (const std::string& key : keys) {
    if (!json.contains(key)) FT_FAIL(code, "model description: key '{}' is missing", key);
  }
}

void DescriptionReader::read(const std::string& key, int64_t& value, int64_t min, int64_t max) const {
  const auto found = json_.find(key);
  if (found == json_.end()) return;
  if (!is_integer_within(*found, min, max)) FT_FAIL(code_, "model description: {} must be an integer of {} to {}, found {}", key, min, max, found->dump());
  value = found->get<int64_t>();
}

void DescriptionReader::read(const std::string& key, std::vector<int64_t>& value, int64_t min, int64_t max) const {
  const auto found = json_.find(key);
  if (found == json_.end()) return;
  const nlohmann::json list = found->is_array() ? *found : nlohmann::json::array({*found});
  for (const nlohmann::json& entry : list) {
    if (!is_integer_within(entry, min, max)) FT_FAIL(code_, "model description: {} must be integers of {} to {}, found {}", key, min, max, entry.dump());
  }
  value = list.get<std::vector<int64_t>>();
}

void DescriptionReader::read(const std::string& key, double& value, double min, double max) const {
  const auto found = json_.find(key);
  if (found == json_.end()) return;
  if (!found->is_number() || !(found->get<double>() >= min && found->get<double>() <= max)) {
    FT_FAIL(code_, "model description: {} must be a number of {} to {}, found {}", key, min, max, found->dump());
  }
  value = found->get<double>();
}

void DescriptionReader::read(const std::string& key, std::string& value) const {
  const auto found = json_.find(key);
  if (found == json_.end()) return;
  if (!found->is_string()) FT_FAIL(code_, "model description: {} must be text, found {}", key, found->dump());
  value = found->get<std::string>();
}

void DescriptionReader::read(const std::string& key, std::string& value, const std::vector<std::string>& allowed) const {
  std::string text = value;
  read(key, text);
  if (json_.contains(key) && std::find(allowed.begin(), allowed.end(), text) == allowed.end()) {
    FT_FAIL(code_, "model description: {} must be '{}', found '{}'", key, join(allowed, "' or '"), text);
  }
  value = text;
}

}  // namespace fettle
