#include "data/loader.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <cmath>

#include "random/stream.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

LabelledImages some_images(int64_t count, int64_t height, int64_t width, int64_t channels) {
  ImageSet set{count, height, width, channels, 10, {}, {}};
  RandomStream stream(9, "test");
  for (int64_t i = 0; i < count * height * width * channels; ++i) set.pixels.push_back(static_cast<uint8_t>(stream.below(256)));
  for (int64_t i = 0; i < count; ++i) set.labels.push_back(i % 10);
  return set;
}

const Normalization kRgb{{0.5f, 0.4f, 0.3f}, {0.25f, 0.5f, 0.2f}};

// Batches of changing size and shape: a buffer serves a large batch, then a small one, then a large one.
std::vector<BatchPlan> mixed_plans() { return {{12, 12, {3, 1, 4, 15, 9}}, {6, 8, {2}}, {16, 12, {5, 8, 7, 9, 3, 2}}, {6, 6, {0, 0}}, {12, 12, {14, 13, 12}}}; }

std::vector<Batch> all_batches(const LabelledImages& set, const std::vector<BatchPlan>& plans, int64_t epoch, int64_t first, const LoaderOptions& options) {
  ImageLoader loader(set, kRgb, plans, epoch, first, options);
  std::vector<Batch> batches;
  for (Batch batch; loader.next(batch);) {
    batches.push_back({batch.images.clone(), batch.labels.clone(), batch.plan});
  }
  Batch more;
  CHECK_FALSE(loader.next(more));
  return batches;
}

}  // namespace

TEST_CASE("loader: whole images come in order, normalised, with their labels") {
  const LabelledImages set = some_images(7, 4, 5, 3);
  const std::vector<BatchPlan> plans = sequential_plans(7, 3, 4, 5);
  REQUIRE(plans.size() == 3);
  CHECK(plans[2].indices == std::vector<int64_t>{6});
  const std::vector<Batch> batches = all_batches(set, plans, 0, 0, {});
  REQUIRE(batches.size() == 3);
  const at::Tensor pixels = at::tensor(at::ArrayRef<uint8_t>(std::get<ImageSet>(set).pixels)).view({7, 4, 5, 3}).permute({0, 3, 1, 2}).to(at::kDouble) / 255;
  const at::Tensor mean = at::tensor({0.5, 0.4, 0.3}, at::kDouble).view({1, 3, 1, 1}), std = at::tensor({0.25, 0.5, 0.2}, at::kDouble).view({1, 3, 1, 1});
  std::vector<at::Tensor> images, labels;
  for (const Batch& batch : batches) images.push_back(batch.images), labels.push_back(batch.labels);
  CHECK(batches[0].images.is_contiguous(at::MemoryFormat::ChannelsLast));
  check_tensors("images", at::cat(images), ((pixels - mean) / std).to(at::kFloat), {2e-6, 0});
  check_tensors("labels", at::cat(labels), at::tensor(at::ArrayRef<int64_t>(std::get<ImageSet>(set).labels)));
}

TEST_CASE("loader: the same batches with any number of threads, from any position, in any layout") {
  const LabelledImages set = some_images(16, 12, 12, 3);
  const std::vector<BatchPlan> plans = mixed_plans();
  LoaderOptions options{.threads = 0, .seed = 4, .augment = true};
  const std::vector<Batch> expected = all_batches(set, plans, 2, 0, options);
  REQUIRE(expected.size() == plans.size());
  for (const int threads : {0, 1, 3}) {
    for (const bool channels_last : {true, false}) {
      for (const int64_t first : {0, 1, 4, 5}) {
        options.threads = threads;
        options.channels_last = channels_last;
        const std::vector<Batch> batches = all_batches(set, plans, 2, first, options);
        REQUIRE(batches.size() == plans.size() - static_cast<size_t>(first));
        for (size_t i = 0; i < batches.size(); ++i) {
          const size_t at = i + static_cast<size_t>(first);
          INFO("threads " << threads << ", channels last " << channels_last << ", batch " << at);
          CHECK(batches[i].plan == &plans[at]);
          CHECK(batches[i].images.is_contiguous(channels_last ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous));
          check_tensors("images", batches[i].images, expected[at].images);
          check_tensors("labels", batches[i].labels, expected[at].labels);
        }
      }
    }
  }
  options.dtype = at::kBFloat16;
  check_tensors("bf16", all_batches(set, plans, 2, 0, options)[2].images, expected[2].images.to(at::kBFloat16));
}

