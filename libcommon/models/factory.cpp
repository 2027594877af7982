#include "models/factory.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

struct NamedModel {
  const char* name;
  ModelDescription description;
};

const NamedModel kModels[] = {
    {"resnet18", ResNetDescription{.depth = 18}},      {"resnet34", ResNetDescription{.depth = 34}},      {"resnet50", ResNetDescription{.depth = 50}},
    {"resnet20", CifarResNetDescription{.depth = 20}}, {"resnet32", CifarResNetDescription{.depth = 32}}, {"resnet44", CifarResNetDescription{.depth = 44}},
    {"resnet56", CifarResNetDescription{.depth = 56}},
};

std::shared_ptr<ImageClassifier> make(const ResNetDescription& description) { return make_resnet(description); }
std::shared_ptr<ImageClassifier> make(const CifarResNetDescription& description) { return make_cifar_resnet(description); }

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const NamedModel& model : kModels) names.emplace_back(model.name);
  return names;
}

ModelDescription describe(const std::string& name, int64_t in_channels, int64_t num_classes) {
  for (const NamedModel& model : kModels) {
    if (model.name != name) continue;
    ModelDescription description = model.description;
    std::visit([&](auto& d) { d.in_channels = in_channels, d.num_classes = num_classes; }, description);
    return description;
  }
  const std::string nearest = nearest_word(name, model_names());
  throw Error(ExitCode::kUsage, fmt::format("no architecture '{}', expected one of {}", name, join(model_names(), " ")),
              nearest.empty() ? "" : "did you mean " + nearest + "?");
}

nlohmann::json to_json(const ModelDescription& description) {
  return std::visit([](const auto& d) { return to_json(d); }, description);
}

ModelDescription model_description_from_json(const nlohmann::json& json) {
  FT_REQUIRE(json.is_object(), "model description: expected an object, found {}", json.type_name());
  const auto family = json.find("family");
  FT_REQUIRE(family != json.end(), "model description: key 'family' is missing");
  if (*family == "resnet") return resnet_description_from_json(json);
  if (*family == "cifar_resnet") return cifar_resnet_description_from_json(json);
  FT_FAIL(ExitCode::kInput, "model description: expected family 'resnet' or 'cifar_resnet', found {}", family->dump());
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
