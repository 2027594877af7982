#include "checkpoint/classifier.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/weights.h"
#include "io/file.h"
#include "models/factory.h"
#include "models/module.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxLabelsBytes = 64 << 20;

std::vector<std::string> read_labels(const std::string& file) {
  std::vector<std::string> lines = split(read_file(file, kMaxLabelsBytes), '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  for (std::string& line : lines) {
    if (line.ends_with('\r')) line.pop_back();
  }
  return lines;
}

// Rows of the head's weight, by whichever library's name the file has it.
int64_t classes_in(const WeightsFile& file, const ImageClassifier& model) {
  std::string ours;
  for (const auto& [name, tensor] : named_parameters(model)) {
    if (name.starts_with(model.head()) && tensor.dim() == 2) ours = name;
  }
  std::vector<LibraryNames> libraries = other_libraries(model);
  libraries.insert(libraries.begin(), {"", own_names});
  for (const LibraryNames& library : libraries) {
    const std::vector<std::string> names = library.rename(ours);
    if (names.size() != 1 || !file.holds(names[0])) continue;
    const std::vector<int64_t> shape = file.shape(names[0]);
    if (!shape.empty()) return shape[0];
  }
  FT_FAIL(ExitCode::kInput, "{}: no tensor '{}', which says how many classes there are; --arch may be another network", file.path().string(), ours);
}

// What an architecture's weights usually want.
Preprocessing usual_preprocessing(const ImageClassifier& model) {
  Preprocessing usual;
  if (model.family() == "cifar_resnet") usual.size = 32, usual.crop_pct = 1;
  return usual;
}

void apply_flags(const ClassifierSource& source, int64_t channels, Preprocessing& p) {
  if (source.size) p.size = *source.size;
  if (source.resize) {
    p.crop_pct = static_cast<double>(p.size) / static_cast<double>(*source.resize);
    FT_REQUIRE_USAGE(p.crop_pct <= 1, "--resize {} is below the size {} that is cut out of it", *source.resize, p.size);
  }
  if (!source.mean.empty()) p.mean = parse_channel_numbers(source.mean, channels, "--mean");
  if (!source.std.empty()) p.std = parse_channel_numbers(source.std, channels, "--std", /*positive=*/true);
  if (!source.interpolation.empty()) p.interpolation = source.interpolation;
}

}  // namespace

void bind(FlagTable& table, ClassifierSource& source) {
  table.group("Model");
  table.flag("from", source.from, "an artifact, a weights file in one, or with --arch a bare file: .safetensors, or what torch.save wrote").metavar("PATH").input("from").common();
  table.flag("arch", source.arch, "bare file: its architecture; 'help' lists them").metavar("NAME").listing(models_help).common();
  table.flag("arch-options", source.arch_options, "bare file: overrides of the architecture, JSON text or a .json file: '{\"padding\": \"same\"}'").metavar("JSON").json_object();
  table.flag("size", source.size, "height and width that the network sees").range(1, 1e5).unit("px").default_text("the artifact's; bare file: 224, CIFAR 32").common();
  table.flag("resize", source.resize, "the image's shorter side before its centre is cut out").range(1, 1e6).unit("px").default_text("the artifact's share; bare file: --size / 0.875");
  table.flag("mean", source.mean, "subtracted from pixel / 255, one number a channel or one for all: 0.485,0.456,0.406 or 128/255").metavar("NUMBERS").default_text("the artifact's; bare file: ImageNet's");
  table.flag("std", source.std, "divides it then").metavar("NUMBERS").default_text("the artifact's; bare file: ImageNet's");
  table.flag("interpolation", source.interpolation, "of resizing, with antialiasing: bilinear or bicubic").metavar("NAME").default_text("the artifact's; bare file: bilinear");
  table.flag("labels", source.labels, "class names, one a line").metavar("FILE").input("labels").default_text("the artifact's");
}

