#include "byteformer-train/classifier.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/human.h"
#include "base/progress.h"
#include "base/text.h"
#include "byteformer-train/byte_task.h"
#include "byteformer-train/saliency.h"
#include "byteformer-train/saliency_page.h"
#include "bytes/layout.h"
#include "checkpoint/byte_classifier.h"
#include "checkpoint/classifier.h"
#include "device/precision.h"
#include "io/file.h"
#include "models/preprocessing.h"
#include "train/autocast.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kShownClasses = 5;
constexpr size_t kMaxPipedBytes = size_t{256} << 20;  // as ImageFileLimits allows of a file
constexpr int64_t kPredictionBatch = 16;
constexpr const char* kAsTrained = "as trained";

LoaderOptions loader_of(const Options& options, const Input& input, const RunContext& context) {
  LoaderOptions loader;
  loader.seed = context.seed();
  loader.threads = static_cast<int>(options.data.workers.value_or(1));
  loader.crop_share = input.crop_pct;
  loader.filter = resize_filter_named(input.interpolation);
  loader.exif_orientation = options.data.exif_orientation;
  loader.decode.max_pixels = options.data.max_pixels;
  loader.skip_bad_images = options.data.bad_images == "skip";
  return loader;
}

at::ScalarType precision_of(const Options& options, const c10::Device& device) {
  // Numbers of different machines can be compared in fp32; bf16 is for those who ask.
  return options.train.precision == "auto" ? at::kFloat : choose_precision(options.train.precision, bf16_support(device), ArchFamily::kTransformer).dtype;
}

// What a pipe holds, whole.
std::vector<uint8_t> read_standard_input() {
  std::vector<uint8_t> bytes;
  constexpr size_t kStep = size_t{1} << 20;
  while (true) {
    const size_t had = bytes.size();
    bytes.resize(had + kStep);
    const ssize_t got = read(STDIN_FILENO, bytes.data() + had, kStep);
    if (got < 0 && errno == EINTR) {
      bytes.resize(had);
      continue;
    }
    FT_REQUIRE(got >= 0, "standard input cannot be read: {}", std::strerror(errno));
    bytes.resize(had + static_cast<size_t>(got));
    FT_REQUIRE(bytes.size() <= kMaxPipedBytes, "standard input has more than {}", human_bytes(kMaxPipedBytes));
    if (got == 0) return bytes;
  }
}

