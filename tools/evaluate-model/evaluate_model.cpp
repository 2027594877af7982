#include "evaluate-model/evaluate_model.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "augment/corruptions.h"
#include "base/human.h"
#include "base/progress.h"
#include "base/text.h"
#include "checkpoint/classifier.h"
#include "checkpoint/weights.h"
#include "dataset/image_set.h"
#include "device/precision.h"
#include "evaluate-model/evaluation.h"
#include "evaluate-model/network.h"
#include "evaluate-model/report.h"
#include "io/file.h"
#include "models/module.h"

namespace fettle::evaluate {
namespace {

constexpr size_t kShownErrors = 24;
constexpr size_t kShownWeakest = 5;
constexpr size_t kShownPairs = 5;
constexpr uint64_t kCorruptionSeed = 0;  // the same noise for every model

struct Samples {
  LabelledImages samples;
  std::vector<std::string> class_names;  // empty where nobody has named them
  std::string description;

  std::string name(int64_t index) const {
    const auto* files = std::get_if<ImageFiles>(&samples);
    return files == nullptr ? fmt::format("test image {}", index) : std::string(files->relative_path(index));
  }
};

std::string noun(const Network& network) { return network.sees_pictures() ? "images" : "files"; }

Samples open_labelled(const Options& options, const Network& network) {
  const std::optional<DataFormat> format = data_format_named(options.data_format);
  Samples opened;
  if (format.value_or(find_data_format(options.data)) == DataFormat::kIdx) {
    FT_REQUIRE(network.sees_pictures(), "{} is IDX, whose images have no bytes of their own", quote_path(options.data));
    ImageDataset set = load_image_dataset(options.data, network.num_classes);
    FT_REQUIRE(network.class_names.empty() || set.class_names.empty() || network.class_names == set.class_names, "{} has other classes than the network, such as {}", options.data,
               quote(set.class_names[0]));
    opened.description = fmt::format("{}: {} test images of {}x{}", options.data, with_thousands(set.test.num_images), set.test.height, set.test.width);
    opened.class_names = network.class_names.empty() ? set.class_names : network.class_names;
    opened.samples = std::move(set.test);
  } else {
    DataSource source;
    source.data = options.data;
    source.format = format;
    if (!network.sees_pictures()) source.is_sample = is_any_name;
    TestImages test = open_test_images(source, network.class_names, network.num_classes);
    opened.description = fmt::format("{}: {}, {} {} ({}), {}", options.data, data_format_name(test.input.format), with_thousands(test.images.size()), noun(network), test.from,
                                     human_bytes(test.bytes));
    opened.class_names = test.class_names;
    opened.samples = std::move(test.images);
  }
  FT_REQUIRE(!network.channels || num_channels(opened.samples) == *network.channels, "{} has images of {} channels, but the network takes {}", options.data, num_channels(opened.samples),
             *network.channels);
  return opened;
}

Samples open_unlabelled(const Options& options, const Network& network) {
  Samples opened{open_unlabelled_images(options.predict, network.sees_pictures() ? is_image_name : is_any_name), network.class_names, ""};
  FT_REQUIRE(network.channels.value_or(3) == 3, "--predict: the network takes {} channels, and image files are read as RGB", *network.channels);
  const int64_t count = num_images(opened.samples);
  opened.description = fmt::format("{} {}{} to classify", with_thousands(count), network.sees_pictures() ? "image" : "file", count == 1 ? "" : "s");
  return opened;
}

Settings settings_of(const Options& options, const Network& network, const RunContext& context) {
  Settings settings;
  settings.device = c10::Device(context.common.device);
  settings.precision = choose_precision(options.precision, bf16_support(settings.device), network.family).dtype;
  settings.batch_size = options.batch_size;
  settings.ece_bins = options.ece_bins;
  settings.loader.seed = context.seed();
  settings.loader.threads = static_cast<int>(options.workers.value_or(settings.device.is_cpu() ? 1 : context.common.threads.value_or(1)));
  settings.loader.crop_share = network.crop_share;
  settings.loader.filter = network.filter;
  settings.loader.exif_orientation = options.exif_orientation;
  settings.loader.decode.max_pixels = options.max_pixels;
  settings.loader.skip_bad_images = options.bad_images == "skip";
  return settings;
}

Json to_json(const Answer& answer, const Samples& samples, const std::vector<std::string>& names) {
  Json line = {{"image", samples.name(answer.index)}};
  if (answer.label >= 0) line["label"] = names[static_cast<size_t>(answer.label)];
  line["top"] = Json::array();
  for (size_t i = 0; i < answer.classes.size(); ++i) {
    line["top"].push_back({{"class", names[static_cast<size_t>(answer.classes[i])]}, {"probability", shortest_decimal(answer.probabilities[i])}});
  }
  return line;
}

std::string jsonl(const std::vector<Answer>& answers, const Samples& samples, const std::vector<std::string>& names) {
  std::string text;
  for (const Answer& answer : answers) text += to_json(answer, samples, names).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return text;
}

// What is taken for something else, and with pictures how they look, scaled and cut out as for the network.
std::vector<ShownError> confident_errors(std::vector<Answer> answers, const Samples& samples, const Settings& settings, int64_t size) {
  std::erase_if(answers, [](const Answer& a) { return a.classes[0] == a.label; });
  std::stable_sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) { return a.probabilities[0] > b.probabilities[0]; });
  if (answers.size() > kShownErrors) answers.resize(kShownErrors);
  std::vector<ShownError> shown;
  for (const Answer& answer : answers) shown.push_back({answer, samples.name(answer.index), ""});
  if (size == 0) return shown;
  std::vector<BatchPlan> plans;
  for (const Answer& answer : answers) plans.push_back({size, size, {answer.index}});
  LoaderOptions options = settings.loader;
  options.dtype = at::kByte;
  const Normalization none;
  ImageLoader loader(samples.samples, none, plans, 0, 0, options);
  Batch batch;
  for (ShownError& error : shown) {
    FT_CHECK(loader.next(batch), "an image that was there");
    const at::Tensor pixels = batch.images[0].expand({size, size, 3}).contiguous();
    const uint8_t* bytes = pixels.const_data_ptr<uint8_t>();
    error.picture = image_uri({bytes, bytes + pixels.numel()}, size, size);
  }
  return shown;
}

