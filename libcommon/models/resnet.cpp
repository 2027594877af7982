#include "models/resnet.h"

#include <ATen/ATen.h>

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "models/description_json.h"
#include "models/layers.h"
#include "models/module.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

constexpr int64_t kStemChannels = 64;

struct Structure {
  int64_t depth;
  bool bottleneck;
  std::array<int64_t, 4> num_blocks;  // of each stage
};
constexpr std::array<Structure, 3> kStructures = {{{18, false, {2, 2, 2, 2}}, {34, false, {3, 4, 6, 3}}, {50, true, {3, 4, 6, 3}}}};

const Structure* find_structure(int64_t depth) {
  for (const Structure& structure : kStructures) {
    if (structure.depth == depth) return &structure;
  }
  return nullptr;
}

// downsample.0 and .1: the 1x1 convolution and batch norm that bring the shortcut to the block's shape.
class Downsample : public Module {
 public:
  Downsample(int64_t in_channels, int64_t out_channels, int64_t stride)
      : convolution_(register_module("0", std::make_shared<Convolution>(in_channels, out_channels, 1, stride))),
        norm_(register_module("1", std::make_shared<BatchNorm>(out_channels))) {}
  at::Tensor forward(const at::Tensor& x) { return norm_->forward(convolution_->forward(x)); }

 private:
  std::shared_ptr<Convolution> convolution_;
  std::shared_ptr<BatchNorm> norm_;
};

// Two 3x3 convolutions, or with a bottleneck 1x1, 3x3, 1x1 of which the last is four times as wide. Sums and ReLUs work
// in place: no backward needs what they overwrite.
class Block : public Module {
 public:
  Block(int64_t in_channels, int64_t channels, int64_t stride, bool bottleneck) {
    const int64_t out_channels = bottleneck ? 4 * channels : channels;
    if (bottleneck) {
      add(in_channels, channels, 1, 1);
      add(channels, channels, 3, stride);
      add(channels, out_channels, 1, 1);
    } else {
      add(in_channels, channels, 3, stride);
      add(channels, out_channels, 3, 1);
    }
    if (stride != 1 || in_channels != out_channels) {
      downsample_ = register_module("downsample", std::make_shared<Downsample>(in_channels, out_channels, stride));
    }
  }

  at::Tensor forward(const at::Tensor& x) {
    at::Tensor y = x;
    for (size_t i = 0; i < convolutions_.size(); ++i) {
      y = norms_[i]->forward(convolutions_[i]->forward(y));
      if (i + 1 < convolutions_.size()) y.relu_();
    }
    return y.add_(downsample_ ? downsample_->forward(x) : x).relu_();
  }

 private:
  void add(int64_t in_channels, int64_t out_channels, int64_t kernel, int64_t stride) {
    const std::string number = std::to_string(convolutions_.size() + 1);
    convolutions_.push_back(register_module("conv" + number, std::make_shared<Convolution>(in_channels, out_channels, kernel, stride)));
    norms_.push_back(register_module("bn" + number, std::make_shared<BatchNorm>(out_channels)));
  }

  std::vector<std::shared_ptr<Convolution>> convolutions_;
  std::vector<std::shared_ptr<BatchNorm>> norms_;
  std::shared_ptr<Downsample> downsample_;
};

class Stage : public Module {
 public:
  Stage(int64_t in_channels, int64_t channels, int64_t num_blocks, int64_t stride, bool bottleneck) {
    for (int64_t i = 0; i < num_blocks; ++i) {
      blocks_.push_back(register_module(std::to_string(i), std::make_shared<Block>(in_channels, channels, i == 0 ? stride : 1, bottleneck)));
      in_channels = bottleneck ? 4 * channels : channels;
    }
  }
  at::Tensor forward(at::Tensor x) {
    for (const auto& block : blocks_) x = block->forward(x);
    return x;
  }

 private:
  std::vector<std::shared_ptr<Block>> blocks_;
};

class ResNet : public ImageClassifier {
 public:
  ResNet(const ResNetDescription& description, const Structure& structure) : description_(description) {
    conv1_ = register_module("conv1", std::make_shared<Convolution>(description.in_channels, kStemChannels, 7, 2));
    bn1_ = register_module("bn1", std::make_shared<BatchNorm>(kStemChannels));
    int64_t in_channels = kStemChannels;
    for (int64_t i = 0; i < 4; ++i) {
      const int64_t channels = kStemChannels << i;
      const int64_t num_blocks = structure.num_blocks[static_cast<size_t>(i)];
      stages_.push_back(register_module("layer" + std::to_string(i + 1),
                                        std::make_shared<Stage>(in_channels, channels, num_blocks, i == 0 ? 1 : 2, structure.bottleneck)));
      in_channels = structure.bottleneck ? 4 * channels : channels;
    }
    fc_ = register_module("fc", std::make_shared<Linear>(in_channels, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = bn1_->forward(conv1_->forward(x)).relu_();
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

  nlohmann::json description() const override { return to_json(description_); }
  std::string family() const override { return "resnet"; }
  int64_t in_channels() const override { return description_.in_channels; }
  int64_t num_classes() const override { return description_.num_classes; }
  std::string head() const override { return "fc."; }
  int64_t min_input_size() const override { return 1; }
  int64_t output_stride() const override { return 32; }

 private:
  ResNetDescription description_;
  std::shared_ptr<Convolution> conv1_;
  std::shared_ptr<BatchNorm> bn1_;
  std::vector<std::shared_ptr<Stage>> stages_;
  std::shared_ptr<Linear> fc_;
};

}  // namespace

nlohmann::json to_json(const ResNetDescription& description) {
  return {{"family", "resnet"}, {"arch", "resnet" + std::to_string(description.depth)}, {"in_channels", description.in_channels}, {"num_classes", description.num_classes}};
}

ResNetDescription resnet_description_from_json(const nlohmann::json& json) {
  const DescriptionReader reader(json, {"family", "arch", "in_channels", "num_classes"});
  FT_REQUIRE(reader.text("family") == "resnet", "model description: expected family 'resnet', found '{}'", reader.text("family"));
  ResNetDescription description{0, reader.integer("in_channels", 1, kMaxChannels), reader.integer("num_classes", 1, kMaxClasses)};
  for (const Structure& structure : kStructures) {
    if (reader.text("arch") == "resnet" + std::to_string(structure.depth)) description.depth = structure.depth;
  }
  FT_REQUIRE(description.depth != 0, "model description: family 'resnet' has resnet18, resnet34 and resnet50, found '{}'", reader.text("arch"));
  return description;
}

std::shared_ptr<ImageClassifier> make_resnet(const ResNetDescription& description) {
  const Structure* structure = find_structure(description.depth);
  FT_CHECK(structure != nullptr && description.in_channels > 0 && description.num_classes > 0, "depth {}", description.depth);
  return std::make_shared<ResNet>(description, *structure);
}

}  // namespace fettle
