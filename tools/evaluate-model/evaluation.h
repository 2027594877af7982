#pragma once
// A network over samples: what it answers for each, and what that adds up to.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "data/labelled_images.h"
#include "evaluate-model/network.h"
#include "metrics/classification.h"

namespace fettle::evaluate {

using Json = nlohmann::json;

inline constexpr size_t kShownClasses = 5;

// What the network answers for one sample: its likeliest classes, best first, at equal probabilities the lower class.
struct Answer {
  int64_t index = 0;   // of the sample
  int64_t label = -1;  // -1: none
  std::vector<int32_t> classes;      // min(5, C)
  std::vector<float> probabilities;  // of them
};

// Counts by class, sparse: (label, answer) pairs that occur.
struct Confusion {
  int64_t num_classes = 0;
  std::map<std::pair<int64_t, int64_t>, int64_t> counts;

  struct Pair {
    int64_t label = 0, answer = 0, count = 0;
  };
  struct ClassAccuracy {
    int64_t label = 0, images = 0;
    double percent = 0;
  };
  std::vector<ClassAccuracy> weakest_first() const;  // of the classes that have images, by accuracy, then by class
  std::vector<Pair> worst(size_t most) const;           // confused ones alone, by count, then by classes
  std::vector<int64_t> images_of_class() const;         // [C]
  std::vector<double> accuracy_percent_of_class() const;  // [C]; NaN where there is no image
};

struct SizeResult {
  int64_t size = 0;  // px; 0: none
  ClassificationResult result;
  CalibrationBins bins;
  Confusion confusion;
};

std::string at_size(int64_t size);  // " at 224 px", or nothing where there is no size

// Runs the network, which is on settings.device, over all samples. `answers` may be null; `bad` gets what could not be used, `progress` the
// number of samples done. Error(kNumbers): the answers, or what they add up to with labels, are not finite.
SizeResult evaluate_at(const Network& network, const LabelledImages& samples, int64_t size, bool has_labels, const Settings& settings, std::vector<Answer>* answers,
                       const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress);

Json to_json(const SizeResult& result);

}  // namespace fettle::evaluate
