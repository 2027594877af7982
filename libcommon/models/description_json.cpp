#include "models/description_json.h"

#include <algorithm>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {

DescriptionReader::DescriptionReader(const nlohmann::json& json, const std::vector<std::string>& keys) : json_(json) {
  FT_REQUIRE(json.is_object(), "model description: expected an object, found {}", json.type_name());
  for (const auto& item : json.items()) {
    FT_REQUIRE(std::find(keys.begin(), keys.end(), item.key()) != keys.end(), "model description: unknown key '{}', expected {}", item.key(), join(keys, ", "));
  }
  for (const std::string& key : keys) FT_REQUIRE(json.contains(key), "model description: key '{}' is missing", key);
}

int64_t DescriptionReader::integer(const std::string& key, int64_t min, int64_t max) const {
  const nlohmann::json& value = json_.at(key);
  // An unsigned number beyond int64 would wrap: compare it as what it is.
  const bool fits = value.is_number_unsigned() ? value.get<uint64_t>() <= static_cast<uint64_t>(max) && value.get<int64_t>() >= min
                                               : value.is_number_integer() && value.get<int64_t>() >= min && value.get<int64_t>() <= max;
  FT_REQUIRE(fits, "model description: {} must be an integer of {} to {}, found {}", key, min, max, value.dump());
  return value.get<int64_t>();
}

std::string DescriptionReader::text(const std::string& key) const {
  FT_REQUIRE(json_.at(key).is_string(), "model description: {} must be text, found {}", key, json_.at(key).dump());
  return json_.at(key).get<std::string>();
}

}  // namespace fettle
