#pragma once
// What a user of evaluate-model chooses. Initial values are the defaults.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/classifier.h"
#include "cli/flags.h"
#include "decode/image.h"

namespace fettle::evaluate {

struct Options {
  ClassifierSource model;
  std::string phi_file;  // of a network that reads bytes

  std::string data;
  std::string data_format = "auto";
  std::vector<std::string> predict;
  std::optional<int64_t> workers;
  std::string bad_images = "fail";
  double max_bad_percent = 1;
  int64_t max_pixels = DecodeOptions{}.max_pixels;
  bool exif_orientation = false;

  std::vector<int64_t> eval_sizes;
  int64_t batch_size = 64;
  std::string precision = "fp32";
  int64_t ece_bins = 15;
  std::vector<std::string> corruptions;
  std::vector<int64_t> severities = {1, 2, 3, 4, 5};

  std::string predictions;
  std::string report;
  std::string export_file;
  std::string names;
};

void bind(FlagTable& table, Options& options);
void validate(const Options& options);

}  // namespace fettle::evaluate