void validate(const ClassifierSource& source) {
  FT_REQUIRE_USAGE(!source.from.empty(), "--from is needed: an artifact, or with --arch a file of weights");
  FT_REQUIRE_USAGE(source.interpolation.empty() || source.interpolation == "bilinear" || source.interpolation == "bicubic", "--interpolation: expected bilinear or bicubic, found '{}'",
                   source.interpolation);
}

Classifier open_classifier(const ClassifierSource& source, bool all_names) {
  Classifier result;
  const std::optional<fs::path> artifact = artifact_of(source.from);
  const WeightsFile weights(source.from);
  result.id = weights.id();
  bool assumed = false;
  if (artifact) {
    FT_REQUIRE_USAGE(source.arch.empty() && source.arch_options.empty(), "--arch: {} says itself which network it holds", quote_path(source.from));
    const Manifest manifest = read_manifest(*artifact, kClassifierKind);
    Json description = manifest.model;
    try {
      const Json preprocessing = description.at("preprocessing");
      result.class_names = description.at("class_names").get<std::vector<std::string>>();
      description.erase("preprocessing");
      description.erase("class_names");
      result.model = make_model(model_description_from_json(description));
      result.preprocessing = preprocessing_from_json(preprocessing);
    } catch (const Json::exception& error) {
      FT_FAIL(ExitCode::kInput, "{}: the model's description is damaged: {}", (*artifact / kManifestName).string(), error.what());
    }
  } else {
    FT_REQUIRE_USAGE(!source.arch.empty(), "--arch is needed: {} holds weights alone", quote_path(source.from));
    const Json overrides = source.arch_options.empty() ? Json::object() : Json::parse(source.arch_options);
    const int64_t num_classes = classes_in(weights, *make_model(describe(source.arch, 3, 1, overrides)));
    result.model = make_model(describe(source.arch, 3, num_classes, overrides));
    result.preprocessing = usual_preprocessing(*result.model);
    assumed = source.mean.empty() || source.std.empty();
  }
  const ImageClassifier& model = *result.model;
  const LoadReport report = load_weights(weights, model);
  const std::string which = artifact ? "" : "is --arch the network that they are of? --arch-options may make another one of it";
  require_complete(report, weights, all_names, all_names || artifact ? which : which + "; -v lists all names");
  FT_REQUIRE(!report.head_is_new, "{}: its last layer has not the {} classes of its description", weights.path().string(), model.num_classes());
  result.model->eval();

  apply_flags(source, model.in_channels(), result.preprocessing);
  FT_REQUIRE(result.preprocessing.mean.size() == static_cast<size_t>(model.in_channels()), "{}: preprocessing of {} channels for a network of {}", source.from,
             result.preprocessing.mean.size(), model.in_channels());
  if (!source.labels.empty()) {
    result.class_names = read_labels(source.labels);
    FT_REQUIRE(result.class_names.size() == static_cast<size_t>(model.num_classes()), "{}: {} lines, but the network has {} classes", source.labels, result.class_names.size(),
               model.num_classes());
  }
  FT_REQUIRE(result.class_names.empty() || result.class_names.size() == static_cast<size_t>(model.num_classes()), "{}: {} class names for {} classes", source.from,
             result.class_names.size(), model.num_classes());
  const Json description = model.description();
  result.description = fmt::format("{}: {}{}, {} classes, {} px{}", quote_path(source.from), description.at("arch").get<std::string>(),
                                   report.library.empty() ? "" : fmt::format(" with {}'s names", report.library), model.num_classes(), result.preprocessing.size,
                                   assumed ? ", normalised as ImageNet is (--mean, --std)" : "");
  return result;
}

std::vector<std::string> names_or_numbers(std::vector<std::string> names, int64_t num_classes) {
  for (auto c = static_cast<int64_t>(names.size()); c < num_classes; ++c) names.push_back(std::to_string(c));
  return names;
}

}  // namespace fettle
