#include "models/cifar_resnet.h"

#include <ATen/ATen.h>

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "models/description_json.h"
#include "models/layers.h"
#include "models/module.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

constexpr int64_t kStemChannels = 16;
constexpr int64_t kMaxDepth = 1202;  // the paper's deepest

bool is_depth(int64_t depth) { return depth >= 8 && depth <= kMaxDepth && (depth - 2) % 6 == 0; }

// Sums and ReLUs work in place: no backward needs what they overwrite.
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
    at::Tensor y = bn1_->forward(conv1_->forward(x)).relu_();
    y = bn2_->forward(conv2_->forward(y));
    return y.add_(stride_ == 1 ? x : shortcut(x)).relu_();
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

class CifarResNet : public ImageClassifier {
 public:
  explicit CifarResNet(const CifarResNetDescription& description) : description_(description) {
    conv1_ = register_module("conv1", std::make_shared<Convolution>(description.in_channels, kStemChannels, 3, 1));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm>(kStemChannels));
    const int64_t num_blocks = (description.depth - 2) / 6;
    layer1_ = register_module("layer1", std::make_shared<Stage>(kStemChannels, kStemChannels, num_blocks, 1));
    layer2_ = register_module("layer2", std::make_shared<Stage>(kStemChannels, 2 * kStemChannels, num_blocks, 2));
    layer3_ = register_module("layer3", std::make_shared<Stage>(2 * kStemChannels, 4 * kStemChannels, num_blocks, 2));
    linear_ = register_module("linear", std::make_shared<Linear>(4 * kStemChannels, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = bn1_->forward(conv1_->forward(x)).relu_();
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

  nlohmann::json description() const override { return to_json(description_); }
  std::string family() const override { return "cifar_resnet"; }
  int64_t in_channels() const override { return description_.in_channels; }
  int64_t num_classes() const override { return description_.num_classes; }
  std::string head() const override { return "linear."; }
  int64_t min_input_size() const override { return 1; }
  int64_t output_stride() const override { return 4; }

 private:
  CifarResNetDescription description_;
  std::shared_ptr<Convolution> conv1_;
  std::shared_ptr<BatchNorm> bn1_;
  std::shared_ptr<Stage> layer1_, layer2_, layer3_;
  std::shared_ptr<Linear> linear_;
};

}  // namespace

nlohmann::json to_json(const CifarResNetDescription& description) {
  return {{"family", "cifar_resnet"}, {"arch", "resnet" + std::to_string(description.depth)}, {"in_channels", description.in_channels}, {"num_classes", description.num_classes}};
}

CifarResNetDescription cifar_resnet_description_from_json(const nlohmann::json& json) {
  const DescriptionReader reader(json, {"family", "arch", "in_channels", "num_classes"});
  FT_REQUIRE(reader.text("family") == "cifar_resnet", "model description: expected family 'cifar_resnet', found '{}'", reader.text("family"));
  const std::string arch = reader.text("arch");
  int64_t depth = 0;
  const std::string digits = arch.substr(0, 6) == "resnet" ? arch.substr(6) : "";
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), depth);
  FT_REQUIRE(error == std::errc() && end == digits.data() + digits.size() && is_depth(depth) && arch == "resnet" + std::to_string(depth),
             "model description: family 'cifar_resnet' has resnet<6n+2> from resnet8 to resnet{}, found '{}'", kMaxDepth, arch);
  return {depth, reader.integer("in_channels", 1, kMaxChannels), reader.integer("num_classes", 1, kMaxClasses)};
}

std::shared_ptr<ImageClassifier> make_cifar_resnet(const CifarResNetDescription& description) {
  FT_CHECK(is_depth(description.depth) && description.in_channels > 0 && description.num_classes > 0, "depth {}", description.depth);
  return std::make_shared<CifarResNet>(description);
}

}  // namespace fettle