std::string size_table(const std::vector<SizeResult>& sizes) {
  std::string text = "  size   top-1 %   top-5 %      NLL      ECE\n";
  for (const SizeResult& r : sizes) {
    text += fmt::format("  {:>4}  {:>8.2f}  {:>8.2f}  {:>7.4f}  {:>7.4f}\n", r.size > 0 ? std::to_string(r.size) : "-", r.result.top1_percent, r.result.top5_percent,
                        r.result.nll, r.result.ece);
  }
  return text;
}

std::string weak_points(const SizeResult& r, const std::vector<std::string>& names) {
  std::string text = fmt::format("\nweakest classes{}\n", at_size(r.size));
  const std::vector<Confusion::ClassAccuracy> classes = r.confusion.weakest_first();
  for (size_t i = 0; i < std::min(kShownWeakest, classes.size()); ++i) {
    text += fmt::format("  {:>6.2f} % of {:>6}  {}\n", classes[i].percent, with_thousands(classes[i].images), names[static_cast<size_t>(classes[i].label)]);
  }
  const std::vector<Confusion::Pair> pairs = r.confusion.worst(kShownPairs);
  if (!pairs.empty()) text += "\nmost confused\n";
  for (const Confusion::Pair& pair : pairs) {
    text += fmt::format("  {:>6} x  {} taken for {}\n", with_thousands(pair.count), names[static_cast<size_t>(pair.label)], names[static_cast<size_t>(pair.answer)]);
  }
  return text;
}

