#include "models/cifar_resnet.h"

#include <ATen/ATen.h>

#include <charconv>
#include <cmath>

#include "models/described_classifier.h"
#include "models/layers.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

constexpr int64_t kStemChannels = 16;
constexpr int64_t kMaxDepth = 1202;  // the paper's deepest

// 20 of "resnet20"; 0 when it is not the name of a depth 6n + 2.
int64_t depth_of(const std::string& arch) {
  const std::string digits = arch.starts_with("resnet") ? arch.substr(6) : "";
  int64_t depth = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), depth);
  const bool is_depth = error == std::errc() && depth >= 8 && depth <= kMaxDepth && (depth - 2) % 6 == 0 && digits == std::to_string(depth);
  return is_depth ? depth : 0;
}

class Block : public Module {
 public:
  Block(int64_t in_channels, int64_t channels, int64_t stride)
      : conv1_(register_module("conv1", std::make_shared<Convolution>(in_channels, channels, 3, stride))),
        bn1_(register_module("bn1", std::make_shared<BatchNorm>(channels))),
        conv2_(register_module("conv2", std::make_shared<Convolution>(channels, channels, 3, 1))),
        bn2_(register_module("bn2", std::make_shared<BatchNorm>(channels))),
        stride_(stride),
        padding_((channels - in_channels) / 2) {}

  at::Tensor forward(const at::Tensor& x) {
    const at::Tensor y = bn1_->forward(conv1_->forward(x), Activation::kRelu);
    return bn2_->forward(conv2_->forward(y), Activation::kRelu, stride_ == 1 ? x : shortcut(x));
  }

 private:
  at::Tensor shortcut(const at::Tensor& x) const {
    return at::constant_pad_nd(x.slice(2, 0, {}, stride_).slice(3, 0, {}, stride_), {0, 0, 0, 0, padding_, padding_});
  }

  std::shared_ptr<Convolution> conv1_;
  std::shared_ptr<BatchNorm> bn1_;
  std::shared_ptr<Convolution> conv2_;
  std::shared_ptr<BatchNorm> bn2_;
  int64_t stride_;
  int64_t padding_;
};

class Stage : public Module {
 public:
  Stage(int64_t in_channels, int64_t channels, int64_t num_blocks, int64_t stride) {
    for (int64_t i = 0; i < num_blocks; ++i) {
      blocks_.push_back(register_module(std::to_string(i), std::make_shared<Block>(i == 0 ? in_channels : channels, channels, i == 0 ? stride : 1)));
    }
  }
  at::Tensor forward(at::Tensor x) {
    for (const auto& block : blocks_) x = block->forward(x);
    return x;
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

class CifarResNet : public DescribedClassifier<CifarResNetDescription> {
 public:
  explicit CifarResNet(const CifarResNetDescription& description) : DescribedClassifier(description) {
    conv1_ = register_module("conv1", std::make_shared<Convolution>(description.in_channels, kStemChannels, 3, 1));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm>(kStemChannels));
    const int64_t num_blocks = (depth_of(description.arch) - 2) / 6;
    layer1_ = register_module("layer1", std::make_shared<Stage>(kStemChannels, kStemChannels, num_blocks, 1));
    layer2_ = register_module("layer2", std::make_shared<Stage>(kStemChannels, 2 * kStemChannels, num_blocks, 2));
    layer3_ = register_module("layer3", std::make_shared<Stage>(2 * kStemChannels, 4 * kStemChannels, num_blocks, 2));
    linear_ = register_module("linear", std::make_shared<Linear>(4 * kStemChannels, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = bn1_->forward(conv1_->forward(x), Activation::kRelu);
    y = layer3_->forward(layer2_->forward(layer1_->forward(y)));
    return linear_->forward(y.mean({2, 3}));
  }

  void initialise(uint64_t seed) override {
    const WeightDraws draws(seed);
    for (StateEntry& entry : state_dict(*this)) {
      const at::Tensor& t = entry.tensor;
      if (t.dim() < 2) continue;
      const double fan_in = static_cast<double>(t.numel() / t.size(0));
      draws.normal(entry.name, t, std::sqrt(2 / fan_in));
    }
    reset_batch_norms(*this);
    draws.uniform("linear.bias", linear_->bias, 1 / std::sqrt(static_cast<double>(linear_->weight.size(1))));
  }

  std::string head() const override { return "linear."; }
  int64_t min_input_size() const override { return 1; }
  int64_t output_stride() const override { return 4; }

 private:
  std::shared_ptr<Convolution> conv1_;
  std::shared_ptr<BatchNorm> bn1_;
  std::shared_ptr<Stage> layer1_, layer2_, layer3_;
  std::shared_ptr<Linear> linear_;
};

}  // namespace

bool CifarResNetDescription::has_arch(const std::string& arch) { return depth_of(arch) != 0; }

std::shared_ptr<ImageClassifier> make_cifar_resnet(const CifarResNetDescription& description) { return std::make_shared<CifarResNet>(description); }

}  // namespace fettle
