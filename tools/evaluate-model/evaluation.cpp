#include "evaluate-model/evaluation.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <limits>

#include "base/errors.h"
#include "base/signals.h"

namespace fettle::evaluate {
namespace {

// The most likely classes of each row.
void answer(const AnsweredBatch& batch, bool has_labels, std::vector<Answer>& answers) {
  const at::Tensor probabilities = at::softmax(batch.logits.to(at::kCPU, at::kDouble), 1).contiguous();
  const auto* p = probabilities.const_data_ptr<double>();
  const at::Tensor label_tensor = batch.labels.to(at::kCPU);
  const int64_t* labels = label_tensor.const_data_ptr<int64_t>();
  const int64_t num_classes = probabilities.size(1);
  std::vector<int32_t> order(static_cast<size_t>(num_classes));
  for (int64_t row = 0; row < probabilities.size(0); ++row, p += num_classes) {
    for (size_t c = 0; c < order.size(); ++c) order[c] = static_cast<int32_t>(c);
    const size_t shown = std::min(kShownClasses, order.size());
    // A NaN comes last.
    const auto before = [p](int32_t a, int32_t b) { return p[a] > p[b] || (p[a] == p[b] && a < b) || (std::isnan(p[b]) && !std::isnan(p[a])); };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown), order.end(), before);
    Answer answer{batch.indices[static_cast<size_t>(row)], has_labels ? labels[row] : -1, {order.begin(), order.begin() + static_cast<std::ptrdiff_t>(shown)}, {}};
    for (const int32_t c : answer.classes) answer.probabilities.push_back(static_cast<float>(p[c]));
    answers.push_back(std::move(answer));
  }
}

}  // namespace

std::vector<Confusion::Pair> Confusion::worst(size_t most) const {
  std::vector<Pair> pairs;
  for (const auto& [classes, count] : counts) {
    if (classes.first != classes.second) pairs.push_back({classes.first, classes.second, count});
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  if (pairs.size() > most) pairs.resize(most);
  return pairs;
}

std::vector<Confusion::ClassAccuracy> Confusion::weakest_first() const {
  const std::vector<int64_t> images = images_of_class();
  const std::vector<double> percent = accuracy_percent_of_class();
  std::vector<ClassAccuracy> classes;
  for (size_t c = 0; c < images.size(); ++c) {
    if (images[c] > 0) classes.push_back({static_cast<int64_t>(c), images[c], percent[c]});
  }
  std::stable_sort(classes.begin(), classes.end(), [](const ClassAccuracy& a, const ClassAccuracy& b) { return a.percent < b.percent; });
  return classes;
}

std::vector<int64_t> Confusion::images_of_class() const {
  std::vector<int64_t> images(static_cast<size_t>(num_classes));
  for (const auto& [classes, count] : counts) images[static_cast<size_t>(classes.first)] += count;
  return images;
}

std::vector<double> Confusion::accuracy_percent_of_class() const {
  const std::vector<int64_t> images = images_of_class();
  std::vector<double> accuracy;
  for (int64_t c = 0; c < num_classes; ++c) {
    const auto right = counts.find({c, c});
    const double n = static_cast<double>(images[static_cast<size_t>(c)]);
    accuracy.push_back(n == 0 ? std::numeric_limits<double>::quiet_NaN() : 100 * static_cast<double>(right == counts.end() ? 0 : right->second) / n);
  }
  return accuracy;
}

std::string at_size(int64_t size) { return size > 0 ? fmt::format(" at {} px", size) : ""; }

SizeResult evaluate_at(const Network& network, const LabelledImages& samples, int64_t size, bool has_labels, const Settings& settings, std::vector<Answer>* answers,
                       const std::function<void(const std::vector<BadImage>&)>& bad, const std::function<void(int64_t)>& progress) {
  const at::NoGradGuard no_grad;
  ClassificationMeter meter(settings.ece_bins);
  SizeResult result;
  result.size = size;
  result.confusion.num_classes = network.num_classes;
  int64_t done = 0;
  std::vector<Answer> of_batch;
  network.answer(samples, size, settings, [&](const AnsweredBatch& batch) {
    if (stop_requested()) FT_FAIL(stop_signal() == SIGINT ? ExitCode::kInterrupted : ExitCode::kTerminated, "stopped; nothing was written");
    bad(batch.bad);
    if (has_labels) meter.add(batch.logits, batch.labels);
    of_batch.clear();
    answer(batch, has_labels, of_batch);
    for (const Answer& a : of_batch) {
      if (!std::isfinite(a.probabilities[0])) FT_FAIL(ExitCode::kNumbers, "the network's answers{} are not finite numbers", at_size(size));
      if (has_labels) ++result.confusion.counts[{a.label, a.classes[0]}];
    }
    if (answers != nullptr) answers->insert(answers->end(), of_batch.begin(), of_batch.end());
    done += static_cast<int64_t>(of_batch.size());
    progress(done);
  });
  if (!has_labels) return result;
  result.result = meter.result();
  result.bins = meter.state().bins;
  if (!std::isfinite(result.result.nll)) FT_FAIL(ExitCode::kNumbers, "the network's answers{} are not finite numbers", at_size(size));
  return result;
}

Json to_json(const SizeResult& r) {
  Json bins = Json::array();
  for (size_t i = 0; i < r.bins.num_samples.size(); ++i) {
    const auto n = static_cast<double>(r.bins.num_samples[i]);
    bins.push_back({{"images", r.bins.num_samples[i]}, {"accuracy", n == 0 ? Json() : Json(static_cast<double>(r.bins.num_correct[i]) / n)},
                    {"confidence", n == 0 ? Json() : Json(r.bins.confidence_sum[i] / n)}});
  }
  Json confusion = Json::array();
  for (const auto& [classes, count] : r.confusion.counts) confusion.push_back({classes.first, classes.second, count});
  Json accuracy = Json::array();
  for (const double percent : r.confusion.accuracy_percent_of_class()) accuracy.push_back(std::isnan(percent) ? Json() : Json(percent));
  return {{"size", r.size > 0 ? Json(r.size) : Json()},
          {"images", r.result.num_samples},
          {"top1_percent", r.result.top1_percent},
          {"top5_percent", r.result.top5_percent},
          {"nll", r.result.nll},
          {"ece", r.result.ece},
          {"calibration", bins},
          {"class_top1_percent", accuracy},
          {"class_images", r.confusion.images_of_class()},
          {"confusion", confusion}};
}

}  // namespace fettle::evaluate
