#pragma once
// The same network under the names of other libraries: what torchvision, timm and Hugging Face's transformers write into their
// files. Names of ours are of one of them already (docs/models.md); these are the others.

#include <functional>
#include <string>
#include <vector>

#include "models/image_classifier.h"

namespace fettle {

// A tensor of ours, named in another library: one name, or three whose tensors are joined along the first dimension (query,
// key and value apart). None: that library has no such tensor.
using Renaming = std::function<std::vector<std::string>(const std::string& name)>;

std::vector<std::string> own_names(const std::string& name);  // the names of ours: the name itself

struct LibraryNames {
  std::string library;  // "timm"
  Renaming rename;
};

// The libraries whose names ours are: "torchvision", "timm". None for the CIFAR ResNets of the public weights.
std::vector<std::string> own_libraries(const ImageClassifier& model);

// Every library that knows the model's network under names that differ from ours.
std::vector<LibraryNames> other_libraries(const ImageClassifier& model);

}  // namespace fettle