// A path as it is, control characters as \\x1b.
std::string printable(const std::string& path) {
  const std::string quoted = quote_path(path);
  return quoted.substr(1, quoted.size() - 2);
}

std::string prediction_lines(const std::vector<Answer>& answers, const Samples& samples, const std::vector<std::string>& names) {
  std::string text;
  for (const Answer& answer : answers) {
    text += printable(samples.name(answer.index));
    for (size_t i = 0; i < answer.classes.size(); ++i) text += fmt::format("{} {} {:.3f}", i == 0 ? ":" : ",", names[static_cast<size_t>(answer.classes[i])], answer.probabilities[i]);
    text += "\n";
  }
  return text;
}

std::string corruption_table(const std::vector<CorruptedResult>& corrupted, int64_t size) {
  if (corrupted.empty()) return "";
  std::string text = fmt::format("\ntop-1 % of corrupted images at {} px, by severity\n", size);
  for (size_t i = 0; i < corrupted.size(); ++i) {
    if (i == 0 || corrupted[i].corruption != corrupted[i - 1].corruption) text += fmt::format("{}  {:<17}", i == 0 ? "" : "\n", corrupted[i].corruption);
    text += fmt::format("  {}: {:>5.2f}", corrupted[i].severity, corrupted[i].result.result.top1_percent);
  }
  return text + "\n";
}

// Means over severities by corruption, and over all.
void add_corrupted_metrics(const std::vector<CorruptedResult>& corrupted, Json& metrics) {
  if (corrupted.empty()) return;
  const auto count = static_cast<double>(corrupted.size());
  double all_top1 = 0, all_ece = 0;
  std::map<std::string, std::pair<double, int>> by_name;
  for (const CorruptedResult& c : corrupted) {
    all_top1 += c.result.result.top1_percent / count;
    all_ece += c.result.result.ece / count;
    by_name[c.corruption].first += c.result.result.top1_percent;
    ++by_name[c.corruption].second;
  }
  for (const auto& [name, sum] : by_name) metrics["top1_percent_" + name] = sum.first / sum.second;
  metrics["top1_percent_corrupted"] = all_top1;
  metrics["ece_corrupted"] = all_ece;
}

Json metrics_of(const std::vector<SizeResult>& sizes) {
  const ClassificationResult& first = sizes.front().result;
  Json metrics = {{"top1_percent", first.top1_percent}, {"top5_percent", first.top5_percent}, {"nll", first.nll}, {"ece", first.ece}};
  double top1 = 0, ece = 0;
  for (const SizeResult& r : sizes) {
    if (r.size > 0) {
      metrics[fmt::format("top1_percent_at_{}", r.size)] = r.result.top1_percent;
      metrics[fmt::format("ece_at_{}", r.size)] = r.result.ece;
    }
    top1 += r.result.top1_percent / static_cast<double>(sizes.size());
    ece += r.result.ece / static_cast<double>(sizes.size());
  }
  metrics["top1_percent_mean"] = top1;
  metrics["ece_mean"] = ece;
  return metrics;
}

}  // namespace

