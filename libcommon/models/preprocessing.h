#pragma once
// How a network wants its images: part of its description, written into its artifact beside it.

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace fettle {

// The image is resized so that size / crop_pct fits its shorter side (antialiased), its centre of size x size is cut out, and each
// channel becomes (pixel / 255 - mean) / std.
struct Preprocessing {
  int64_t size = 224;        // pixels, 1..1e5
  double crop_pct = 0.875;   // in (0, 1]
  std::string interpolation = "bilinear";  // or "bicubic"
  std::vector<double> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};  // one a channel, finite, std above 0

  bool operator==(const Preprocessing&) const = default;
};

nlohmann::json to_json(const Preprocessing& preprocessing);
// Strict: every key is there, of its type and range, and none besides. Error(kInput).
Preprocessing preprocessing_from_json(const nlohmann::json& json);

// What a user types for each channel: numbers separated by commas, or one for all; fractions are allowed ("0.485,0.456,0.406", "128/255").
// Error(kUsage) that begins with `flag`; with `positive` also for a number that is not above 0.
std::vector<double> parse_channel_numbers(const std::string& text, int64_t num_channels, const std::string& flag, bool positive = false);

// The decimal number that people write for this float: 0.485, not 0.48500001430511475.
double shortest_decimal(float value);

}  // namespace fettle
