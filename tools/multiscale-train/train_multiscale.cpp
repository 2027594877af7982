#include "multiscale-train/train_multiscale.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <set>

#include "base/human.h"
#include "base/signals.h"
#include "base/text.h"
#include "checkpoint/initial_weights.h"
#include "checkpoint/state.h"
#include "checkpoint/weights.h"
#include "data/options.h"
#include "device/precision.h"
#include "io/file.h"
#include "models/factory.h"
#include "models/layers.h"
#include "models/module.h"
#include "models/preprocessing.h"
#include "multiscale-train/plan.h"
#include "multiscale-train/task.h"
#include "train/autocast.h"
#include "train/parameter_settings.h"
#include "train/tool_start.h"

namespace fettle::multiscale {
namespace {

constexpr int64_t kPhotographSize = 224;  // the base size where images have no size of their own

std::vector<int64_t> evaluation_sizes(const Options& options, const SamplerOptions& sampler) {
  std::set<int64_t> sizes(options.eval_sizes.begin(), options.eval_sizes.end());
  if (sizes.empty()) {
    sizes.insert(sampler.height.base);
    for (const ScaledBatch& batch : size_set(sampler, sampler.epochs - 1)) sizes.insert(batch.height);
  }
  return {sizes.begin(), sizes.end()};
}

// Accuracy and calibration by size, and their means, as metrics; a table for people on the way.
Json evaluate_sizes(const std::vector<int64_t>& sizes, MultiscaleTask& task, const c10::Device& device, at::ScalarType precision, Log& log) {
  const at::NoGradGuard no_grad;
  const AutocastGuard autocast(device, precision);
  Json metrics = Json::object();
  double top1_sum = 0, ece_sum = 0;
  log.info("  size   top-1 %      ECE");
  for (const int64_t size : sizes) {
    const ClassificationResult result = task.evaluate(size);
    metrics[fmt::format("val_top1_percent_at_{}", size)] = result.top1_percent;
    metrics[fmt::format("val_ece_at_{}", size)] = result.ece;
    top1_sum += result.top1_percent;
    ece_sum += result.ece;
    log.info(fmt::format("  {:>4}  {:>8.2f}  {:>7.4f}", size, result.top1_percent, result.ece));
  }
  metrics["val_top1_percent_mean"] = top1_sum / static_cast<double>(sizes.size());
  metrics["val_ece_mean"] = ece_sum / static_cast<double>(sizes.size());
  return metrics;
}

// The files that the weights came from, as inputs of the artifact. Ids are of what was read, now: a file may be another one, or none, when
// the run ends.
struct InitialWeights {
  std::vector<ArtifactInput> inputs;             // paths as typed
  std::optional<Preprocessing> preprocessing;  // of an artifact
};

void lay_over(const std::string& path, const ImageClassifier& model, InitialWeights& result, Log& log) {
  const WeightsFile file(path);
  const LoadReport report = load_weights(file, model);
  const size_t all = named_tensors(model).size();
  FT_REQUIRE(!report.head_is_new && report.unexpected.empty() && !file.names().empty(), "--init-overlay {}: {} of its tensors are not of the network{}", path, report.unexpected.size(),
             report.unexpected.empty() ? "" : fmt::format(", such as {}", quote(report.unexpected[0])));
  log.info(fmt::format("init: {} of {} tensors from {}", file.names().size(), all, file.path().string()));
  result.inputs.push_back({"init_overlay", path, file.id()});
}

InitialWeights initialise_from(const Options& options, const ImageClassifier& model, Log& log) {
  InitialWeights result;
  if (options.init.empty()) return result;
  const WeightsFile file(options.init);
  const LoadReport report = load_weights(file, model);
  const bool all = log.level() == LogLevel::kVerbose;
  if (!options.init_partial) require_complete(report, file, all, all ? "--init-partial takes what fits" : "-v lists all names; --init-partial takes what fits");
  std::string text = fmt::format("init: {}", file.path().string());
  if (!report.library.empty()) text += fmt::format(" with {}'s names", report.library);
  if (report.head_is_new) text += fmt::format(", but for {}*, which is drawn anew for {} classes", model.head(), model.num_classes());
  if (!report.is_complete()) text += fmt::format("; {} tensors that it lacks are drawn, {} that it has besides are left", report.missing.size(), report.unexpected.size());
  log.info(text);
  result.inputs.push_back({"init", options.init, file.id()});
  if (is_artifact(options.init)) {
    const Manifest manifest = read_manifest(options.init);
    if (const auto found = manifest.model.find("preprocessing"); found != manifest.model.end()) result.preprocessing = preprocessing_from_json(*found);
  }
  if (!options.init_overlay.empty()) lay_over(options.init_overlay, model, result, log);
  return result;
}

// As options.json keeps it: a run that goes on from a state needs neither the weights nor their files again.
Json to_json(const InitialWeights& initial) {
  Json json = {{"ids", ids_by_role(initial.inputs)}};
  if (initial.preprocessing) json["preprocessing"] = to_json(*initial.preprocessing);
  return json;
}

InitialWeights initial_of_resumed(const Options& options, const RunRecord& before) {
  InitialWeights result{inputs_of_resumed(before, {{"init", options.init}, {"init_overlay", options.init_overlay}}), {}};
  if (before.initial.contains("preprocessing")) result.preprocessing = preprocessing_from_json(before.initial.at("preprocessing"));
  return result;
}

// What the weights were trained with goes before what the data usually want, and flags before both.
void choose_normalization(const Options& options, const InitialWeights& initial, ImageData& data, Log& log) {
  std::vector<float>& mean = data.normalization.mean;
  std::vector<float>& std = data.normalization.std;
  const auto put = [](const std::vector<double>& numbers, std::vector<float>& into) { into.assign(numbers.begin(), numbers.end()); };
  if (initial.preprocessing && initial.preprocessing->mean.size() == static_cast<size_t>(data.channels)) {
    put(initial.preprocessing->mean, mean);
    put(initial.preprocessing->std, std);
    log.info("normalisation: that of --init");
  }
  if (!options.mean.empty()) put(parse_channel_numbers(options.mean, data.channels, "--mean"), mean);
  if (!options.std.empty()) put(parse_channel_numbers(options.std, data.channels, "--std", /*positive=*/true), std);
}

// What timm needs to make the network beside model.safetensors; nothing for networks it does not know.
std::optional<Json> timm_config(const std::string& arch, const ImageClassifier& model, const Preprocessing& preprocessing) {
  static const std::map<std::string, const char*> kFirstConvolutions = {{"resnet", "conv1"}, {"mobilenet_v1", "conv_stem"}, {"vit", "patch_embed.proj"}};
  const auto first = kFirstConvolutions.find(model.family());
  // timm has names for the usual sizes alone, not for what --arch-options changes.
  if (first == kFirstConvolutions.end() || model.description() != to_json(describe(arch, model.in_channels(), model.num_classes()))) return std::nullopt;
  Json arguments = {{"in_chans", model.in_channels()}};
  if (model.family() == "vit") arguments["dynamic_img_size"] = true;
  return Json{{"architecture", arch},
              {"num_classes", model.num_classes()},
              {"model_args", arguments},
              {"pretrained_cfg",
               {{"input_size", {model.in_channels(), preprocessing.size, preprocessing.size}},
                {"mean", preprocessing.mean},
                {"std", preprocessing.std},
                {"interpolation", preprocessing.interpolation},
                {"crop_pct", preprocessing.crop_pct},
                {"first_conv", first->second},
                {"classifier", model.head().substr(0, model.head().size() - 1)},
                {"num_classes", model.num_classes()}}}};
}

Report train(const Options& options, RunContext& context, const ProcessGroup& group) {
  const auto began = std::chrono::steady_clock::now();
  const c10::Device device(context.common.device);
  ImageData data = open_image_data(options.data);
  context.log.info(fmt::format("data: {}", data.description));

  FT_REQUIRE(data.side || options.sampling.size || std::holds_alternative<ImageFiles>(data.train), "{}: its images are no squares; --size says which size they are trained at",
             options.data.data);

  const ModelDescription description = describe(options.arch, data.channels, data.num_classes, arch_options(options));
  const std::shared_ptr<ImageClassifier> model = make_model(description, derive_seed(context.seed(), "weights"));
  const PrecisionChoice precision = choose_precision(options.train.precision, bf16_support(device), precision_family(*model, options.sampling.size.value_or(data.side.value_or(kPhotographSize))));
  context.record.options["precision"] = precision.dtype == at::kFloat ? "fp32" : "bf16";
  context.log.info(fmt::format("precision: {}", precision.why));

  const bool goes_on = context.output != nullptr && context.output->resuming() && latest_state(context.output->path());
  const RunRecord before = goes_on ? context.output->recorded().value_or(RunRecord{}) : RunRecord{};
  const InitialWeights initial = before.initial.empty() ? initialise_from(options, *model, context.log) : initial_of_resumed(options, before);
  context.record.initial = to_json(initial);
  choose_normalization(options, initial, data, context.log);
  const SamplerOptions sampler = sampler_options(options, num_images(data.train), data.side.value_or(kPhotographSize), context.seed());
  const std::vector<int64_t> sizes = evaluation_sizes(options, sampler);
  for (const int64_t size : sizes) model->require_input(1, data.channels, size, size, /*training=*/false);

  LoaderOptions loader = loader_options(options.data, data, device, static_cast<int>(context.common.threads.value_or(1)));
  loader.seed = context.seed();
  loader.dtype = precision.dtype;
  const ScaledBatch largest = largest_images(sampler);
  const CachePlan cache = plan_cache(options.data, data, loader, largest.height, largest.width);
  if (cache.cache) context.log.info(fmt::format("cache: {}", cache.description));
  loader.cache = cache.cache;

  if (context.common.dry_run) {
    const RunPlan plan = plan_run(sampler, options.train, *model, precision.dtype);
    Json result = to_json(plan);
    result["precision"] = context.record.options["precision"];
    return {.text = to_text(plan), .result = result};
  }

  convert_memory_format(*model, at::MemoryFormat::ChannelsLast);
  move_to_device(*model, device);
  const NamedTensors parameters = named_parameters(*model);
  const std::vector<ParameterSetting> settings = parameter_settings(parameters, options.train);
  for (size_t i = 0; i < parameters.size(); ++i) parameters[i].second.requires_grad_(!settings[i].frozen);  // which batch norm trains follows from it
  BadImageList bad_images(context.output->path(), options.data.max_bad_percent, context.log);
  MultiscaleTask task({.options = options,
                       .sampler = sampler,
                       .data = data,
                       .model = *model,
                       .loader = loader,
                       .bad_images = loader.skip_bad_images ? &bad_images : nullptr,
                       .group = group});
  TrainerSetup setup{.parameters = parameters,
                     .model_state = named_tensors(*model),
                     .set_training_mode = [&](bool on) { set_training_mode(*model, on, options.train.freeze_batch_norm); },
                     .device = device,
                     .precision = precision.dtype,
                     .seed = context.seed(),
                     .machine = machine_facts(),
                     .data_id = known_data_id(data),
                     .allow_drift = context.common.allow_drift,
                     .other_memory_bytes = cache.bytes,
                     .group = &group,
                     .local_processes = context.launch.local_size};
  setup.set_training_mode(true);
  if (const int64_t folded = options.init.empty() || goes_on ? 0 : num_folded_batch_norms_in_training(*model); folded > 0) {
    context.log.notice(fmt::format("init: {} folded into {}, and training makes another network of that: --init-overlay lays statistics to train on over it, --freeze-batch-norm "
                                   "keeps it as it is", folded == 1 ? "1 batch norm is" : fmt::format("{} batch norms are", folded), folded == 1 ? "its convolution" : "their convolutions"));
  }
  if (options.train.sync_batch_norm) {
    synchronise_batch_norms(*model, group);
  } else if (group.size() > 1) {
    setup.moving_statistics = moving_statistics(*model);
  }
  Trainer trainer(options.train, setup, task, *context.output, context.record, context.log);
  const TrainResult trained = trainer.run();
  if (trained.end == TrainEnd::kStopped) {
    context.log.notice(fmt::format("stopped at step {}; the same command with --resume continues", trained.steps));
    return {.code = stop_signal() == SIGINT ? ExitCode::kInterrupted : ExitCode::kTerminated};
  }

  model->eval();
  const Json at_sizes = evaluate_sizes(sizes, task, device, precision.dtype, context.log);
  if (!group.is_first()) return {};
  const std::filesystem::path& directory = context.output->path();
  context.inputs = artifact_inputs(data, directory, options.data.hash_inputs);
  for (const ArtifactInput& input : initial.inputs) context.inputs.push_back({input.role, recorded_path(input.path, directory), input.id});
  Manifest manifest = context.manifest("classifier");
  manifest.metrics = trained.last_validation;
  manifest.metrics.update(at_sizes);
  manifest.metrics["best_val_top1_percent"] = trained.best_value;
  manifest.metrics["best_epoch"] = trained.best_epoch + 1;
  manifest.metrics["train_steps"] = trained.steps;
  manifest.metrics["train_multiply_adds"] = trained.multiply_adds;
  manifest.metrics["fixed_size_multiply_adds"] = plan_run(sampler, options.train, *model, precision.dtype).fixed_size_multiply_adds;
  for (const auto& [name, value] : trained.last_ema_validation.items()) manifest.metrics["ema_" + name] = value;

  Preprocessing preprocessing{.size = sampler.height.base, .crop_pct = loader.crop_share, .interpolation = options.data.interpolation, .mean = {}, .std = {}};
  for (const float mean : data.normalization.mean) preprocessing.mean.push_back(shortest_decimal(mean));
  for (const float std : data.normalization.std) preprocessing.std.push_back(shortest_decimal(std));
  manifest.model = to_json(description);
  manifest.model["preprocessing"] = to_json(preprocessing);
  manifest.model["class_names"] = data.class_names;
  std::vector<std::string> files = {"model.safetensors", "model_best.safetensors"};
  if (bad_images.finish()) files.emplace_back(BadImageList::kFileName);
  if (loader.skip_bad_images) manifest.metrics.update({{"bad_train_images", bad_images.count("train")}, {"bad_validation_images", bad_images.count("validation")}});
  save_weights(directory / files[0], named_tensors(*model));
  save_weights(directory / files[1], trainer.best_weights());
  if (options.train.model_ema) save_weights(directory / files.emplace_back("model_ema.safetensors"), trainer.ema_weights());
  if (const auto config = timm_config(options.arch, *model, preprocessing)) write_file_atomic(directory / files.emplace_back("config.json"), config->dump(1) + "\n");
  manifest.run["wall_s"] = trained.earlier_s + std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  manifest.run["device"] = context.common.device;
  manifest.run["processes"] = group.size();
  manifest.run["libtorch"] = machine_facts().libtorch;
  write_manifest(directory, manifest, files);
  remove_states(directory);
  return {.artifact = directory, .result = {{"id", manifest_id(read_manifest(directory))}}, .metrics = manifest.metrics};
}

}  // namespace

Report train_multiscale(const Options& options, RunContext& context) {
  return run_together(context, options.train.rank_timeout, [&](const ProcessGroup& group) { return train(options, context, group); });
}

}  // namespace fettle::multiscale
