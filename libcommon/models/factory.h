#pragma once
// Architectures by name, and the description that travels in manifests.

#include <variant>

#include "models/cifar_resnet.h"
#include "models/resnet.h"

namespace fettle {

using ModelDescription = std::variant<ResNetDescription, CifarResNetDescription>;

std::vector<std::string> model_names();  // what --arch takes: resnet18 resnet34 resnet50 (torchvision's), resnet20 ... resnet56 (CIFAR's)

// The description behind a name of model_names(); another name is Error(kUsage) that shows the nearest one.
ModelDescription describe(const std::string& name, int64_t in_channels, int64_t num_classes);

// The family's JSON object; reading is strict, and what is wrong is Error(kInput).
nlohmann::json to_json(const ModelDescription& description);
ModelDescription model_description_from_json(const nlohmann::json& json);

std::shared_ptr<ImageClassifier> make_model(const ModelDescription& description);                 // weights at zero, to be loaded
std::shared_ptr<ImageClassifier> make_model(const ModelDescription& description, uint64_t seed);  // weights drawn from the seed

}  // namespace fettle
