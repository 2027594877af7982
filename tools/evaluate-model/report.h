#pragma once
// The page for people: one HTML file that needs nothing else.

#include <cstdint>
#include <string>
#include <vector>

#include "evaluate-model/evaluation.h"

namespace fettle::evaluate {

// RGB pixels [height, width, 3] as an image that a browser shows in place: "data:image/bmp;base64,...".
std::string image_uri(const std::vector<uint8_t>& rgb, int64_t height, int64_t width);

struct ShownError {
  Answer answer;
  std::string name;     // of the sample
  std::string picture;  // image_uri(); empty where samples are no pictures
};

struct CorruptedResult {
  std::string corruption;
  int severity = 0;
  SizeResult result;
};

struct ReportPage {
  std::string model, data;               // one line each
  std::string samples;                   // "images" or "files"
  std::vector<std::string> class_names;  // one a class, numbers where there are no names
  std::vector<SizeResult> sizes;
  std::vector<CorruptedResult> corrupted;  // at the first size
  std::vector<ShownError> errors;        // most confident first, at the first size
};

std::string to_html(const ReportPage& page);

}  // namespace fettle::evaluate
