#include "models/efficientnet.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/described_classifier.h"
#include "models/inverted_residual.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

struct Scale {
  const char* arch;
  double width, depth, dropout;
};
constexpr Scale kScales[] = {{"efficientnet_b0", 1.0, 1.0, 0.2}, {"efficientnet_b1", 1.0, 1.1, 0.2}, {"efficientnet_b2", 1.1, 1.2, 0.3}, {"efficientnet_b3", 1.2, 1.4, 0.3}};

struct StageShape {
  double expansion;
  int64_t kernel, stride;
  double channels, num_blocks;
};
constexpr StageShape kStages[] = {{1, 3, 1, 16, 1}, {6, 3, 2, 24, 2}, {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3}, {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};

class EfficientNet : public DescribedClassifier<EfficientNetDescription> {
 public:
  explicit EfficientNet(const EfficientNetDescription& description) : DescribedClassifier(description) {
    const Padding padding = padding_named(description.padding);
    const std::vector<int64_t> depths = stage_depths();
    const int64_t total = std::accumulate(depths.begin(), depths.end(), int64_t{0});

    const BatchNormOptions norm{.eps = description.norm_eps};
    const auto features = register_module("features", std::make_shared<ModuleList>());
    int64_t channels = round_channels(32 * description.width_multiplier);
    stem_ = features->append(std::make_shared<ConvolutionNorm>(description.in_channels, channels, 3, 2, Activation::kSilu, norm, ConvolutionOptions{.padding = padding}));
    for (size_t s = 0; s < depths.size(); ++s) {
      const StageShape& shape = kStages[s];
      const auto stage = features->append(std::make_shared<ModuleList>());
      for (int64_t i = 0; i < depths[s]; ++i) {
        const InvertedResidualOptions options{
            .in_channels = channels,
            .expanded_channels = round_channels(static_cast<double>(channels) * shape.expansion),
            .out_channels = round_channels(shape.channels * description.width_multiplier),
            .kernel = shape.kernel,
            .stride = i == 0 ? shape.stride : 1,
            .activation = Activation::kSilu,
            .squeezed_channels = std::max<int64_t>(1, channels / 4),
            .squeeze_activation = Activation::kSilu,
            .norm = norm,
            .padding = padding,
            .stochastic_depth = description.stochastic_depth * static_cast<double>(blocks_.size()) / static_cast<double>(total)};
        blocks_.push_back(stage->append(std::make_shared<InvertedResidual>(options)));
        channels = options.out_channels;
      }
    }
    const int64_t last = 4 * channels;
    last_ = features->append(std::make_shared<ConvolutionNorm>(channels, last, 1, 1, Activation::kSilu, norm));
    const auto classifier = register_module("classifier", std::make_shared<ModuleList>());
    classifier->skip();  // dropout
    linear_ = classifier->append(std::make_shared<Linear>(last, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = stem_->forward(x);
    for (const auto& block : blocks_) y = block->forward(y);
    return linear_->forward(at::dropout(last_->forward(y).mean({2, 3}), description_.dropout, is_training()));
  }

  void initialise(uint64_t seed) override {
    draw_mobile_convolutions(*this, seed);
    WeightDraws(seed).uniform("classifier.1.weight", linear_->weight, 1 / std::sqrt(static_cast<double>(num_classes())));
  }

  std::vector<int64_t> stage_depths() const final {
    std::vector<int64_t> depths;
    for (const StageShape& shape : kStages) depths.push_back(static_cast<int64_t>(std::ceil(shape.num_blocks * description_.depth_multiplier)));
    return depths;
  }
  std::string head() const override { return "classifier."; }
  int64_t min_input_size() const override { return 1; }
  int64_t output_stride() const override { return 32; }

 private:
  std::shared_ptr<ConvolutionNorm> stem_, last_;
  std::vector<std::shared_ptr<InvertedResidual>> blocks_;
  std::shared_ptr<Linear> linear_;
};

}  // namespace

bool EfficientNetDescription::has_arch(const std::string& arch) { return find_arch(kScales, arch) != nullptr; }

EfficientNetDescription efficientnet_description(const std::string& arch) {
  const Scale* scale = find_arch(kScales, arch);
  FT_CHECK(scale != nullptr, "{}", arch);
  return {.arch = arch, .width_multiplier = scale->width, .depth_multiplier = scale->depth, .dropout = scale->dropout};
}

std::shared_ptr<ImageClassifier> make_efficientnet(const EfficientNetDescription& description) { return std::make_shared<EfficientNet>(description); }

}  // namespace fettle
