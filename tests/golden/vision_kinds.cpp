// Golden kinds of the vision section: architectures, accuracy and calibration, cross-entropy, multiply-adds, mixing.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <fstream>
#include <limits>

#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/tensors.h"
#include "checkpoint/weights.h"
#include "data/mixing.h"
#include "data/options.h"
#include "metrics/classification.h"
#include "metrics/multiply_adds.h"
#include "models/factory.h"
#include "models/module.h"
#include "tests/golden/fill_rule.h"
#include "tests/golden/golden.h"
#include "tests/support/shared_files.h"
#include "tests/support/tensor_compare.h"
#include "tests/support/temp_dir.h"

namespace fettle::golden {
namespace {

using nlohmann::json;
using test::check_tensors;
using test::Tolerance;

Tolerance tolerance_from(const json& entry) { return {.atol = entry.value("atol", 0.0), .rtol = entry.value("rtol", 0.0)}; }

bool is_model(const std::string& arch) {
  const std::vector<std::string> names = model_names();
  return std::find(names.begin(), names.end(), arch) != names.end();
}

// A name of ours means the network of that name in the library, and none of them means another network in the other library but
// the CIFAR ResNets, which neither has. Dropout and stochastic depth are off: no two generators agree.
std::shared_ptr<ImageClassifier> make_named(const json& arguments) {
  const std::string library = arguments.at("library"), arch = arguments.at("arch");
  const bool known_library = library == "torchvision" || library == "tv" || library == "timm";
  if (known_library && is_model(arch)) {
    const std::vector<int64_t> shape = arguments.at("input");
    const int64_t num_classes = arguments.at("num_classes");
    const json usual = to_json(describe(arch, shape.at(1), num_classes));
    json overrides = json::object();
    for (const char* key : {"dropout", "stochastic_depth"}) {
      if (usual.contains(key)) overrides[key] = 0.0;
    }
    if (arguments.contains("width_mult")) overrides["width_multiplier"] = arguments.at("width_mult");
    if (arguments.contains("img_size") && usual.contains("image_size")) overrides["image_size"] = arguments.at("img_size");
    if (usual.at("family") != CifarResNetDescription::kFamily) return make_model(describe(arch, shape.at(1), num_classes, overrides));
  }
  throw Skip{fmt::format("no architecture {} of {}", arch, library)};
}

// ---- vision/architecture ---------------------------------------------------------------------------------------------

void check_keys(const Case& test, const std::vector<StateEntry>& state) {
  const json keys = json::parse(test::read_text(test.directory / "keys.json"));
  REQUIRE(state.size() == keys.size());
  for (size_t i = 0; i < state.size(); ++i) {
    const StateEntry& entry = state[i];
    INFO("entry " << i << ", " << keys[i]);
    CHECK(entry.name == keys[i].at("name"));
    CHECK(json(entry.tensor.sizes().vec()) == keys[i].at("shape"));
    CHECK(dtype_name(to_dtype(entry.tensor.scalar_type())) == (keys[i].at("dtype") == "int64" ? "I64" : "F32"));
    CHECK((entry.is_parameter ? "parameter" : "buffer") == keys[i].at("kind"));
  }
}

void fill(ImageClassifier& model, uint64_t seed, double gain) {
  const at::NoGradGuard no_grad;
  for (StateEntry& entry : state_dict(model)) {
    if (entry.tensor.is_floating_point()) entry.tensor.copy_(filled(entry.name, entry.tensor.sizes(), seed, gain));
  }
}

void check_training(const Case& test, ImageClassifier& model, const at::Tensor& image, const std::string& precision) {
  const json& tolerance = test.json.at("tolerance");
  const uint64_t seed = test.json.at("arguments").at("probe_and_labels_seed");
  model.train();
  const at::Tensor loss = at::cross_entropy_loss(model.forward(image), to_tensor(test.tensors, "labels"));
  loss.backward();
  std::vector<double> norms, probes, buffer_norms;
  for (const StateEntry& entry : state_dict(model)) {
    if (entry.is_parameter) {
      const at::Tensor gradient = entry.tensor.grad().to(at::kDouble).contiguous().reshape({-1});
      std::vector<double> probe = uniform("probe:" + entry.name, seed, gradient.numel());
      for (double& p : probe) p = 2 * p - 1;
      norms.push_back(gradient.norm().item<double>());
      probes.push_back(gradient.dot(at::tensor(probe, at::kDouble)).item<double>());
    } else if (entry.tensor.is_floating_point()) {
      buffer_norms.push_back(entry.tensor.to(at::kDouble).norm().item<double>());
    } else if (entry.name.ends_with("num_batches_tracked")) {
      CHECK(entry.tensor.item<int64_t>() == 1);
    }
  }
  const auto check = [&](const std::string& name, const std::vector<double>& got, const at::Tensor& scale = {}) {
    const at::Tensor want = to_tensor(test.tensors, name);
    check_tensors(precision + " " + name, at::tensor(got, at::kDouble), want, tolerance_from(tolerance.at(name).at(precision)), scale);
  };
  const at::Tensor scale = to_tensor(test.tensors, "grad_norm");
  check("train_loss", {loss.item<double>()});
  check("grad_norm", norms, scale);
  check("grad_probe", probes, scale);
  if (test.tensors.find("bn_norm_after") != nullptr) check("bn_norm_after", buffer_norms);
}

void run_architecture(const Case& test) {
  const json& arguments = test.json.at("arguments");
  const std::vector<int64_t> shape = arguments.at("input");
  const std::shared_ptr<ImageClassifier> model = make_named(arguments);
  require_known(arguments, "arguments.", {"library", "arch", "num_classes", "input", "width_mult", "fill_seed", "fill_gain", "input_rule", "probe_and_labels_seed", "labels", "train_mode"});
  const uint64_t seed = arguments.at("fill_seed");
  const double gain = arguments.value("fill_gain", 1.0);

  check_keys(test, state_dict(*model));
  CHECK(num_parameters(*model) == test.json.at("parameters").get<int64_t>());
  fill(*model, seed, gain);
  std::vector<at::Tensor> weights;
  for (const StateEntry& entry : state_dict(*model)) {
    if (entry.tensor.is_floating_point()) weights.push_back(entry.tensor);
  }
  const at::Tensor image = synthetic_image(shape, seed);
  CHECK(sha256_of(weights) == test.json.at("fill_check").at("weights_sha256"));
  CHECK(sha256_of({image}) == test.json.at("fill_check").at("input_sha256"));

  // Channels-last is how the tools run, and another path through batch norm.
  for (const auto& [type, format] : {std::pair(at::kDouble, at::MemoryFormat::Contiguous), std::pair(at::kDouble, at::MemoryFormat::ChannelsLast),
                                     std::pair(at::kFloat, at::MemoryFormat::ChannelsLast)}) {
    const std::string precision = type == at::kDouble ? "float64" : "float32";
    INFO(format);
    const std::shared_ptr<ImageClassifier> typed = make_named(arguments);
    fill(*typed, seed, gain);
    convert_floating(*typed, type);
    convert_memory_format(*typed, format);
    typed->eval();
    const at::Tensor typed_image = image.to(type).contiguous(format);
    at::Tensor logits;
    {
      const at::NoGradGuard no_grad;
      logits = typed->forward(typed_image);
    }
    CHECK(logits.scalar_type() == type);
    check_tensors(precision + " logits", logits.to(at::kDouble), to_tensor(test.tensors, "logits"),
                  tolerance_from(test.json.at("tolerance").at("logits").at(precision)));
    if (test.tensors.find("train_loss") != nullptr) check_training(test, *typed, typed_image, precision);
  }
}

// ---- metrics ---------------------------------------------------------------------------------------------------------

// "ece15" with prefix "ece" -> 15; 0 when the name is no such thing.
int64_t number_after(std::string_view name, std::string_view prefix, std::string_view suffix = "") {
  if (!name.starts_with(prefix) || !name.ends_with(suffix) || name.size() <= prefix.size() + suffix.size()) return 0;
  const std::string_view digits = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
  int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return error == std::errc() && end == digits.data() + digits.size() ? number : 0;
}

// Two calls, so that the counts must carry from one to the next.
ClassificationMeter metered(const at::Tensor& logits, const at::Tensor& labels, int64_t num_bins) {
  ClassificationMeter meter(num_bins);
  const int64_t half = logits.size(0) / 2;
  meter.add(logits.slice(0, 0, half), labels.slice(0, 0, half));
  meter.add(logits.slice(0, half), labels.slice(0, half));
  return meter;
}

at::Tensor as_double(const std::vector<int64_t>& numbers) { return at::tensor(numbers, at::kLong).to(at::kDouble); }

void run_calibration(const Case& test) {
  const at::Tensor logits = to_tensor(test.tensors, "logits"), labels = to_tensor(test.tensors, "labels");
  const Tolerance tolerance = tolerance_from(test.json.at("tolerance"));
  std::vector<std::string> unchecked;
  for (const TensorInfo& info : test.tensors.tensors()) {
    const std::string& name = info.name;
    const at::Tensor want = to_tensor(test.tensors, info);
    const auto check = [&](const at::Tensor& got) { check_tensors(name, got.reshape(want.sizes()), want, tolerance); };
    const auto bins_of = [&](int64_t num_bins) { return metered(logits, labels, num_bins).state().bins; };
    if (name == "nll") {
      check(at::tensor(metered(logits, labels, 15).result().nll, at::kDouble));
    } else if (const int64_t k = number_after(name, "top", "_percent"); k == 1 || k == 5) {
      const ClassificationResult result = metered(logits, labels, 15).result();
      check(at::tensor(k == 1 ? result.top1_percent : result.top5_percent, at::kDouble));
    } else if (const int64_t n = number_after(name, "ece"); n > 0) {
      check(at::tensor(metered(logits, labels, n).result().ece, at::kDouble));
    } else if (const int64_t count_bins = number_after(name, "bin_count"); count_bins > 0) {
      check(as_double(bins_of(count_bins).num_samples));
    } else if (const int64_t accuracy_bins = number_after(name, "bin_accuracy"); accuracy_bins > 0) {
      const CalibrationBins bins = bins_of(accuracy_bins);
      check(as_double(bins.num_correct) / as_double(bins.num_samples).clamp_min(1));
    } else if (const int64_t confidence_bins = number_after(name, "bin_confidence"); confidence_bins > 0) {
      const CalibrationBins bins = bins_of(confidence_bins);
      check(at::tensor(bins.confidence_sum, at::kDouble) / as_double(bins.num_samples).clamp_min(1));
    } else if (const int64_t edge_bins = number_after(name, "edge_bins"); edge_bins > 0) {
      std::vector<int64_t> got;
      for (const double confidence : read_doubles(test, "edge_confidence" + std::to_string(edge_bins))) got.push_back(CalibrationBins::bin_index(confidence, edge_bins));
      CHECK(got == read_integers(test, name));
    } else if (name != "logits" && name != "labels" && !name.starts_with("edge_confidence")) {
      unchecked.push_back(name);
    }
  }
  if (!unchecked.empty()) std::printf("golden vision/metric_calibration: not implemented here, not checked: %s\n", join(unchecked, ", ").c_str());
}

void run_topk(const Case& test) {
  const at::Tensor logits = to_tensor(test.tensors, "logits"), labels = to_tensor(test.tensors, "labels");
  const Tolerance tolerance = tolerance_from(test.json.at("tolerance"));
  const at::Tensor ranks = label_ranks(logits, labels);
  check_tensors("rank", ranks, to_tensor(test.tensors, "rank"));
  const ClassificationResult result = metered(logits, labels, 15).result();
  for (const TensorInfo& info : test.tensors.tensors()) {
    const int64_t k = number_after(info.name, "top", "_percent");
    if (k == 0) continue;
    const at::Tensor want = to_tensor(test.tensors, info);
    check_tensors(info.name, (100 * (ranks < k).to(at::kDouble).mean()).reshape(want.sizes()), want, tolerance);
    if (k == 1) check_tensors("meter top-1", at::tensor(result.top1_percent, at::kDouble).reshape(want.sizes()), want, tolerance);
    if (k == 5) check_tensors("meter top-5", at::tensor(result.top5_percent, at::kDouble).reshape(want.sizes()), want, tolerance);
  }
  if (test.tensors.find("logits_nan") == nullptr) return;
  const at::Tensor broken = to_tensor(test.tensors, "logits_nan");
  const at::Tensor has_nan = broken.isnan().any(1);
  CHECK(has_nan.any().item<bool>());
  check_tensors("rank with NaN", label_ranks(broken, labels), at::where(has_nan, std::numeric_limits<int64_t>::max(), ranks));
}

// What the training loop calls: LibTorch's own cross-entropy.
void run_cross_entropy(const Case& test) {
  const json& tolerance = test.json.at("tolerance");
  for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
    const std::string precision = type == at::kDouble ? "float64" : "float32";
    const auto check = [&](const std::string& name, const std::string& logits_name, const std::string& labels_name, const at::Tensor& weight, int64_t ignore, double smoothing) {
      const at::Tensor logits = to_tensor(test.tensors, logits_name).to(type).requires_grad_(true);
      const at::Tensor loss = at::cross_entropy_loss(logits, to_tensor(test.tensors, labels_name), weight, at::Reduction::Mean, ignore, smoothing);
      loss.backward();
      check_tensors(precision + " " + name, loss.to(at::kDouble), to_tensor(test.tensors, name), tolerance_from(tolerance.at(precision)));
      check_tensors(precision + " " + name + ".grad", logits.grad().to(at::kDouble), to_tensor(test.tensors, name + ".grad"),
                    tolerance_from(tolerance.at(precision).at("gradients")));
    };
    constexpr int64_t kNone = -100;
    for (const json& variant : test.json.at("cases")) {
      require_known(variant, "cases.", {"name", "label_smoothing", "ignore_index"});
      const bool ignores = !variant.at("ignore_index").is_null();
      check(variant.at("name"), "logits", ignores ? "labels_with_ignore" : "labels", {}, ignores ? variant.at("ignore_index").get<int64_t>() : kNone, variant.at("label_smoothing"));
    }
    check("huge", "huge_logits", "labels", {}, kNone, 0);
    check("seg", "seg_logits", "seg_labels", {}, 255, 0);
    check("weighted", "logits", "labels", to_tensor(test.tensors, "class_weights").to(type), kNone, 0);
  }
}

// ---- vision/flops ----------------------------------------------------------------------------------------------------

void run_flops(const Case& test) {
  int num_checked = 0;
  std::vector<std::string> unknown;
  for (const json& row : json::parse(test::read_text(test.directory / "counts.json"))) {
    const std::string name = row.at("model");
    const std::vector<int64_t> size = row.at("height_width");
    std::shared_ptr<ImageClassifier> model;
    try {
      model = make_named({{"library", name.substr(0, name.find('/'))},
                          {"arch", name.substr(name.find('/') + 1)},
                          {"input", {1, 3, size.at(0), size.at(1)}},
                          {"img_size", size.at(0)},
                          {"num_classes", row.at("num_classes")}});
    } catch (const Skip&) {
      if (unknown.empty() || unknown.back() != name) unknown.push_back(name);
      continue;
    }
    INFO(name << " at " << size.at(0) << "x" << size.at(1));
    const MultiplyAdds counted = count_multiply_adds(*model, size.at(0), size.at(1));
    std::map<std::string, int64_t> by_top_module;
    for (const LayerMultiplyAdds& layer : counted.layers) by_top_module[layer.name.substr(0, layer.name.find('.'))] += layer.multiply_adds;
    CHECK(counted.total == row.at("multiply_adds").get<int64_t>());
    CHECK(json(by_top_module) == row.at("by_top_module"));
    CHECK(num_parameters(*model) == row.at("parameters").get<int64_t>());
    int64_t num_buffers = 0;
    for (const StateEntry& entry : state_dict(*model)) num_buffers += entry.is_parameter ? 0 : entry.tensor.numel();
    CHECK(num_buffers == row.at("buffers").get<int64_t>());
    ++num_checked;
  }
  if (num_checked == 0) throw Skip{"no architecture " + join(unknown, ", ")};
  std::printf("golden vision/flops: %d rows checked; no architecture %s\n", num_checked, join(unknown, ", ").c_str());
}

// ---- mixing ----------------------------------------------------------------------------------------------------------

void run_mixup_cutmix(const Case& test) {
  require_known(test.json.at("arguments"), "arguments.", {"num_classes", "mixup", "cutmix"});
  const at::Tensor images = to_tensor(test.tensors, "x");
  const at::Tensor targets = at::one_hot(to_tensor(test.tensors, "labels"), test.json.at("arguments").at("num_classes").get<int64_t>()).to(at::kFloat);
  const int64_t height = images.size(2), width = images.size(3);
  const json& tolerances = test.json.at("tolerance");
  for (const json& entry : test.json.at("cases")) {
    const std::string name = entry.at("name");
    INFO(entry.dump());
    MixDraw draw{.kind = MixKind::kMixUp, .lambda = entry.at("lam"), .height = height, .width = width};
    const bool cutmix = entry.contains("center_xy");
    if (cutmix) {
      draw = cutmix_around(entry.at("lam"), entry["center_xy"].at(1), entry["center_xy"].at(0), height, width);
      const std::vector<int64_t> box = {draw.box.left, draw.box.top, draw.box.left + draw.box.width, draw.box.top + draw.box.height};
      CHECK(box == entry.at("box_x1y1x2y2").get<std::vector<int64_t>>());
      CHECK(std::abs(draw.lambda - entry.at("lam_adjusted").get<double>()) <= 1e-15);  // one quotient and one difference
    } else if (!name.starts_with("mixup")) {
      throw Skip{fmt::format("{} is neither MixUp nor CutMix", name)};
    }
    validate(draw, name);
    const json& tolerance = tolerances.at(cutmix ? "cutmix" : "mixup");
    const double atol = tolerance.at("atol");
    for (const at::MemoryFormat format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      const MixedBatch mixed = mix(draw, images.contiguous(format), targets);
      check_tensors(name, mixed.images, to_tensor(test.tensors, name), {.atol = atol});
      check_tensors(name + " target", mixed.targets, to_tensor(test.tensors, name + ".target"), {.atol = tolerance.value("targets_atol", atol)});
    }
  }
}

// ---- vision/cifar10_resnet -------------------------------------------------------------------------------------------

// Published weights on real photographs: weights, decoder, loader and network in one.
void run_cifar10_resnet(const Case& test) {
  const json& arguments = test.json.at("arguments");
  require_known(arguments, "arguments.", {"arch", "weights", "weights_sha256", "images", "classes", "preprocessing", "jpeg_kinds (size, mode, sampling 2 = 4:2:0, first luma quantisers)",
                                          "shown_files", "first_file", "files_per_class"});
  const std::filesystem::path archive = test::data_folder() / "cifar10_jpg.tar.gz";
  const std::filesystem::path weights = test::data_folder() / "weights" / "cifar10_resnet" / arguments.at("weights").get<std::string>();
  for (const std::filesystem::path& needed : {archive, weights}) {
    if (!std::filesystem::exists(needed)) throw Skip{fmt::format("no {}", needed.filename().string())};
  }
  const WeightsFile file(weights);
  REQUIRE(file.id() == "sha256:" + arguments.at("weights_sha256").get<std::string>());
  const std::shared_ptr<ImageClassifier> model = make_model(describe(arguments.at("arch"), 3, 10));
  const LoadReport report = load_weights(file, *model);
  REQUIRE((report.is_complete() && !report.head_is_new));
  CHECK(num_parameters(*model) == test.json.at("parameters").get<int64_t>());
  model->eval();

  DataOptions options;
  options.data = archive.string();
  const ImageData data = open_image_data(options);
  REQUIRE(json(data.class_names) == arguments.at("classes"));
  REQUIRE(arguments.at("preprocessing") == "RGB/255, mean (0.485,0.456,0.406), std (0.229,0.224,0.225)");  // as all photographs
  const ImageFiles& files = std::get<ImageFiles>(data.validation);
  const int64_t first = arguments.at("first_file"), count = arguments.at("files_per_class");
  const std::vector<std::string> shown_files = arguments.at("shown_files");
  std::vector<int64_t> seen(10), shown(shown_files.size(), -1);
  BatchPlan plan{32, 32, {}};
  for (int64_t i = 0; i < files.size(); ++i) {
    const int64_t place = seen[static_cast<size_t>(files.label(i))]++;
    if (place < first || place >= first + count) continue;
    const auto named = std::find_if(shown_files.begin(), shown_files.end(), [&](const std::string& name) { return files.relative_path(i).ends_with(name); });
    if (named != shown_files.end()) shown[static_cast<size_t>(named - shown_files.begin())] = static_cast<int64_t>(plan.indices.size());
    plan.indices.push_back(i);
  }
  LoaderOptions loader = loader_options(options, data, at::kCPU, 1);
  loader.crop_share = 1;
  const std::vector<BatchPlan> plans = {plan};
  ImageLoader source(data.validation, data.normalization, plans, 0, 0, loader);
  Batch batch;
  REQUIRE(source.next(batch));
  const at::NoGradGuard no_grad;
  const at::Tensor logits = model->forward(batch.images), predictions = logits.argmax(1);
  const json& tolerance = test.json.at("tolerance");
  const at::Tensor labels = to_tensor(test.tensors, "labels").to(at::kLong);
  CHECK(at::equal(batch.labels, labels));
  const auto images = static_cast<double>(labels.numel());
  CHECK(std::abs(100 * (predictions == labels).sum().item<double>() / images - test.json.at("values").at("top1_percent").get<double>()) <= tolerance.at("top1_percent").at("atol"));
  CHECK(100 * (predictions != to_tensor(test.tensors, "predictions").to(at::kLong)).sum().item<double>() / images <= tolerance.at("top1_percent").at("atol"));
  check_tensors("shown logits", logits.index_select(0, at::tensor(shown)).to(at::kDouble), to_tensor(test.tensors, "shown_logits"), tolerance_from(tolerance.at("logits")));
}

// ---- vision/teacher --------------------------------------------------------------------------------------------------

// Real ImageNet weights on real pixels, in each padding.
void run_teacher(const Case& test) {
  const json& arguments = test.json.at("arguments");
  require_known(arguments, "arguments.", {"weights", "weights_sha256", "images", "preprocessing", "arch", "pixel_mean", "pixel_divisor"});
  const std::string arch = arguments.at("arch");
  if (!is_model(arch)) throw Skip{"no architecture " + arch};
  const std::filesystem::path path = test::data_folder() / "weights" / arguments.at("weights").get<std::string>();
  if (!std::filesystem::exists(path)) throw Skip{fmt::format("no {}", path.filename().string())};
  const WeightsFile file(path);
  REQUIRE(file.id() == "sha256:" + arguments.at("weights_sha256").get<std::string>());

  const auto check = [&](const std::string& pixels, const std::string& logits, const char* padding) {
    const at::Tensor want = to_tensor(test.tensors, logits);
    const std::shared_ptr<ImageClassifier> model = make_model(describe(arch, 3, want.size(1), {{"padding", padding}}));
    CHECK(load_weights(file, *model).is_complete());
    model->eval();
    const at::NoGradGuard no_grad;
    const at::Tensor x = (to_tensor(test.tensors, pixels).to(at::kFloat) - arguments.at("pixel_mean").get<double>()) / arguments.at("pixel_divisor").get<double>();
    check_tensors(logits, model->forward(x).to(at::kDouble), want, tolerance_from(test.json.at("tolerance").at("float32")));
  };
  check("pixels_225", "logits_225", "symmetric");
  check("pixels_225", "logits_225", "same");
  check("pixels_224", "logits_224_symmetric", "symmetric");
  check("pixels_224", "logits_224_same", "same");
}

// ---- vision/position_resample ----------------------------------------------------------------------------------------

void run_position_resample(const Case& test) {
  const json& tolerance = test.json.at("tolerance");
  std::vector<std::string> unchecked;
  for (const json& entry : test.json.at("cases")) {
    const std::string name = entry.at("name");
    const at::Tensor want = to_tensor(test.tensors, name);
    if (name.starts_with("timm_to_")) {
      const std::string grid = name.substr(sizeof("timm_to_") - 1);
      const at::Tensor table = to_tensor(test.tensors, "timm_14x14");
      const at::Tensor got = resample_positions_2d(table, std::stoll(grid), std::stoll(grid.substr(grid.find('x') + 1)));
      check_tensors(name, got, want, tolerance_from(tolerance.at("timm")));
    } else if (name.starts_with("corenet_to_")) {
      for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
        const at::Tensor patches = to_tensor(test.tensors, "corenet_196").to(type).squeeze(0);  // without a class token
        const at::Tensor table = at::cat({at::full({1, 1, patches.size(2)}, 7, type), patches}, 1);
        const at::Tensor got = resample_positions_1d(table, want.size(2));
        CHECK(got.select(1, 0).equal(table.select(1, 0)));
        check_tensors(name, got.slice(1, 1).to(at::kDouble), want.squeeze(0), tolerance_from(tolerance.at("corenet, dinov2, sam").at(type == at::kDouble ? "float64" : "float32")));
      }
    } else {
      unchecked.push_back(name);
    }
  }
  if (!unchecked.empty()) std::printf("golden vision/position_resample: not implemented here, not checked: %s\n", join(unchecked, ", ").c_str());
}

}  // namespace

std::vector<Kind> vision_kinds() {
  std::vector<Kind> kinds = {{"vision/architecture", run_architecture}, {"vision/metric_calibration", run_calibration}, {"vision/metric_topk", run_topk},
          {"vision/loss_cross_entropy", run_cross_entropy}, {"vision/flops", run_flops}, {"vision/cifar10_resnet", run_cifar10_resnet},
          {"vision/mixup_cutmix", run_mixup_cutmix},
          {"vision/teacher", run_teacher}, {"vision/position_resample", run_position_resample}};
  for (auto more : {image_geometry_kinds, byteformer_network_kinds}) {
    for (Kind& kind : more()) kinds.push_back(std::move(kind));
  }
  return kinds;
}

}  // namespace fettle::golden
