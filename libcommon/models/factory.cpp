#include "models/factory.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "base/errors.h"
#include "base/text.h"
#include "models/description_json.h"

namespace fettle {
namespace {

struct NamedModel {
  const char* name;
  ModelDescription description;
};

const std::vector<NamedModel>& named_models() {
  static const std::vector<NamedModel> models = [] {
    std::vector<NamedModel> list;
    for (const char* name : {"resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "seresnet50"}) list.push_back({name, ResNetDescription{.arch = name}});
    for (const char* name : {"resnet20", "resnet32", "resnet44", "resnet56"}) list.push_back({name, CifarResNetDescription{.arch = name}});
    list.push_back({"mobilenetv1_100", MobileNetV1Description{}});
    list.push_back({"mobilenet_v2", MobileNetV2Description{}});
    for (const char* name : {"mobilenet_v3_large", "mobilenet_v3_small"}) list.push_back({name, MobileNetV3Description{.arch = name}});
    for (const char* name : {"efficientnet_b0", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3"}) list.push_back({name, efficientnet_description(name)});
    for (const char* name : {"swin_t", "swin_s"}) list.push_back({name, swin_description(name)});
    for (const char* name : {"vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"}) list.push_back({name, vision_transformer_description(name)});
    return list;
  }();
  return models;
}

std::shared_ptr<ImageClassifier> make(const ResNetDescription& description) { return make_resnet(description); }
std::shared_ptr<ImageClassifier> make(const CifarResNetDescription& description) { return make_cifar_resnet(description); }
std::shared_ptr<ImageClassifier> make(const MobileNetV1Description& description) { return make_mobilenet_v1(description); }
std::shared_ptr<ImageClassifier> make(const MobileNetV2Description& description) { return make_mobilenet_v2(description); }
std::shared_ptr<ImageClassifier> make(const MobileNetV3Description& description) { return make_mobilenet_v3(description); }
std::shared_ptr<ImageClassifier> make(const EfficientNetDescription& description) { return make_efficientnet(description); }
std::shared_ptr<ImageClassifier> make(const SwinDescription& description) { return make_swin(description); }
std::shared_ptr<ImageClassifier> make(const VisionTransformerDescription& description) { return make_vision_transformer(description); }

// Of whichever of the families is named.
template <typename... D>
ModelDescription read_description(const std::variant<D...>*, const std::string& family, const nlohmann::json& json) {
  std::optional<ModelDescription> description;
  ((family == D::kFamily && (description = description_from_json<D>(json), true)) || ...);
  FT_REQUIRE(description, "model description: expected family '{}', found '{}'", join({D::kFamily...}, "', '"), family);
  return *description;
}

constexpr size_t kMostSuggestions = 3;

// Names that go on where this one ends ("vit_tiny"), else the one that is least mistyped.
std::vector<std::string> nearest_names(const std::string& name) {
  std::vector<std::string> nearest;
  for (const std::string& known : model_names()) {
    if (name.size() >= 3 && known.starts_with(name) && nearest.size() < kMostSuggestions) nearest.push_back(known);
  }
  if (!nearest.empty()) return nearest;
  const std::string word = nearest_word(name, model_names());
  return word.empty() ? nearest : std::vector<std::string>{word};
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const NamedModel& model : named_models()) names.emplace_back(model.name);
  return names;
}

std::string models_help() {
  std::string text = fmt::format("{:<24}{:>10}   {}\n", "architecture", "parameters", "--arch-options");
  for (const NamedModel& model : named_models()) {
    const nlohmann::json json = to_json(model.description);
    std::vector<std::string> options;
    for (const auto& [key, value] : json.items()) {
      if (key != "family" && key != "arch" && key != "in_channels" && key != "num_classes") options.push_back(fmt::format("{} {}", key, value.is_string() ? value.get<std::string>() : value.dump()));
    }
    text += fmt::format("{:<24}{:>9.1f}M   {}\n", model.name, static_cast<double>(num_parameters(*make_model(model.description))) / 1e6, join(options, ", "));
  }
  return text;
}

ModelDescription describe(const std::string& name, int64_t in_channels, int64_t num_classes) { return describe(name, in_channels, num_classes, nlohmann::json::object()); }

ModelDescription describe(const std::string& name, int64_t in_channels, int64_t num_classes, const nlohmann::json& overrides) {
  for (const NamedModel& model : named_models()) {
    if (model.name != name) continue;
    ModelDescription description = model.description;
    std::visit(
        [&](auto& d) {
          d.in_channels = in_channels, d.num_classes = num_classes;
          override_description(d, overrides);
        },
        description);
    return description;
  }
  const std::vector<std::string> nearest = nearest_names(name);
  throw Error(ExitCode::kUsage, fmt::format("no architecture {}", quote(name)),
              nearest.empty() ? "--arch help lists what there is" : fmt::format("did you mean {}? --arch help lists what there is", join(nearest, " or ")));
}

nlohmann::json to_json(const ModelDescription& description) {
  return std::visit([](const auto& d) { return description_to_json(d); }, description);
}

ModelDescription model_description_from_json(const nlohmann::json& json) {
  FT_REQUIRE(json.is_object(), "model description: expected an object, found {}", json.type_name());
  const auto family = json.find("family");
  FT_REQUIRE(family != json.end(), "model description: key 'family' is missing");
  FT_REQUIRE(family->is_string(), "model description: family must be text, found {}", family->dump());
  return read_description(static_cast<const ModelDescription*>(nullptr), family->get<std::string>(), json);
}

std::shared_ptr<ImageClassifier> make_model(const ModelDescription& description) {
  return std::visit([](const auto& d) { return make(d); }, description);
}

std::shared_ptr<ImageClassifier> make_model(const ModelDescription& description, uint64_t seed) {
  std::shared_ptr<ImageClassifier> model = make_model(description);
  model->initialise(seed);
  return model;
}

}  // namespace fettle
