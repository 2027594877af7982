#include "metrics/classification.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

at::Tensor labels_of(const std::vector<int64_t>& labels) { return at::tensor(labels, at::kLong); }

at::Tensor logits_of(const std::vector<std::vector<float>>& rows) {
  std::vector<at::Tensor> tensors;
  for (const std::vector<float>& row : rows) tensors.push_back(at::tensor(row, at::kFloat));
  return at::stack(tensors);
}

struct Samples {
  at::Tensor logits, labels;
};

Samples random_samples(int64_t count, int64_t classes) {
  const at::Generator generator = at::detail::createCPUGenerator(3);
  Samples samples{at::empty({count, classes}, at::kFloat).normal_(0, 2, generator), at::empty({count}, at::kLong).random_(0, classes, generator)};
  return samples;
}

void check_same(const ClassificationMeter::State& a, const ClassificationMeter::State& b) {
  CHECK(a.num_samples == b.num_samples);
  CHECK(a.num_top1 == b.num_top1);
  CHECK(a.num_top5 == b.num_top5);
  CHECK(a.nll_sum == b.nll_sum);
  CHECK(a.bins.num_samples == b.bins.num_samples);
  CHECK(a.bins.num_correct == b.bins.num_correct);
  CHECK(a.bins.confidence_sum == b.bins.confidence_sum);
}

}  // namespace

TEST_CASE("ranks: equal logits count for the lower index, a NaN makes the sample wrong for every k") {
  const at::Tensor logits = logits_of({{1.0f, 3.0f, 3.0f}, {1.0f, 3.0f, 3.0f}, {0.0f, 0.0f, 0.0f}, {kNan, 1.0f, 0.0f}, {kInf, -kInf, 0.0f}});
  constexpr int64_t kNoRank = std::numeric_limits<int64_t>::max();
  check_tensors("ranks", label_ranks(logits, labels_of({1, 2, 2, 1, 2})), labels_of({0, 1, 2, kNoRank, 1}));
  CHECK(label_ranks(at::zeros({0, 3}), labels_of({})).numel() == 0);
}

TEST_CASE("classification meter: hand-worked values") {
  ClassificationMeter meter;
  // Two classes: softmax is 3/4 and 1/4, right once and wrong once, and 1/2 each, right for class 0.
  const float log3 = std::log(3.0f);
  meter.add(logits_of({{log3, 0.0f}, {log3, 0.0f}}), labels_of({0, 1}));
  meter.add(logits_of({{7.0f, 7.0f}}), labels_of({0}));
  const ClassificationResult result = meter.result();
  CHECK(result.num_samples == 3);
  CHECK(result.top1_percent == Approx(200.0 / 3));
  CHECK(result.top5_percent == 100);
  CHECK(result.nll == Approx((std::log(4.0 / 3) + std::log(4.0) + std::log(2.0)) / 3).epsilon(1e-7));
  // One bin holds 3/4 twice with one right: |1 - 1.5|; another 1/2 with one right: 0.5.
  CHECK(result.ece == Approx((0.5 + 0.5) / 3).epsilon(1e-7));
}

TEST_CASE("classification meter: top-5 ends at the fifth place") {
  ClassificationMeter meter;
  const at::Tensor row = logits_of({{6.0f, 5.0f, 4.0f, 3.0f, 2.0f, 1.0f}});
  meter.add(row.expand({6, 6}), labels_of({0, 1, 2, 3, 4, 5}));
  CHECK(meter.result().top1_percent == Approx(100.0 / 6));
  CHECK(meter.result().top5_percent == Approx(500.0 / 6));
}

TEST_CASE("calibration: bins are closed on the right, and the error is the weighted gap") {
  for (const auto& [confidence, bin] : std::vector<std::pair<double, int64_t>>{{0, 0}, {1e-300, 0}, {0.25, 0}, {0.25000001, 1}, {0.5, 1}, {0.75, 2}, {1, 3}, {1.5, 3}}) {
    INFO(confidence);
    CHECK(CalibrationBins::bin_index(confidence, 4) == bin);
  }
  CHECK(CalibrationBins::bin_index(0.7, 1) == 0);
  for (const int right : {80, 60}) {
    CalibrationBins bins;
    for (int i = 0; i < 100; ++i) bins.add(0.8, i < right);
    CHECK(bins.ece() == Approx((80 - right) / 100.0).margin(1e-14));
  }
  CHECK(CalibrationBins(10).ece() == 0);
}

