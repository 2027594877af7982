#include "models/preprocessing.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "models/description_json.h"

namespace fettle {
namespace {

constexpr const char* kResize = "shorter side";

std::vector<double> read_numbers(const nlohmann::json& json, const char* key, bool positive) {
  std::vector<double> numbers;
  const auto& values = json.at(key);
  FT_REQUIRE(values.is_array() && !values.empty() && values.size() <= static_cast<size_t>(kMaxChannels), "preprocessing: {} must be numbers, one a channel", key);
  for (const auto& value : values) {
    FT_REQUIRE(value.is_number() && std::isfinite(value.get<double>()) && (!positive || value.get<double>() > 0), "preprocessing: {} holds {}", key, value.dump());
    numbers.push_back(value.get<double>());
  }
  return numbers;
}

}  // namespace

nlohmann::json to_json(const Preprocessing& p) {
  return {{"size", p.size}, {"resize", kResize}, {"crop_pct", p.crop_pct}, {"interpolation", p.interpolation}, {"mean", p.mean}, {"std", p.std}};
}

Preprocessing preprocessing_from_json(const nlohmann::json& json) {
  const DescriptionReader reader(json, {"size", "resize", "crop_pct", "interpolation", "mean", "std"}, DescriptionReader::Keys::kAll, ExitCode::kInput);
  Preprocessing p;
  std::string resize;
  reader.read("size", p.size, 1, 100000);
  reader.read("resize", resize, {kResize});
  reader.read("crop_pct", p.crop_pct, 1e-6, 1);
  reader.read("interpolation", p.interpolation, {"bilinear", "bicubic"});
  p.mean = read_numbers(json, "mean", false);
  p.std = read_numbers(json, "std", true);
  FT_REQUIRE(p.mean.size() == p.std.size(), "preprocessing: {} means, but {} deviations", p.mean.size(), p.std.size());
  return p;
}

std::vector<double> parse_channel_numbers(const std::string& text, int64_t num_channels, const std::string& flag, bool positive) {
  std::vector<double> numbers;
  for (const std::string& part : split(text, ',')) {
    const std::vector<std::string> fraction = split(part, '/');
    double value = 0, divisor = 1;
    const bool fits = !fraction.empty() && fraction.size() <= 2 && parse_number(fraction[0], value) && (fraction.size() == 1 || parse_number(fraction[1], divisor)) && divisor != 0;
    FT_REQUIRE_USAGE(fits && std::isfinite(value / divisor), "{}: expected numbers like 0.485,0.456,0.406 or 128/255, found '{}'", flag, text);
    numbers.push_back(value / divisor);
    FT_REQUIRE_USAGE(!positive || numbers.back() > 0, "{}: {} is not above 0", flag, numbers.back());
  }
  if (numbers.size() == 1) numbers.resize(static_cast<size_t>(num_channels), numbers[0]);
  FT_REQUIRE_USAGE(numbers.size() == static_cast<size_t>(num_channels), "{}: {} numbers for {} channels", flag, numbers.size(), num_channels);
  return numbers;
}

double shortest_decimal(float value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  double decimal = 0;
  std::from_chars(text, written.ptr, decimal);
  return decimal;
}

}  // namespace fettle
