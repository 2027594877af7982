#include "byteformer-train/train_byteformer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/human.h"
#include "base/signals.h"
#include "base/text.h"
#include "byteformer-train/byte_task.h"
#include "byteformer-train/classifier.h"
#include "checkpoint/byte_classifier.h"
#include "checkpoint/initial_weights.h"
#include "checkpoint/state.h"
#include "checkpoint/weights.h"
#include "dataset/dataset_id.h"
#include "device/precision.h"
#include "train/tool_start.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kProbedSamples = 64;
constexpr double kRoomBeyondProbed = 2;  // the longest of those probed is not the longest of all

// The longest and the middle file: what the position table and the merges are made for.
struct Lengths {
  int64_t longest = 0, middle = 0;
  bool exact = true;
};

Lengths lengths_of(const Samples& training, const Samples& validation, const Input& input, const std::optional<multiscale::SamplerOptions>& sampler, const LoaderOptions& loader) {
  std::vector<int64_t> lengths;
  Lengths result;
  for (const Samples* part : {&training, &validation}) {
    const std::vector<int64_t> known = byte_lengths(part->file_lengths, input);
    lengths.insert(lengths.end(), known.begin(), known.end());
    if (!part->file_lengths.empty()) continue;
    result.exact = false;
    const int64_t count = std::min(num_images(part->files), kProbedSamples);
    LoaderOptions alone = loader;
    alone.threads = 0;
    for (int64_t i = 0; i < count; ++i) {
      const std::vector<BatchPlan> plans = {{input.size, input.size, {i * num_images(part->files) / count}}};
      ByteLoader one(part->files, input, plans, 0, 0, alone);
      ByteBatch batch;
      try {
        if (one.next(batch)) lengths.push_back(batch.files.length(0));
      } catch (const Error& error) {
        if (!loader.skip_bad_images || error.code() != ExitCode::kInput) throw;
      }
    }
  }
  if (loader.skip_bad_images) std::erase(lengths, 0);
  FT_REQUIRE(!lengths.empty(), "none of the files that were tried can be used");
  std::sort(lengths.begin(), lengths.end());
  FT_REQUIRE(lengths.front() > 0, "some files are empty or cannot be read, or their transforms leave no bytes of them; --bad-images skip leaves them out");
  result.middle = lengths[lengths.size() / 2];
  result.longest = result.exact ? lengths.back() : static_cast<int64_t>(kRoomBeyondProbed * static_cast<double>(lengths.back()));
  if (sampler) {
    // Bytes follow the pixels where contents decide.
    const multiscale::ScaledBatch largest = multiscale::largest_images(*sampler);
    const auto known = image_length(input, largest.height, largest.width, num_channels(training.files));
    const double growth = static_cast<double>(largest.height * largest.width) / static_cast<double>(input.size * input.size);
    result.longest = std::max(result.longest, known.value_or(static_cast<int64_t>(growth * static_cast<double>(result.longest))));
  }
  return result;
}

ByteFormerDescription describe(const Options& options, const ImageData& data, const Lengths& lengths, Log& log) {
  ByteFormerDescription description = byteformer_description(options.arch, data.num_classes, arch_options(options));
  if (!options.max_tokens) description.max_tokens = description.num_tokens(lengths.longest);
  if (!lengths.exact && options.longer_files == "auto") {
    description.positions = "truncated";
    log.info(fmt::format("model: contents decide how long files get; there is room for {} bytes, and what is behind is left out (--longer-files refuse or interpolate does otherwise)",
                         with_thousands(description.max_tokens * description.stride())));
  }
  const size_t usual = description.merges.size();
  leave_out_merges(description, lengths.middle);
  if (description.merges.size() < usual) {
    log.info(fmt::format("model: {} of {} merges, so that {} bytes, of which half of the files have more, keep {} tokens or more", description.merges.size(), usual, with_thousands(lengths.middle),
                         kMinMergedTokens));
  }
  return description;
}