// A line a file; a network that answers no numbers is broken.
std::string line_of(const std::string& file, const at::Tensor& probabilities, const std::vector<std::string>& names) {
  if (!probabilities.isfinite().all().item<bool>()) FT_FAIL(ExitCode::kNumbers, "{}: the network's answer is not a number", file);
  const auto [values, classes] = probabilities.topk(std::min<int64_t>(kShownClasses, probabilities.size(0)));
  Json line = {{"file", file}, {"top", Json::array()}};
  for (int64_t i = 0; i < values.size(0); ++i) {
    line["top"].push_back({{"class", names[static_cast<size_t>(classes[i].item<int64_t>())]}, {"probability", shortest_decimal(values[i].item<float>())}});
  }
  return line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string row_of(const std::string& name, const ClassificationResult& r) {
  return fmt::format("  {:<27} {:>8.2f}  {:>8.2f}  {:>7.4f}  {:>7.4f}\n", name, r.top1_percent, r.top5_percent, r.nll, r.ece);
}

// Each transform of the paper's ablations by itself, in place of what the network was trained with of its kind.
std::vector<std::pair<std::string, ByteTransforms>> sweep_of(const ByteTransforms& trained) {
  std::vector<std::pair<std::string, ByteTransforms>> changed;
  const auto add = [&](const std::string& name, auto change) {
    ByteTransforms transforms = trained;
    change(transforms);
    if (transforms != trained) changed.emplace_back(name, transforms);
  };
  for (const Order order : {Order::kReverse, Order::kCyclicHalfLength, Order::kStride, Order::kWindowShuffle, Order::kRandomShuffle}) {
    add(fmt::format("reorder {}", order_name(order)), [&](ByteTransforms& t) { t.reorder = Reorder{.order = order}; });
  }
  for (const double fraction : {0.75, 0.5, 0.25, 0.1, 0.05}) {
    add(fmt::format("keep {}", fraction), [&](ByteTransforms& t) { t.keep = Keep{.fraction = fraction}; });
  }
  for (const int most : {1, 5, 10, 20}) {
    add(fmt::format("noise -{}:{}", most, most), [&](ByteTransforms& t) { t.noise = Noise{-most, most}; });
  }
  add("phi", [](ByteTransforms& t) { t.phi = reference_phi(); });
  return changed;
}

// A file as it is stored or encoded, before its bytes are transformed: as predict() makes it.
std::vector<uint8_t> untransformed(const Options& options, const Input& input, const RunContext& context) {
  Input plain = input;
  plain.transforms = {};
  plain.max_bytes = plain.most_bytes = 0;
  std::vector<uint8_t> bytes;
  if (options.explain == "-") {
    FT_REQUIRE_USAGE(!input.of_images(), "--explain -: the network reads pictures that are decoded first; those are read from files");
    FileEncoder(plain).encode(read_standard_input(), "standard input", {}, bytes);
    return bytes;
  }
  const LabelledImages files = open_unlabelled_images({options.explain}, input.of_images() ? is_image_name : is_any_name);
  FT_REQUIRE(num_images(files) == 1, "--explain takes one file, and {} has {}", quote_path(options.explain), with_thousands(num_images(files)));
  LoaderOptions loader = loader_of(options, input, context);
  loader.threads = 0;
  loader.skip_bad_images = false;
  const std::vector<BatchPlan> plans = plan_evaluation(1, {}, {.image_size = input.size});
  ByteLoader batches(files, plain, plans, 0, 0, loader);
  ByteBatch batch;
  FT_CHECK(batches.next(batch), "a file that was there");
  const auto* const first = batch.files.bytes.const_data_ptr<uint8_t>();
  return {first, first + batch.files.bytes.numel()};
}

Json failed_line(const std::string& file, const std::string& why) { return {{"file", file}, {"error", why}}; }

}  // namespace

Report evaluate(const Options& options, RunContext& context) {
  const ByteClassifier classifier = open_byte_classifier(options.from, options.phi_file, positions_of(options.longer_files));
  const c10::Device device(context.common.device);
  move_to_device(*classifier.model, device);
  DataSource source;
  source.data = options.data.data;
  source.format = data_format_named(options.data.data_format);
  if (!classifier.input.of_images()) source.is_sample = is_any_name;
  TestImages test = open_test_images(source, classifier.class_names, classifier.model->description().num_classes);
  context.log.info(fmt::format("data: {}: {} files, {}", options.data.data, with_thousands(test.images.size()), test.from));
  // Lengths, for which sounds are decoded, tell nothing but how many tokens a batch has.
  Samples samples = options.batch_tokens ? samples_of(std::move(test.images), classifier.input) : Samples{.files = std::move(test.images)};
  check_batch_tokens(options, samples, classifier.input);

  const at::NoGradGuard no_grad;
  const AutocastGuard autocast(device, precision_of(options, device));
  int64_t num_bad = 0;
  const auto result_of = [&](const std::string& name, const ByteTransforms& transforms) {
    Input input = classifier.input;
    input.transforms = transforms;
    Progress progress(context.log, name, "files", num_images(samples.files));
    const auto note_bad = [&](const std::vector<BadImage>& bad) {
      for (const BadImage& file : bad) {
        if (name == kAsTrained && ++num_bad <= 3) context.log.warn(fmt::format("left out: {}", file.why));
      }
    };
    const ProcessGroup alone;
    count_tokens(samples, input, classifier.model->description());
    const ClassificationResult result =
        evaluate(*classifier.model, samples, input, batches_of(options, input, alone), loader_of(options, input, context), alone, note_bad, [&](int64_t done) { progress.update(done); });
    progress.finish();
    return result;
  };

  const ClassificationResult result = result_of(kAsTrained, classifier.input.transforms);
  Report report;
  report.metrics = {{"top1_percent", result.top1_percent}, {"top5_percent", result.top5_percent}, {"nll", result.nll}, {"ece", result.ece}};
  report.result = {{"model_id", classifier.id}, {"files", result.num_samples}, {"bad_files", num_bad}};
  report.text = fmt::format("  {:<27}  top-1 %   top-5 %      NLL      ECE\n", "") + row_of(kAsTrained, result);
  if (!options.sweep) return report;
  for (const auto& [name, transforms] : sweep_of(classifier.input.transforms)) {
    const ClassificationResult changed = result_of(name, transforms);
    report.text += row_of(name, changed);
    report.result["sweep"].push_back({{"transform", name}, {"top1_percent", changed.top1_percent}, {"top5_percent", changed.top5_percent}, {"nll", changed.nll}, {"ece", changed.ece}});
  }
  return report;
}