TEST_CASE("loader: what a sample looks like depends on seed, epoch and sample, not on its batch") {
  const LabelledImages set = some_images(16, 12, 12, 3);
  const LoaderOptions options{.seed = 4, .augment = true};
  const auto one = [&](std::vector<int64_t> indices, int64_t epoch, uint64_t seed, int64_t row) {
    LoaderOptions own = options;
    own.seed = seed;
    return all_batches(set, {{12, 12, std::move(indices)}}, epoch, 0, own)[0].images[row];
  };
  const at::Tensor sample = one({5, 6, 7}, 1, 4, 1);
  check_tensors("another batch", one({6}, 1, 4, 0), sample);
  CHECK_FALSE(at::equal(one({6}, 2, 4, 0), sample));
  CHECK_FALSE(at::equal(one({6}, 1, 5, 0), sample));
  CHECK_FALSE(at::equal(one({7}, 1, 4, 0), sample));
}

TEST_CASE("loader: pixels as they are, drawn as the normalised ones are") {
  const LabelledImages set = some_images(6, 12, 12, 3);
  const std::vector<BatchPlan> plans = {{12, 12, {3, 1}}, {8, 6, {0, 5, 2}}};
  LoaderOptions options;
  options.augment = true;
  options.photometric.erase.probability = 1;
  const std::vector<Batch> floats = all_batches(set, plans, 2, 0, options);
  options.dtype = at::kByte;
  const std::vector<Batch> bytes = all_batches(set, plans, 2, 0, options);
  REQUIRE(bytes.size() == 2);
  const at::Tensor mean = at::tensor(at::ArrayRef<float>(kRgb.mean)), std = at::tensor(at::ArrayRef<float>(kRgb.std));
  for (size_t i = 0; i < 2; ++i) {
    CHECK(bytes[i].images.scalar_type() == at::kByte);
    // Erased pixels are the mean there and black here.
    const at::Tensor pixels = (floats[i].images.permute({0, 2, 3, 1}) * std + mean).mul(255).round();
    const at::Tensor erased = (floats[i].images == 0).all(1).unsqueeze(3);
    CHECK(erased.any().item<bool>());
    check_tensors("pixels", bytes[i].images.to(at::kFloat), at::where(erased, at::zeros_like(pixels), pixels));
  }
}

TEST_CASE("loader: a plan beyond the images is our mistake") {
  const LabelledImages set = some_images(4, 6, 6, 3);
  expect_error(ExitCode::kBug, "sample 4 of 4", [&] { all_batches(set, {{6, 6, {0, 4}}}, 0, 0, {}); });
}

TEST_CASE("loader: one that is dropped early stops its threads, and none has nothing to give") {
  const LabelledImages set = some_images(16, 12, 12, 3);
  const std::vector<BatchPlan> plans = mixed_plans(), none;
  Batch batch;
  for (int used = 0; used < 3; ++used) {
    ImageLoader loader(set, kRgb, plans, 0, 0, {.threads = 2});
    for (int i = 0; i < used; ++i) REQUIRE(loader.next(batch));
  }
  ImageLoader empty(set, kRgb, none, 0, 0, {.threads = 2});
  CHECK_FALSE(empty.next(batch));
}

TEST_CASE("loader: statistics of a set, with a constant channel left alone") {
  ImageSet set{2, 1, 2, 2, 1, {0, 7, 255, 7, 0, 7, 51, 7}, {0, 0}};
  const Normalization found = channel_statistics(set);
  CHECK(found.mean[0] == Approx(0.3));
  CHECK(found.std[0] == Approx(std::sqrt((1 + 0.04) / 4 - 0.09)));
  CHECK(found.mean[1] == Approx(7.0 / 255));
  CHECK(found.std[1] == 1);
}