std::string plan_text(const ByteFormerDescription& description, const Samples& train, const Lengths& lengths, int64_t steps, double multiply_adds) {
  const ByteFormerCost cost = byteformer_cost(description, lengths.middle);
  std::string text = fmt::format("  parameters     {}\n  steps          {}\n  bytes          {} in the middle, {} {}\n  tokens         ", with_thousands(byteformer_parameters(description)), with_thousands(steps),
                                 with_thousands(lengths.middle), lengths.exact ? "at most" : "room for", with_thousands(lengths.longest));
  for (size_t i = 0; i < cost.tokens.size(); ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", with_thousands(cost.tokens[i]));
  text += fmt::format("\n  multiply-adds  {} a file ({} stem, {} linear, {} attention, {} merging)\n  activations    {} a file\n", human_count(static_cast<double>(cost.multiply_adds())),
                      human_count(static_cast<double>(cost.stem)), human_count(static_cast<double>(cost.linear)), human_count(static_cast<double>(cost.attention)),
                      human_count(static_cast<double>(cost.merging)), human_bytes(static_cast<uint64_t>(cost.activation_bytes)));
  if (!train.lengths.empty()) text += fmt::format("  training       {} multiply-adds\n", human_count(multiply_adds));
  if (train.lengths.empty()) text += "  (contents decide how long files get: these are estimates from a few)\n";
  return text;
}

std::vector<ArtifactInput> initialise_from(const Options& options, const ByteFormer& model, Log& log) {
  if (options.init.empty()) return {};
  const WeightsFile file(options.init);
  const LoadReport report = load_weights(file, named_tensors(model), kByteFormerHead);
  const bool all = log.level() == LogLevel::kVerbose;
  if (!options.init_partial) require_complete(report, file, all, all ? "--init-partial takes what fits" : "-v lists all names; --init-partial takes what fits");
  log.info(fmt::format("init: {}{}", file.path().string(), report.head_is_new ? fmt::format(", but for the classifier, which is drawn anew for {} classes", model.description().num_classes) : ""));
  return {{"init", options.init, file.id()}};
}

Report train(const Options& options, RunContext& context, const ProcessGroup& group) {
  const auto began = std::chrono::steady_clock::now();
  const c10::Device device(context.common.device);
  ImageData data = open_data(options);
  context.log.info(fmt::format("data: {}", data.description));

  LoaderOptions loader = loader_options(options.data, data, c10::kCPU, static_cast<int>(context.common.threads.value_or(1)));
  loader.seed = context.seed();
  Input input = input_of(options, data.side);
  if (input.of_images()) input.crop_pct = loader.crop_share, input.interpolation = options.data.interpolation;
  const std::optional<multiscale::SamplerOptions> sampler = sampler_of(options, input, num_images(data.train), context.seed());
  CachePlan cache;
  if (input.of_images()) {
    const int64_t largest = sampler ? multiscale::largest_images(*sampler).height : input.size;
    cache = plan_cache(options.data, data, loader, largest, largest);
    if (cache.cache) context.log.info(fmt::format("cache: {}", cache.description));
  }
  Samples training = samples_of(std::move(data.train), input), validation = samples_of(std::move(data.validation), input);
  check_batch_tokens(options, training, input);
  const Lengths lengths = lengths_of(training, validation, input, sampler, loader);
  const ByteFormerDescription description = describe(options, data, lengths, context.log);
  input.most_bytes = description.most_bytes();
  loader.cache = cache.cache;
  count_tokens(training, input, description);
  count_tokens(validation, input, description);
  FT_REQUIRE(num_images(training.files) >= group.size(), "{} training files for {} processes", num_images(training.files), group.size());
  const std::shared_ptr<ByteFormer> model = make_byteformer(description, derive_seed(context.seed(), "weights"));
  const PrecisionChoice precision = choose_precision(options.train.precision, bf16_support(device), ArchFamily::kTransformer);
  context.record.options["precision"] = precision.dtype == at::kFloat ? "fp32" : "bf16";
  context.log.info(fmt::format("precision: {}", precision.why));

  const bool goes_on = context.output != nullptr && context.output->resuming() && latest_state(context.output->path());
  const RunRecord before = goes_on ? context.output->recorded().value_or(RunRecord{}) : RunRecord{};
  const std::vector<ArtifactInput> initial = before.initial.empty() ? initialise_from(options, *model, context.log) : inputs_of_resumed(before, {{"init", options.init}});
  context.record.initial = {{"ids", ids_by_role(initial)}};

  std::optional<SoundAugment> sound_augment;
  if (augments_sounds(options)) {
    sound_augment.emplace(
        SoundAugmentOptions{.background = options.background, .background_db = options.background_db, .roll = options.sound_roll, .mixup_alpha = options.data.mixup_alpha});
  }
  BadImageList bad_files(context.output != nullptr ? context.output->path() : "", options.data.max_bad_percent, context.log);
  ByteTask task({.options = options,
                 .input = input,
                 .train = training,
                 .validation = validation,
                 .model = *model,
                 .sampler = sampler,
                 .loader = loader,
                 .sound_augment = sound_augment ? &*sound_augment : nullptr,
                 .bad_files = loader.skip_bad_images ? &bad_files : nullptr,
                 .group = group});
  if (context.common.dry_run) {
    int64_t steps = 0;
    double multiply_adds = 0;
    for (int64_t epoch = 0; epoch < options.train.epochs; ++epoch) {
      steps += steps_in_epoch(task, epoch, options.train.grad_accum_steps);
      for (int64_t batch = 0; batch < task.num_batches(epoch); ++batch) multiply_adds += task.facts(epoch, batch).multiply_adds;
    }
    const ByteFormerCost cost = byteformer_cost(description, lengths.middle);
    return {.text = plan_text(description, training, lengths, steps, multiply_adds),
            .result = {{"parameters", byteformer_parameters(description)}, {"steps", steps}, {"middle_bytes", lengths.middle}, {"longest_bytes", lengths.longest}, {"tokens", cost.tokens},
                       {"train_multiply_adds", training.lengths.empty() ? Json() : Json(multiply_adds)}, {"multiply_adds", cost.multiply_adds()}, {"activation_bytes", cost.activation_bytes}, {"precision", context.record.options["precision"]}}};
  }

  move_to_device(*model, device);
  TrainerSetup setup{.parameters = named_parameters(*model),
                     .model_state = named_tensors(*model),
                     .set_training_mode = [&](bool on) { model->train(on); },
                     .device = device,
                     .precision = precision.dtype,
                     .seed = context.seed(),
                     .machine = machine_facts(),
                     .data_id = known_data_id(data),
                     .allow_drift = context.common.allow_drift,
                     .other_memory_bytes = cache.bytes,
                     .group = &group,
                     .local_processes = context.launch.local_size};
  Trainer trainer(options.train, setup, task, *context.output, context.record, context.log);
  const TrainResult trained = trainer.run();
  if (trained.end == TrainEnd::kStopped) {
    context.log.notice(fmt::format("stopped at step {}; the same command with --resume continues", trained.steps));
    return {.code = stop_signal() == SIGINT ? ExitCode::kInterrupted : ExitCode::kTerminated};
  }

  if (!group.is_first()) return {};
  const std::filesystem::path& directory = context.output->path();
  context.inputs = artifact_inputs(data, directory, options.data.hash_inputs);
  if (!options.background.empty()) context.inputs.push_back({"background", recorded_path(options.background, directory), dataset_id(options.background, options.data.hash_inputs)});
  for (const ArtifactInput& one : initial) context.inputs.push_back({one.role, recorded_path(one.path, directory), one.id});
  Manifest manifest = context.manifest(kByteClassifierKind);
  manifest.metrics = trained.last_validation;
  manifest.metrics["best_val_top1_percent"] = trained.best_value;
  manifest.metrics["best_epoch"] = trained.best_epoch + 1;
  manifest.metrics["train_steps"] = trained.steps;
  if (!training.lengths.empty()) manifest.metrics["train_multiply_adds"] = trained.multiply_adds;
  for (const auto& [name, value] : trained.last_ema_validation.items()) manifest.metrics["ema_" + name] = value;
  manifest.model = to_json(description, input, data.class_names);
  std::vector<std::string> files = {"model.safetensors", "model_best.safetensors"};
  if (bad_files.finish()) files.emplace_back(BadImageList::kFileName);
  save_weights(directory / files[0], named_tensors(*model));
  save_weights(directory / files[1], trainer.best_weights());
  if (options.train.model_ema) save_weights(directory / files.emplace_back("model_ema.safetensors"), trainer.ema_weights());
  manifest.run["wall_s"] = trained.earlier_s + std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  manifest.run["device"] = context.common.device;
  manifest.run["processes"] = group.size();
  manifest.run["libtorch"] = machine_facts().libtorch;
  write_manifest(directory, manifest, files);
  remove_states(directory);
  return {.artifact = directory, .result = {{"id", manifest_id(read_manifest(directory))}}, .metrics = manifest.metrics};
}

}  // namespace

