#pragma once
// Accuracy and calibration of a classifier over any number of batches. Counts are integers, sums are doubles added sample by
// sample, so that the same samples in the same order give the same bits whatever the batch size, device or thread count.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dist/process_group.h"

namespace fettle {

// The place of each sample's label among its logits: the number of larger logits plus the number of equal ones at a lower
// index; below k is a top-k hit. A row that holds a NaN gets INT64_MAX: wrong for every k.
// logits: [N, C] floating, labels: [N] int64 in 0..C-1 (else Error(kInput)) -> [N] int64 on the CPU.
at::Tensor label_ranks(const at::Tensor& logits, const at::Tensor& labels);

// Expected calibration error (Guo et al., arXiv 1706.04599) over equal-width bins (lo, hi], 0 in the first:
// sum_b n_b / N |accuracy_b - confidence_b|. All in double.
struct CalibrationBins {
  explicit CalibrationBins(int64_t num_bins = 15);

  static int64_t bin_index(double confidence, int64_t num_bins);  // clamp(ceil(confidence * bins) - 1, 0, bins - 1)
  void add(double confidence, bool correct);  // confidence in [0, 1]; a NaN makes ece() NaN
  double ece() const;                         // in [0, 1]; 0 without samples

  // One entry a bin; all that there is to save.
  std::vector<int64_t> num_samples;
  std::vector<int64_t> num_correct;
  std::vector<double> confidence_sum;
};

struct ClassificationResult {
  double top1_percent = 0;
  double top5_percent = 0;  // 100 with five classes or fewer, but for NaN
  double ece = 0;           // of the largest softmax probability
  double nll = 0;           // natural logarithm, mean over samples
  int64_t num_samples = 0;
};

// A sample whose logits hold a NaN, or whose largest is infinite, is wrong and makes nll and ece NaN: a broken network shows.
class ClassificationMeter {
 public:
  // Plain numbers that a training state can hold; restored, the meter goes on as if it had never stopped.
  struct State {
    int64_t num_samples = 0;
    int64_t num_top1 = 0;
    int64_t num_top5 = 0;
    double nll_sum = 0;
    CalibrationBins bins;
  };

  explicit ClassificationMeter(int64_t num_bins = 15);
  explicit ClassificationMeter(State state);  // Error(kInput) when the counts contradict each other

  void add(const at::Tensor& logits, const at::Tensor& labels);  // as for label_ranks(); waits for a device's results
  ClassificationResult result() const;                           // of at least one sample
  const State& state() const { return state_; }

 private:
  State state_;
};

// Of the samples of all processes.
ClassificationMeter total(const ClassificationMeter& own, const ProcessGroup& group);

}  // namespace fettle
