// ImageNet weights whose batch norm was folded, on real photographs: what their README reports of them.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "checkpoint/classifier.h"
#include "checkpoint/weights.h"
#include "data/loader.h"
#include "dataset/image_files.h"
#include "models/layers.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"

using namespace fettle;
namespace fs = std::filesystem;

namespace {

constexpr int64_t kPhotographs = 80, kBatch = 40;  // the README's batch
constexpr int64_t kStride = 97;                    // prime, and coprime to the number of photographs

Classifier network(const fs::path& weights, const char* padding) {
  ClassifierSource source;
  source.from = (weights / "model.safetensors").string();
  source.arch = "mobilenet_v2";
  source.arch_options = fmt::format(R"({{"padding": "{}", "dropout": 0.0}})", padding);
  source.mean = source.std = "128/255";
  return open_classifier(source);
}

// Photographs from all over the folder, each batch of all classes.
std::vector<at::Tensor> batches(const ImageFiles& images, const Preprocessing& preprocessing) {
  Normalization normalization;
  normalization.mean.assign(preprocessing.mean.begin(), preprocessing.mean.end());
  normalization.std.assign(preprocessing.std.begin(), preprocessing.std.end());
  std::vector<BatchPlan> plans;
  for (int64_t i = 0; i < kPhotographs; ++i) {
    if (i % kBatch == 0) plans.push_back({preprocessing.size, preprocessing.size, {}});
    plans.back().indices.push_back(i * kStride % images.size());
  }
  LoaderOptions options;
  options.crop_share = preprocessing.crop_pct;
  const LabelledImages labelled = images;
  ImageLoader loader(labelled, normalization, plans, 0, 0, options);
  std::vector<at::Tensor> made;
  for (Batch batch; loader.next(batch);) made.push_back(batch.images.clone());
  return made;
}

at::Tensor logits(const Classifier& classifier, const std::vector<at::Tensor>& images) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all;
  for (const at::Tensor& batch : images) all.push_back(classifier.model->forward(batch));
  return at::cat(all);
}

double percent_that_agree(const at::Tensor& a, const at::Tensor& b) { return 100 * a.argmax(1).eq(b.argmax(1)).to(at::kDouble).mean().item<double>(); }

}  // namespace

TEST_CASE("real weights: calibrated batch norm is the same network in evaluation and the better one to train; padding changes answers as reported") {
  const fs::path weights = test::data_folder() / "weights/mobilenet_v2_imagenet", photographs = test::data_folder() / "trashnet";
  if (!fs::exists(weights / "model.safetensors") || !fs::exists(photographs)) return test::skip("no ImageNet weights or no photographs here");
  const Classifier same = network(weights, "same");
  const std::vector<at::Tensor> images = batches(open_unlabelled_images({photographs.string()}), same.preprocessing);
  const at::Tensor answers = logits(same, images);

  // Reported against the quantised original: 91.9 % with its padding, 47.9 % with torchvision's, so between 39.8 and 56 % between the two. Of 80
  // photographs, three standard deviations are 17 points.
  const double across_paddings = percent_that_agree(answers, logits(network(weights, "symmetric"), images));
  INFO("across paddings " << across_paddings << " %");
  CHECK((across_paddings > 23 && across_paddings < 73));

  const Classifier calibrated = network(weights, "same");
  const WeightsFile overlay(weights / "bn_calibrated.safetensors");
  CHECK(load_weights(overlay, *calibrated.model).unexpected.empty());
  // "Logits within 2e-5" there; another order of additions here. Their standard deviation is about 2.
  CHECK((logits(calibrated, images) - answers).abs().max().item<double>() < 2e-4);

  // 0 % of the answers survive training mode as they are, 43 % with calibrated statistics; of these photographs, of which the network is
  // less sure than of the README's, 23 % in PyTorch. Three standard deviations are 14 points.
  same.model->train();
  calibrated.model->train();
  CHECK(num_folded_batch_norms_in_training(*same.model) == 52);
  CHECK(num_folded_batch_norms_in_training(*calibrated.model) == 0);
  const double folded = percent_that_agree(answers, logits(same, images)), kept = percent_that_agree(answers, logits(calibrated, images));
  INFO("survive: " << folded << " %, calibrated " << kept << " %");
  CHECK(folded < 5);
  CHECK((kept > 9 && kept < 60));
}