TEST_CASE("classification meter: the same bits however the samples are cut into batches") {
  const Samples samples = random_samples(257, 11);
  ClassificationMeter whole;
  whole.add(samples.logits, samples.labels);
  for (const int64_t batch : {1, 7, 64, 256}) {
    ClassificationMeter meter;
    for (int64_t i = 0; i < 257; i += batch) meter.add(samples.logits.slice(0, i, i + batch), samples.labels.slice(0, i, i + batch));
    check_same(meter.state(), whole.state());
  }
  // A view with other strides, and an independent formula.
  ClassificationMeter strided;
  strided.add(samples.logits.t().contiguous().t(), samples.labels);
  check_same(strided.state(), whole.state());
  const at::Tensor wide = samples.logits.to(at::kDouble);
  CHECK(whole.result().nll == Approx(at::cross_entropy_loss(wide, samples.labels).item<double>()).epsilon(1e-12));
  CHECK(whole.result().top1_percent == Approx(100 * wide.argmax(1).eq(samples.labels).to(at::kDouble).mean().item<double>()));
  CHECK(whole.result().top5_percent ==
        Approx(100 * std::get<1>(wide.topk(5)).eq(samples.labels.unsqueeze(1)).any(1).to(at::kDouble).mean().item<double>()));
}

TEST_CASE("classification meter: saved and restored, it goes on as if it had never stopped") {
  const Samples samples = random_samples(100, 10);
  ClassificationMeter whole(12);
  whole.add(samples.logits, samples.labels);
  ClassificationMeter first(12);
  first.add(samples.logits.slice(0, 0, 33), samples.labels.slice(0, 0, 33));
  ClassificationMeter second(first.state());
  second.add(samples.logits.slice(0, 33), samples.labels.slice(0, 33));
  check_same(second.state(), whole.state());
}

TEST_CASE("classification meter: a saved state that contradicts itself is refused") {
  const Samples samples = random_samples(20, 10);
  ClassificationMeter meter;
  meter.add(samples.logits, samples.labels);
  REQUIRE_NOTHROW(ClassificationMeter(meter.state()));
  const auto refuse = [&](void (*spoil)(ClassificationMeter::State&)) {
    ClassificationMeter::State state = meter.state();
    spoil(state);
    expect_error(ExitCode::kInput, "contradicts itself", [&] { ClassificationMeter restored(state); });
  };
  refuse([](auto& s) { s.num_samples += 1; });
  refuse([](auto& s) { s.num_top1 += 1; });
  refuse([](auto& s) { s.num_top5 = s.num_samples + 1; });
  refuse([](auto& s) { s.num_top5 = s.num_top1 - 1; });
  refuse([](auto& s) { s.bins.num_samples.push_back(0); });
  refuse([](auto& s) { s.bins.confidence_sum.pop_back(); });
  refuse([](auto& s) { s.bins.num_correct[0] = -1, s.bins.num_correct[14] += 1; });
  refuse([](auto& s) { s.bins = CalibrationBins(), s.bins.num_samples.clear(), s.bins.num_correct.clear(), s.bins.confidence_sum.clear(); });
}

TEST_CASE("classification meter: a broken network shows instead of passing for a good one") {
  for (const float broken : {kNan, kInf}) {
    for (const int64_t at : {0, 1, 2}) {
      INFO(broken << " at " << at);
      std::vector<float> row = {1, 2, 3};
      row[static_cast<size_t>(at)] = broken;
      ClassificationMeter meter;
      meter.add(logits_of({{5.0f, 0.0f, 0.0f}}), labels_of({0}));
      meter.add(logits_of({row}), labels_of({at}));
      const ClassificationResult result = meter.result();
      CHECK(result.top1_percent == 50);
      CHECK(result.top5_percent == 50);
      CHECK(std::isnan(result.nll));
      CHECK(std::isnan(result.ece));
      CHECK_NOTHROW(ClassificationMeter(meter.state()));
    }
  }
  ClassificationMeter sure;  // -inf elsewhere is legal: probability one
  sure.add(logits_of({{-kInf, 0.0f}}), labels_of({1}));
  CHECK(sure.result().nll == 0);
  CHECK(sure.result().top1_percent == 100);
}

TEST_CASE("classification meter: labels outside the classes are the data's fault, wrong tensors ours") {
  ClassificationMeter meter;
  expect_error(ExitCode::kInput, "label 3 of sample 1 in the batch is not among the network's 3 classes", [&] { meter.add(at::zeros({2, 3}), labels_of({0, 3})); });
  expect_error(ExitCode::kInput, "label -1", [&] { meter.add(at::zeros({1, 3}), labels_of({-1})); });
  expect_error(ExitCode::kBug, "int64 [2]", [&] { meter.add(at::zeros({2, 3}), labels_of({0})); });
  expect_error(ExitCode::kBug, "[N, C]", [&] { meter.add(at::zeros({2, 3}, at::kLong), labels_of({0, 0})); });
  CHECK(meter.state().num_samples == 0);
  expect_error(ExitCode::kBug, "no sample", [&] { meter.result(); });
  meter.add(at::zeros({0, 3}), labels_of({}));
  CHECK(meter.state().num_samples == 0);
}

TEST_CASE("classification meter: bfloat16 logits are read exactly") {
  const Samples samples = random_samples(50, 10);
  const at::Tensor narrow = samples.logits.to(at::kBFloat16);
  ClassificationMeter a, b;
  a.add(narrow, samples.labels);
  b.add(narrow.to(at::kDouble), samples.labels);
  check_same(a.state(), b.state());
}
