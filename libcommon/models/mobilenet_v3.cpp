#include "models/mobilenet_v3.h"

#include <ATen/ATen.h>

#include <span>

#include "models/described_classifier.h"
#include "models/inverted_residual.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

struct BlockShape {
  int64_t kernel;
  double expanded, out;
  bool squeeze;
  Activation activation;
  int64_t stride;
};
constexpr Activation kRe = Activation::kRelu, kHs = Activation::kHardswish;
constexpr BlockShape kLarge[] = {
    {3, 16, 16, false, kRe, 1},  {3, 64, 24, false, kRe, 2},  {3, 72, 24, false, kRe, 1},  {5, 72, 40, true, kRe, 2},   {5, 120, 40, true, kRe, 1},
    {5, 120, 40, true, kRe, 1},  {3, 240, 80, false, kHs, 2}, {3, 200, 80, false, kHs, 1}, {3, 184, 80, false, kHs, 1}, {3, 184, 80, false, kHs, 1},
    {3, 480, 112, true, kHs, 1}, {3, 672, 112, true, kHs, 1}, {5, 672, 160, true, kHs, 2}, {5, 960, 160, true, kHs, 1}, {5, 960, 160, true, kHs, 1}};
constexpr BlockShape kSmall[] = {{3, 16, 16, true, kRe, 2},  {3, 72, 24, false, kRe, 2}, {3, 88, 24, false, kRe, 1}, {5, 96, 40, true, kHs, 2},
                                 {5, 240, 40, true, kHs, 1}, {5, 240, 40, true, kHs, 1}, {5, 120, 48, true, kHs, 1}, {5, 144, 48, true, kHs, 1},
                                 {5, 288, 96, true, kHs, 2}, {5, 576, 96, true, kHs, 1}, {5, 576, 96, true, kHs, 1}};

class MobileNetV3 : public DescribedClassifier<MobileNetV3Description> {
 public:
  explicit MobileNetV3(const MobileNetV3Description& description) : DescribedClassifier(description) {
    const bool large = description.arch == "mobilenet_v3_large";
    const Padding padding = padding_named(description.padding);
    const double width = description.width_multiplier;
    const BatchNormOptions norm{.eps = description.norm_eps, .momentum = 0.01};
    const auto features = register_module("features", std::make_shared<ModuleList>());
    int64_t channels = round_channels(16 * width);
    stem_ = features->append(std::make_shared<ConvolutionNorm>(description.in_channels, channels, 3, 2, kHs, norm, ConvolutionOptions{.padding = padding}));
    for (const BlockShape& shape : large ? std::span<const BlockShape>(kLarge) : std::span<const BlockShape>(kSmall)) {
      const int64_t expanded = round_channels(shape.expanded * width);
      const InvertedResidualOptions options{.in_channels = channels,
                                            .expanded_channels = expanded,
                                            .out_channels = round_channels(shape.out * width),
                                            .kernel = shape.kernel,
                                            .stride = shape.stride,
                                            .activation = shape.activation,
                                            .squeezed_channels = shape.squeeze ? round_channels(static_cast<double>(expanded / 4)) : 0,
                                            .gate = SqueezeExcitation::Gate::kHardsigmoid,
                                            .norm = norm,
                                            .padding = padding};
      blocks_.push_back(features->append(std::make_shared<InvertedResidual>(options)));
      channels = options.out_channels;
    }
    const int64_t last = 6 * channels, hidden = round_channels((large ? 1280 : 1024) * width);
    last_ = features->append(std::make_shared<ConvolutionNorm>(channels, last, 1, 1, kHs, norm));
    const auto classifier = register_module("classifier", std::make_shared<ModuleList>());
    linear_ = classifier->append(std::make_shared<Linear>(last, hidden));
    classifier->skip();  // hardswish
    classifier->skip();  // dropout
    head_ = classifier->append(std::make_shared<Linear>(hidden, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = stem_->forward(x);
    for (const auto& block : blocks_) y = block->forward(y);
    y = at::hardswish(linear_->forward(last_->forward(y).mean({2, 3})));
    return head_->forward(at::dropout(y, description_.dropout, is_training()));
  }

  void initialise(uint64_t seed) override {
    draw_mobile_convolutions(*this, seed);
    const WeightDraws draws(seed);
    draws.normal("classifier.0.weight", linear_->weight, 0.01);
    draws.normal("classifier.3.weight", head_->weight, 0.01);
  }

  std::vector<int64_t> stage_depths() const override {
    return description_.arch == "mobilenet_v3_large" ? std::vector<int64_t>{1, 2, 3, 4, 2, 3} : std::vector<int64_t>{1, 2, 3, 2, 3};
  }
  std::string head() const override { return "classifier.3."; }
  int64_t min_input_size() const override { return 1; }
  int64_t output_stride() const override { return 32; }

 private:
  std::shared_ptr<ConvolutionNorm> stem_, last_;
  std::vector<std::shared_ptr<InvertedResidual>> blocks_;
  std::shared_ptr<Linear> linear_, head_;
};

}  // namespace

std::shared_ptr<ImageClassifier> make_mobilenet_v3(const MobileNetV3Description& description) { return std::make_shared<MobileNetV3>(description); }

}  // namespace fettle
