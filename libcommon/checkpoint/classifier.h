#pragma once
// A trained classifier with all that belongs to it, from an artifact or from a bare weights file and what flags say about it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "cli/flags.h"
#include "models/image_classifier.h"
#include "models/preprocessing.h"

namespace fettle {

inline constexpr const char* kClassifierKind = "classifier";

struct ClassifierSource {
  std::string from;
  std::string arch, arch_options;  // of a bare file
  std::optional<int64_t> size, resize;
  std::string mean, std, interpolation, labels;
};

void bind(FlagTable& table, ClassifierSource& source);
void validate(const ClassifierSource& source);

struct Classifier {
  std::shared_ptr<ImageClassifier> model;  // in evaluation mode, fp32, on the CPU
  Preprocessing preprocessing;
  std::vector<std::string> class_names;    // one a class, or empty where nobody has named them
  std::string id;                          // "sha256:..." of the artifact, or of the file
  std::string description;                 // one line for people
};

// --from: an artifact; one of an artifact's weight files (model_best.safetensors), with its artifact's description; or a bare file of
// weights with --arch. What flags say goes before what the artifact says. A bare file without --size, --mean and --std is fed as the
// architecture usually is, and the description says so.
// Errors: kUsage for --arch with an artifact or none with a bare file, and for flags that do not fit the network; kInput as WeightsFile
// and load_weights(), for incomplete weights, and for a --labels file of another number of lines than the network has classes.
// `all_names`: the error of incomplete weights has every name.
Classifier open_classifier(const ClassifierSource& source, bool all_names = false);

// A name for each class: its number where nobody has named it.
std::vector<std::string> names_or_numbers(std::vector<std::string> names, int64_t num_classes);

}  // namespace fettle
