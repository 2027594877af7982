#include "models/mobilenet_v1.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/described_classifier.h"
#include "models/layers.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

constexpr double kStemChannels = 32;

struct StageShape {
  int64_t num_blocks;
  double channels;
  int64_t stride;  // of the first block
};
constexpr StageShape kStages[] = {{1, 64, 1}, {2, 128, 2}, {2, 256, 2}, {6, 512, 2}, {2, 1024, 2}};

class Block : public Module {
 public:
  Block(int64_t in_channels, int64_t out_channels, int64_t stride, const BatchNormOptions& norm, Padding padding)
      : conv_dw_(register_module("conv_dw", std::make_shared<Convolution>(in_channels, in_channels, 3, stride, ConvolutionOptions{.groups = in_channels, .padding = padding}))),
        bn1_(register_module("bn1", std::make_shared<BatchNorm>(in_channels, norm))),
        conv_pw_(register_module("conv_pw", std::make_shared<Convolution>(in_channels, out_channels, 1, 1))),
        bn2_(register_module("bn2", std::make_shared<BatchNorm>(out_channels, norm))) {}

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = bn1_->forward(conv_dw_->forward(x), Activation::kRelu6);
    return bn2_->forward(conv_pw_->forward(y), Activation::kRelu6);
  }

 private:
  std::shared_ptr<Convolution> conv_dw_;
  std::shared_ptr<BatchNorm> bn1_;
  std::shared_ptr<Convolution> conv_pw_;
  std::shared_ptr<BatchNorm> bn2_;
};

class MobileNetV1 : public DescribedClassifier<MobileNetV1Description> {
 public:
  explicit MobileNetV1(const MobileNetV1Description& description) : DescribedClassifier(description) {
    const Padding padding = padding_named(description.padding);
    const BatchNormOptions norm{.eps = description.norm_eps};
    int64_t channels = round_channels(kStemChannels * description.width_multiplier);
    conv_stem_ = register_module("conv_stem", std::make_shared<Convolution>(description.in_channels, channels, 3, 2, ConvolutionOptions{.padding = padding}));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm>(channels, norm));
    const auto blocks = register_module("blocks", std::make_shared<ModuleList>());
    for (const StageShape& shape : kStages) {
      const auto stage = blocks->append(std::make_shared<ModuleList>());
      for (int64_t i = 0; i < shape.num_blocks; ++i) {
        const int64_t out_channels = round_channels(shape.channels * description.width_multiplier);
        blocks_.push_back(stage->append(std::make_shared<Block>(channels, out_channels, i == 0 ? shape.stride : 1, norm, padding)));
        channels = out_channels;
      }
    }
    classifier_ = register_module("classifier", std::make_shared<Linear>(channels, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = bn1_->forward(conv_stem_->forward(x), Activation::kRelu6);
    for (const auto& block : blocks_) y = block->forward(y);
    return classifier_->forward(at::dropout(y.mean({2, 3}), description_.dropout, is_training()));
  }

  void initialise(uint64_t seed) override {
    const WeightDraws draws(seed);
    for (StateEntry& entry : state_dict(*this)) {
      const at::Tensor& t = entry.tensor;
      if (t.dim() != 4) continue;
      const bool depthwise = entry.name.ends_with("conv_dw.weight");
      draws.normal(entry.name, t, std::sqrt(2 / static_cast<double>(t.size(2) * t.size(3) * (depthwise ? 1 : t.size(0)))));
    }
    reset_batch_norms(*this);
    draws.uniform("classifier.weight", classifier_->weight, 1 / std::sqrt(static_cast<double>(num_classes())));
    draws.constant(classifier_->bias, 0);
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
  std::shared_ptr<Convolution> conv_stem_;
  std::shared_ptr<BatchNorm> bn1_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<Linear> classifier_;
};

}  // namespace

std::shared_ptr<ImageClassifier> make_mobilenet_v1(const MobileNetV1Description& description) { return std::make_shared<MobileNetV1>(description); }

}  // namespace fettle
