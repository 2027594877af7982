#pragma once
// Architectures by name, and the description that travels in manifests.

#include <variant>

#include "models/cifar_resnet.h"
#include "models/efficientnet.h"
#include "models/mobilenet_v1.h"
#include "models/mobilenet_v2.h"
#include "models/mobilenet_v3.h"
#include "models/resnet.h"
#include "models/swin.h"
#include "models/vision_transformer.h"

namespace fettle {

using ModelDescription =
    std::variant<ResNetDescription, CifarResNetDescription, MobileNetV1Description, MobileNetV2Description, MobileNetV3Description, EfficientNetDescription, SwinDescription,
                 VisionTransformerDescription>;

std::vector<std::string> model_names();  // what --arch takes
std::string models_help();               // a line each: name, parameters, the options that it has and their values

// The description behind a name of model_names(); another name is Error(kUsage) that shows the nearest one. `overrides` is a
// JSON object of members of the family's description other than in_channels and num_classes; what is wrong is Error(kUsage).
ModelDescription describe(const std::string& name, int64_t in_channels, int64_t num_classes);
ModelDescription describe(const std::string& name, int64_t in_channels, int64_t num_classes, const nlohmann::json& overrides);

// The family's JSON object; reading is strict, and what is wrong is Error(kInput).
nlohmann::json to_json(const ModelDescription& description);
ModelDescription model_description_from_json(const nlohmann::json& json);

std::shared_ptr<ImageClassifier> make_model(const ModelDescription& description);                 // weights at zero, to be loaded
std::shared_ptr<ImageClassifier> make_model(const ModelDescription& description, uint64_t seed);  // weights drawn from the seed

}  // namespace fettle