Report evaluate_model(const Options& options, RunContext& context) {
  const Network network = open_network(options, /*all_names=*/context.log.level() == LogLevel::kVerbose);
  context.log.info(fmt::format("model: {}", network.description));
  if (!options.export_file.empty()) {
    save_weights(options.export_file, network.tensors);
    context.log.info(fmt::format("export: {} tensors to {}", network.tensors.size(), options.export_file));
  }
  if (options.data.empty() && options.predict.empty()) return {.text = options.export_file, .result = {{"export", options.export_file}, {"model_id", network.id}}};

  const bool has_labels = !options.data.empty();
  const std::vector<int64_t>& sizes = network.sizes;
  const Samples samples = has_labels ? open_labelled(options, network) : open_unlabelled(options, network);
  const int64_t num_samples = num_images(samples.samples);
  context.log.info(fmt::format("data: {}", samples.description));
  const Settings settings = settings_of(options, network, context);
  const std::vector<std::string> names = names_or_numbers(samples.class_names, network.num_classes);
  move_to_device(*network.module, settings.device);

  std::vector<SizeResult> results;
  std::vector<Answer> answers;  // at the first size
  int64_t num_bad = 0;
  for (const int64_t size : sizes) {
    const bool first = results.empty();
    Progress progress(context.log, size > 0 ? fmt::format("{} px", size) : "evaluate", noun(network), num_samples);
    const auto note_bad = [&](const std::vector<BadImage>& bad) {
      for (const BadImage& image : bad) {
        if (!first) continue;
        if (++num_bad <= 3) context.log.warn(fmt::format("left out: {}", image.why));
        FT_REQUIRE(100 * static_cast<double>(num_bad) <= options.max_bad_percent * static_cast<double>(num_samples),
                   "{} of {} {} cannot be used, more than --max-bad-percent {}; the last: {}", num_bad, num_samples, noun(network), options.max_bad_percent, image.why);
      }
    };
    results.push_back(evaluate_at(network, samples.samples, size, has_labels, settings, first ? &answers : nullptr, note_bad, [&](int64_t done) { progress.update(done); }));
    progress.finish();
  }
  std::vector<CorruptedResult> corrupted;
  const bool every = std::find(options.corruptions.begin(), options.corruptions.end(), "all") != options.corruptions.end();
  for (size_t kind = 0; kind < corruption_names().size(); ++kind) {
    const std::string& name = corruption_names()[kind];
    if (!every && std::find(options.corruptions.begin(), options.corruptions.end(), name) == options.corruptions.end()) continue;
    for (const int64_t severity : options.severities) {
      Settings harder = settings;
      harder.loader.change_pixels = [kind, severity](int64_t index, const PixelShape& shape, uint8_t* pixels) {
        RandomStream stream(kCorruptionSeed, "corruption", severity, index);
        corrupt(static_cast<Corruption>(kind), static_cast<int>(severity), stream, shape, pixels);
      };
      Progress progress(context.log, fmt::format("{} {}", name, severity), "images", num_samples);
      corrupted.push_back({name, static_cast<int>(severity),
                           evaluate_at(network, samples.samples, sizes[0], has_labels, harder, nullptr, [](const std::vector<BadImage>&) {}, [&](int64_t done) { progress.update(done); })});
      progress.finish();
    }
  }
  if (num_bad > 0) context.log.warn(fmt::format("{} of {} {} left out", num_bad, num_samples, noun(network)));

  if (!options.predictions.empty()) write_file_atomic(options.predictions, jsonl(answers, samples, names));
  Report report;
  report.result = {{"model_id", network.id}, {"images", answers.size()}, {"bad_images", num_bad}, {"class_names", names}};
  if (!has_labels) {
    report.text = prediction_lines(answers, samples, names);
    report.result["predictions"] = Json::array();
    for (const Answer& answer : answers) report.result["predictions"].push_back(to_json(answer, samples, names));
    return report;
  }
  if (!options.report.empty()) {
    const ReportPage page{network.description, samples.description, noun(network), names, results, corrupted, confident_errors(answers, samples, settings, sizes[0])};
    write_file_atomic(options.report, to_html(page));
  }
  report.text = size_table(results) + corruption_table(corrupted, sizes[0]) + weak_points(results.front(), names);
  report.result["sizes"] = Json::array();
  for (const SizeResult& r : results) report.result["sizes"].push_back(evaluate::to_json(r));
  for (const CorruptedResult& c : corrupted) {
    const ClassificationResult& r = c.result.result;
    report.result["corrupted"].push_back({{"corruption", c.corruption}, {"severity", c.severity}, {"top1_percent", r.top1_percent}, {"top5_percent", r.top5_percent}, {"nll", r.nll}, {"ece", r.ece}});
  }
  report.metrics = metrics_of(results);
  add_corrupted_metrics(corrupted, report.metrics);
  return report;
}

}  // namespace fettle::evaluate