Report predict(const Options& options, RunContext& context) {
  const ByteClassifier classifier = open_byte_classifier(options.from, options.phi_file, positions_of(options.longer_files));
  const c10::Device device(context.common.device);
  move_to_device(*classifier.model, device);
  const std::vector<std::string> names = names_or_numbers(classifier.class_names, classifier.model->description().num_classes);
  const bool skip = options.data.bad_images == "skip";
  const at::NoGradGuard no_grad;
  const AutocastGuard autocast(device, precision_of(options, device));
  Report report;
  report.result = {{"model_id", classifier.id}, {"predictions", Json::array()}};
  const auto answer = [&](const std::string& text) {
    context.show(text);
    if (context.common.json) report.result["predictions"].push_back(Json::parse(text));
  };
  const auto fail = [&](const std::string& file, const std::string& why) {
    FT_REQUIRE(skip, "{}", why);
    answer(failed_line(file, why).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  };

  for (const std::string& path : options.predict) {
    if (path == "-") {
      FT_REQUIRE_USAGE(!classifier.input.of_images(), "--predict -: the network reads pictures that are decoded first; those are read from files");
      try {
        FileEncoder encoder(classifier.input);
        std::vector<uint8_t> bytes;
        encoder.encode(read_standard_input(), "standard input", {.seed = context.seed()}, bytes);
        const at::Tensor packed = at::from_blob(bytes.data(), {static_cast<int64_t>(bytes.size())}, at::kByte);
        answer(line_of("-", classifier.model->forward({packed, {0, packed.numel()}}).to(at::kFloat).softmax(1)[0].cpu(), names));
      } catch (const Error& error) {
        if (error.code() != ExitCode::kInput) throw;
        fail("-", error.what());
      }
      continue;
    }
    LabelledImages files;
    try {
      files = open_unlabelled_images({path}, classifier.input.of_images() ? is_image_name : is_any_name);
    } catch (const Error& error) {
      if (error.code() != ExitCode::kInput) throw;
      fail(path, error.what());
      continue;
    }
    const auto name_of = [&](int64_t index) { return std::string(std::get<ImageFiles>(files).relative_path(index)); };
    LoaderOptions loader = loader_of(options, classifier.input, context);
    loader.threads = 0;
    // A batch of which nothing can be used is taken apart, so that each file is answered for by itself.
    const std::function<void(const BatchPlan&)> answer_batch = [&](const BatchPlan& plan) {
      const std::vector<BatchPlan> plans = {plan};
      ByteLoader batches(files, classifier.input, plans, 0, 0, loader);
      ByteBatch batch;
      at::Tensor probabilities;
      try {
        FT_CHECK(batches.next(batch), "files that were there");
        probabilities = classifier.model->forward(batch.files).to(at::kFloat).softmax(1).cpu();
      } catch (const Error& error) {
        if (error.code() != ExitCode::kInput) throw;
        if (plan.indices.size() == 1) return fail(name_of(plan.indices[0]), error.what());
        for (const int64_t index : plan.indices) answer_batch({plan.height, plan.width, {index}});
        return;
      }
      int64_t row = 0;
      for (const int64_t index : plan.indices) {
        const auto bad = std::find_if(batch.bad.begin(), batch.bad.end(), [&](const BadImage& file) { return file.index == index; });
        if (bad != batch.bad.end()) {
          fail(name_of(index), bad->why);
        } else {
          answer(line_of(name_of(index), probabilities[row++], names));
        }
      }
    };
    for (const BatchPlan& plan : plan_evaluation(num_images(files), {}, {.batch_size = kPredictionBatch, .image_size = classifier.input.size})) answer_batch(plan);
  }
  return report;
}

Report explain(const Options& options, RunContext& context) {
  const ByteClassifier classifier = open_byte_classifier(options.from, options.phi_file, positions_of(options.longer_files));
  move_to_device(*classifier.model, c10::Device(context.common.device));
  for (const auto& [name, parameter] : named_parameters(*classifier.model)) at::Tensor(parameter).requires_grad_(false);
  const Input& input = classifier.input;
  const std::string name = options.explain == "-" ? "standard input" : quote_path(options.explain);

  const std::vector<uint8_t> file = untransformed(options, input, context);
  Explanation explanation{.model_id = classifier.id, .file = options.explain, .class_names = names_or_numbers(classifier.class_names, classifier.model->description().num_classes)};
  const bool pixels = input.encoding && (input.encoding->encoding == Encoding::kFhwc || input.encoding->encoding == Encoding::kFchw);
  explanation.format = pixels ? encoding_name(input.encoding->encoding) : file_format(file);
  explanation.regions = pixels ? std::vector<Region>{{"pixels", RegionKind::kData, 0, file.size()}} : file_layout(file);
  std::vector<uint8_t> bytes = file;
  if (input.max_bytes > 0) bytes.resize(std::min(bytes.size(), static_cast<size_t>(input.max_bytes)));
  ByteTransformer transformer(input.transforms);
  const SampleKey key{.seed = context.seed()};
  const std::vector<int64_t> sources = transformer.source_positions(static_cast<int64_t>(bytes.size()), key, name);
  transformer.apply(bytes, key, name);
  require_bytes(input, bytes.size(), name);

  Progress progress(context.log, "explain", "points", -1);
  explanation.saliency = integrated_gradients(*classifier.model, bytes, name, {}, [&](int64_t points) { progress.update(points); });
  progress.finish();
  const Saliency& saliency = explanation.saliency;
  const double change = saliency.margin - saliency.baseline_margin;
  if (std::abs(saliency.completeness_gap) > SaliencyOptions().allowed_gap(saliency)) {
    context.log.warn(fmt::format("after {} points attributions differ from the {:+.3f} logits that they should sum up to by {:+.3f}", saliency.points, change, saliency.completeness_gap));
  }
  if (saliency.baseline_answer == saliency.answer) {
    context.log.warn(fmt::format("without any bytes the network answers '{}' too: this file adds {:+.3f} to a margin of {:+.3f} logits, and shares are of that alone",
                                 explanation.class_names[static_cast<size_t>(saliency.answer)], change, saliency.baseline_margin));
  }
  explanation.bytes_read = static_cast<int64_t>(bytes.size());
  explanation.of_bytes.assign(file.size(), 0);
  for (size_t i = 0; i < sources.size(); ++i) explanation.of_bytes[static_cast<size_t>(sources[i])] = saliency.of_bytes[i];
  Report report{.text = to_text(explanation), .result = to_json(explanation)};
  if (!options.report.empty()) {
    write_file_atomic(options.report, to_html(explanation));
    report.result["report"] = options.report;
  }
  return report;
}

}  // namespace fettle::byteformer
