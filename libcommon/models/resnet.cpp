#include "models/resnet.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>

#include "models/described_classifier.h"
#include "models/layers.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

constexpr int64_t kStemChannels = 64;

struct Structure {
  const char* arch;
  bool bottleneck;
  bool squeeze_excitation;
  std::array<int64_t, 4> num_blocks;  // of each stage
};
constexpr Structure kStructures[] = {
    {"resnet18", false, false, {2, 2, 2, 2}}, {"resnet34", false, false, {3, 4, 6, 3}},  {"resnet50", true, false, {3, 4, 6, 3}},
    {"resnet101", true, false, {3, 4, 23, 3}}, {"resnet152", true, false, {3, 8, 36, 3}}, {"seresnet50", true, true, {3, 4, 6, 3}},
};

// Two 3x3 convolutions, or with a bottleneck 1x1, 3x3, 1x1 of which the last is four times as wide.
class Block : public Module {
 public:
  Block(int64_t in_channels, int64_t channels, int64_t stride, const Structure& structure) {
    const int64_t out_channels = structure.bottleneck ? 4 * channels : channels;
    if (structure.bottleneck) {
      add(in_channels, channels, 1, 1);
      add(channels, channels, 3, stride);
      add(channels, out_channels, 1, 1);
    } else {
      add(in_channels, channels, 3, stride);
      add(channels, out_channels, 3, 1);
    }
    if (structure.squeeze_excitation) {
      se_ = register_module("se", std::make_shared<SqueezeExcitation>(out_channels, round_channels(static_cast<double>(out_channels) / 16), Activation::kRelu,
                                                                      SqueezeExcitation::Gate::kSigmoid));
    }
    if (stride != 1 || in_channels != out_channels) {
      downsample_ = register_module("downsample", std::make_shared<ConvolutionNorm>(in_channels, out_channels, 1, stride, Activation::kNone));
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    const size_t last = convolutions_.size() - 1;
    at::Tensor y = x;
    for (size_t i = 0; i < last; ++i) y = norms_[i]->forward(convolutions_[i]->forward(y), Activation::kRelu);
    y = convolutions_[last]->forward(y);
    const at::Tensor shortcut = downsample_ ? downsample_->forward(x) : x;
    if (!se_) return norms_[last]->forward(y, Activation::kRelu, shortcut);
    return activate(se_->forward(norms_[last]->forward(y)).add_(shortcut), Activation::kRelu);
  }

 private:
  void add(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride) {
    const std::string number = std::to_string(convolutions_.size() + 1);
    convolutions_.push_back(register_module("conv" + number, std::make_shared<Convolution>(in_channels, out_channels, kernel, stride)));
    norms_.push_back(register_module("bn" + number, std::make_shared<BatchNorm>(out_channels)));
  }

  std::vector<std::shared_ptr<Convolution>> convolutions_;
  std::vector<std::shared_ptr<BatchNorm>> norms_;
  std::shared_ptr<SqueezeExcitation> se_;
  std::shared_ptr<ConvolutionNorm> downsample_;
};

class Stage : public Module {
 public:
  Stage(int64_t in_channels, int64_t channels, int64_t num_blocks, int64_t stride, const Structure& structure) {
    for (int64_t i = 0; i < num_blocks; ++i) {
      blocks_.push_back(register_module(std::to_string(i), std::make_shared<Block>(in_channels, channels, i == 0 ? stride : 1, structure)));
      in_channels = structure.bottleneck ? 4 * channels : channels;
    }
  }
  at::Tensor forward(at::Tensor x) {
    for (const auto& block : blocks_) x = block->forward(x);
    return x;
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

class ResNet : public DescribedClassifier<ResNetDescription> {
 public:
  ResNet(const ResNetDescription& description, const Structure& structure) : DescribedClassifier(description) {
    conv1_ = register_module("conv1", std::make_shared<Convolution>(description.in_channels, kStemChannels, 7, 2));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm>(kStemChannels));
    int64_t in_channels = kStemChannels;
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t channels = kStemChannels << i;
      const int64_t num_blocks = structure.num_blocks[static_cast<size_t>(i)];
      stages_.push_back(register_module("layer" + std::to_string(i + 1),
                                        std::make_shared<Stage>(in_channels, channels, num_blocks, i == 0 ? 1 : 2, structure)));
      in_channels = structure.bottleneck ? 4 * channels : channels;
    }
    fc_ = register_module("fc", std::make_shared<Linear>(in_channels, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = bn1_->forward(conv1_->forward(x), Activation::kRelu);
    y = at::max_pool2d(y, {3, 3}, {2, 2}, {1, 1});
    for (const auto& stage : stages_) y = stage->forward(y);
    return fc_->forward(y.mean({2, 3}));
  }

  void initialise(uint64_t seed) override {
    const WeightDraws draws(seed);
    for (StateEntry& entry : state_dict(*this)) {
      const at::Tensor& t = entry.tensor;
      if (t.dim() == 4) {
        const double fan_out = static_cast<double>(t.size(0) * t.size(2) * t.size(3));
        draws.normal(entry.name, t, std::sqrt(2 / fan_out));
      }
    }
    reset_batch_norms(*this);
    const double bound = 1 / std::sqrt(static_cast<double>(fc_->weight.size(1)));
    draws.uniform("fc.weight", fc_->weight, bound);
    draws.uniform("fc.bias", fc_->bias, bound);
  }

  std::string head() const override { return "fc."; }
  int64_t min_input_size() const override { return 1; }
  int64_t output_stride() const override { return 32; }

 private:
  std::shared_ptr<Convolution> conv1_;
  std::shared_ptr<BatchNorm> bn1_;
  std::vector<std::shared_ptr<Stage>> stages_;
  std::shared_ptr<Linear> fc_;
};

}  // namespace

bool ResNetDescription::has_arch(const std::string& arch) { return find_arch(kStructures, arch) != nullptr; }

std::shared_ptr<ImageClassifier> make_resnet(const ResNetDescription& description) {
  const Structure* structure = find_arch(kStructures, description.arch);
  FT_CHECK(structure != nullptr, "{}", description.arch);
  return std::make_shared<ResNet>(description, *structure);
}

}  // namespace fettle
