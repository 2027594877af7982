#include "models/mobilenet_v2.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/described_classifier.h"
#include "models/inverted_residual.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

struct StageShape {
  int64_t expansion;
  double channels;
  int64_t num_blocks, stride;
};
constexpr StageShape kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

class MobileNetV2 : public DescribedClassifier<MobileNetV2Description> {
 public:
  explicit MobileNetV2(const MobileNetV2Description& description) : DescribedClassifier(description) {
    const Padding padding = padding_named(description.padding);
    const double width = description.width_multiplier;
    const BatchNormOptions norm{.eps = description.norm_eps};
    const auto features = register_module("features", std::make_shared<ModuleList>());
    int64_t channels = round_channels(32 * width);
    stem_ = features->append(std::make_shared<ConvolutionNorm>(description.in_channels, channels, 3, 2, Activation::kRelu6, norm, ConvolutionOptions{.padding = padding}));
    for (const StageShape& shape : kStages) {
      for (int64_t i = 0; i < shape.num_blocks; ++i) {
        const InvertedResidualOptions options{.in_channels = channels,
                                              .expanded_channels = channels * shape.expansion,
                                              .out_channels = round_channels(shape.channels * width),
                                              .stride = i == 0 ? shape.stride : 1,
                                              .norm = norm,
                                              .padding = padding,
                                              .mobilenet_v2_names = true};
        blocks_.push_back(features->append(std::make_shared<InvertedResidual>(options)));
        channels = options.out_channels;
      }
    }
    const int64_t last = round_channels(1280 * std::max(1.0, width));
    last_ = features->append(std::make_shared<ConvolutionNorm>(channels, last, 1, 1, Activation::kRelu6, norm));
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
    WeightDraws(seed).normal("classifier.1.weight", linear_->weight, 0.01);
  }

  std::vector<int64_t> stage_depths() const override {
    std::vector<int64_t> depths;
    for (const StageShape& shape : kStages) depths.push_back(shape.num_blocks);
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

std::shared_ptr<ImageClassifier> make_mobilenet_v2(const MobileNetV2Description& description) { return std::make_shared<MobileNetV2>(description); }

}  // namespace fettle