ImageData open_data(const Options& options) {
  if (encodes_images(options)) return open_image_data(options.data);
  DataSource source;
  source.data = options.data.data;
  source.val_data = options.data.val_data;
  source.format = data_format_named(options.data.data_format);
  source.val_fraction = options.data.val_fraction;
  source.num_classes = options.data.num_classes;
  source.is_sample = is_any_name;
  FT_REQUIRE(source.format.value_or(find_data_format(source.data)) != DataFormat::kIdx, "{} is IDX, whose images have no bytes of their own; --encoding writes them as files",
             quote_path(source.data));
  ImageFileDataset files = open_image_files(source);
  ImageData data;
  data.num_classes = files.num_classes;
  data.class_names = std::move(files.class_names);
  data.inputs = std::move(files.inputs);
  data.description = fmt::format("{}: {}, {} classes, {} training and {} validation files ({}), {}", quote_path(data.inputs.at(0).path), data_format_name(data.inputs[0].format),
                                 with_thousands(data.num_classes), with_thousands(files.train.size()), with_thousands(files.validation.size()), files.validation_from, human_bytes(files.bytes));
  data.train = std::move(files.train);
  data.validation = std::move(files.validation);
  return data;
}

Report train_byteformer(const Options& options, RunContext& context) {
  if (options.evaluate) return evaluate(options, context);
  if (!options.predict.empty()) return predict(options, context);
  if (!options.explain.empty()) return explain(options, context);
  return run_together(context, options.train.rank_timeout, [&](const ProcessGroup& group) { return train(options, context, group); });
}

}  // namespace fettle::byteformer
