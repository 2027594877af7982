#pragma once
// A classifier over images: what it answers for each, and what that adds up to.

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint/classifier.h"
#include "data/labelled_images.h"
#include "data/loader.h"
#include "metrics/classification.h"

namespace fettle::evaluate {

using Json = nlohmann::json;

inline constexpr size_t kShownClasses = 5;

// What the network answers for one image: its likeliest classes, best first, at equal probabilities the lower class.
struct Answer {
  int64_t index = 0;   // of the image
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
  int64_t size = 0;
  ClassificationResult result;
  CalibrationBins bins;
  Confusion confusion;
};

struct Settings {
  int64_t batch_pixels = 0;  // images a batch times their pixels
  at::ScalarType precision = at::kFloat;
  int64_t ece_bins = 15;
  LoaderOptions loader;
};

// Runs the network, which is on the loader's device, over all images at size x size. `answers` may be null; `bad` gets what could not be
// decoded, `progress` the number of images done. With labels: Error(kNumbers) when what it adds up to is not finite.
SizeResult evaluate_at(const Classifier& classifier, const LabelledImages& images, int64_t size, bool has_labels, const Settings& settings, std::vector<Answer>* answers,
                       const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress);

Json to_json(const SizeResult& result);

}  // namespace fettle::evaluate
