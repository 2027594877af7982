#include "checkpoint/byte_classifier.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/weights.h"

namespace fettle::byteformer {

Json to_json(const ByteFormerDescription& description, const Input& input, const std::vector<std::string>& class_names) {
  Json json = to_json(description);
  json["input"] = to_json(input);
  json["class_names"] = class_names;
  return json;
}

ByteClassifier open_byte_classifier(const std::string& from, const std::string& phi_file, const std::string& positions) {
  ByteClassifier result;
  const std::filesystem::path artifact = artifact_of(from).value_or(from);
  const Manifest manifest = read_manifest(artifact, kByteClassifierKind);
  const std::string where = (artifact / kManifestName).string();
  Json description = manifest.model;
  try {
    result.class_names = description.at("class_names").get<std::vector<std::string>>();
    result.input = input_from_json(description.at("input"), where);
    description.erase("class_names");
    description.erase("input");
  } catch (const Json::exception& error) {
    FT_FAIL(ExitCode::kInput, "{}: the model's description is damaged: {}", where, error.what());
  }
  ByteFormerDescription model = byteformer_description_from_json(description);
  if (!positions.empty()) model.positions = positions;
  FT_REQUIRE(result.class_names.empty() || result.class_names.size() == static_cast<size_t>(model.num_classes), "{}: {} class names for {} classes", where, result.class_names.size(),
             model.num_classes);
  if (result.input.secret_phi) {
    FT_REQUIRE_USAGE(!phi_file.empty(), "--phi-file is needed: {} was trained on bytes substituted by a permutation that it does not hold", quote_path(from));
    result.input.transforms.phi = read_phi(phi_file);
  } else {
    FT_REQUIRE_USAGE(phi_file.empty(), "--phi-file: {} was trained without a permutation from a file", quote_path(from));
  }
  result.input.most_bytes = model.most_bytes();
  result.model = make_byteformer(model);
  const WeightsFile weights(from);
  result.id = weights.id();
  const LoadReport report = load_weights(weights, named_tensors(*result.model), kByteFormerHead);
  require_complete(report, weights, /*all=*/false, "");
  FT_REQUIRE(!report.head_is_new, "{}: its last layer has not the {} classes of its description", weights.path().string(), model.num_classes);
  result.model->eval();
  return result;
}

}  // namespace fettle::byteformer
