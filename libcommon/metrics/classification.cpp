#include "metrics/classification.h"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/errors.h"

namespace fettle {
namespace {

constexpr int64_t kNoRank = std::numeric_limits<int64_t>::max();

// Both on the CPU, contiguous, logits in double (exact for every narrower type).
struct Batch {
  at::Tensor logits_tensor, labels_tensor;
  const double* logits;   // [N, C]
  const int64_t* labels;  // [N]
  int64_t num_samples, num_classes;
};

Batch checked(const at::Tensor& logits, const at::Tensor& labels) {
  FT_CHECK(logits.dim() == 2 && logits.is_floating_point(), "logits must be floating [N, C]");
  FT_CHECK(labels.dim() == 1 && labels.scalar_type() == at::kLong && labels.size(0) == logits.size(0), "labels must be int64 [{}]", logits.size(0));
  Batch batch;
  batch.logits_tensor = logits.detach().to(at::kCPU, at::kDouble).contiguous();
  batch.labels_tensor = labels.to(at::kCPU).contiguous();
  batch.logits = batch.logits_tensor.const_data_ptr<double>();
  batch.labels = batch.labels_tensor.const_data_ptr<int64_t>();
  batch.num_samples = logits.size(0);
  batch.num_classes = logits.size(1);
  for (int64_t i = 0; i < batch.num_samples; ++i) {
    FT_REQUIRE(batch.labels[i] >= 0 && batch.labels[i] < batch.num_classes, "label {} of sample {} in the batch is not among the network's {} classes",
               batch.labels[i], i, batch.num_classes);
  }
  return batch;
}

int64_t label_rank(const double* logits, int64_t num_classes, int64_t label) {
  int64_t rank = 0;
  for (int64_t c = 0; c < num_classes; ++c) {
    if (std::isnan(logits[c])) return kNoRank;
    rank += logits[c] > logits[label] || (logits[c] == logits[label] && c < label);
  }
  return rank;
}

}  // namespace

at::Tensor label_ranks(const at::Tensor& logits, const at::Tensor& labels) {
  const Batch batch = checked(logits, labels);
  at::Tensor ranks = at::empty({batch.num_samples}, at::kLong);
  int64_t* out = ranks.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < batch.num_samples; ++i) out[i] = label_rank(batch.logits + i * batch.num_classes, batch.num_classes, batch.labels[i]);
  return ranks;
}

CalibrationBins::CalibrationBins(int64_t num_bins) {
  FT_CHECK(num_bins >= 1);
  num_samples.resize(static_cast<size_t>(num_bins));
  num_correct.resize(static_cast<size_t>(num_bins));
  confidence_sum.resize(static_cast<size_t>(num_bins));
}

int64_t CalibrationBins::bin_index(double confidence, int64_t num_bins) {
  const double bin = std::ceil(confidence * static_cast<double>(num_bins)) - 1;
  if (!(bin > 0)) return 0;  // a NaN as well
  return std::min(static_cast<int64_t>(bin), num_bins - 1);
}

void CalibrationBins::add(double confidence, bool correct) {
  const size_t bin = static_cast<size_t>(bin_index(confidence, static_cast<int64_t>(num_samples.size())));
  num_samples[bin] += 1;
  num_correct[bin] += correct;
  confidence_sum[bin] += confidence;
}

double CalibrationBins::ece() const {
  double gap = 0;
  int64_t total = 0;
  for (size_t bin = 0; bin < num_samples.size(); ++bin) {
    gap += std::abs(static_cast<double>(num_correct[bin]) - confidence_sum[bin]);
    total += num_samples[bin];
  }
  return total == 0 ? 0 : gap / static_cast<double>(total);
}

ClassificationMeter::ClassificationMeter(int64_t num_bins) : state_{.bins = CalibrationBins(num_bins)} {}

ClassificationMeter::ClassificationMeter(State state) : state_(std::move(state)) {
  const CalibrationBins& bins = state_.bins;
  bool consistent = !bins.num_samples.empty() && bins.num_correct.size() == bins.num_samples.size() && bins.confidence_sum.size() == bins.num_samples.size() &&
                    state_.num_top1 >= 0 && state_.num_top1 <= state_.num_top5 && state_.num_top5 <= state_.num_samples &&
                    std::accumulate(bins.num_samples.begin(), bins.num_samples.end(), int64_t{0}) == state_.num_samples &&
                    std::accumulate(bins.num_correct.begin(), bins.num_correct.end(), int64_t{0}) == state_.num_top1;
  for (size_t bin = 0; consistent && bin < bins.num_samples.size(); ++bin) {
    consistent = bins.num_correct[bin] >= 0 && bins.num_correct[bin] <= bins.num_samples[bin];
  }
  FT_REQUIRE(consistent, "the saved state of an accuracy meter contradicts itself: {} samples, {} right, {} in the first five", state_.num_samples,
             state_.num_top1, state_.num_top5);
}

void ClassificationMeter::add(const at::Tensor& logits, const at::Tensor& labels) {
  const Batch batch = checked(logits, labels);
  for (int64_t i = 0; i < batch.num_samples; ++i) {
    const double* row = batch.logits + i * batch.num_classes;
    const int64_t rank = label_rank(row, batch.num_classes, batch.labels[i]);
    // log sum exp around the maximum; a NaN in the row, or an infinite maximum, comes out as NaN.
    const double largest = *std::max_element(row, row + batch.num_classes);
    double sum = 0;
    for (int64_t c = 0; c < batch.num_classes; ++c) sum += std::exp(row[c] - largest);
    const bool right = rank == 0 && !std::isnan(sum);
    state_.num_samples += 1;
    state_.num_top1 += right;
    state_.num_top5 += rank < 5 && !std::isnan(sum);
    state_.nll_sum += largest + std::log(sum) - row[batch.labels[i]];
    state_.bins.add(1 / sum, right);
  }
}

ClassificationResult ClassificationMeter::result() const {
  FT_CHECK(state_.num_samples > 0, "no sample was added");
  const double n = static_cast<double>(state_.num_samples);
  return {.top1_percent = 100 * static_cast<double>(state_.num_top1) / n,
          .top5_percent = 100 * static_cast<double>(state_.num_top5) / n,
          .ece = state_.bins.ece(),
          .nll = state_.nll_sum / n,
          .num_samples = state_.num_samples};
}

ClassificationMeter total(const ClassificationMeter& own, const ProcessGroup& group) {
  ClassificationMeter::State state = own.state();
  std::vector<double> numbers = {static_cast<double>(state.num_samples), static_cast<double>(state.num_top1), static_cast<double>(state.num_top5), state.nll_sum};
  const size_t bins = state.bins.num_samples.size();
  for (size_t i = 0; i < bins; ++i) {
    numbers.insert(numbers.end(), {static_cast<double>(state.bins.num_samples[i]), static_cast<double>(state.bins.num_correct[i]), state.bins.confidence_sum[i]});
  }
  numbers = group.sum(std::move(numbers));
  state.num_samples = std::llround(numbers[0]);
  state.num_top1 = std::llround(numbers[1]);
  state.num_top5 = std::llround(numbers[2]);
  state.nll_sum = numbers[3];
  for (size_t i = 0; i < bins; ++i) {
    state.bins.num_samples[i] = std::llround(numbers[4 + 3 * i]);
    state.bins.num_correct[i] = std::llround(numbers[5 + 3 * i]);
    state.bins.confidence_sum[i] = numbers[6 + 3 * i];
  }
  return ClassificationMeter(std::move(state));
}

}  // namespace fettle
