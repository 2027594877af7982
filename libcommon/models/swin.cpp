#include "models/swin.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "models/described_classifier.h"
#include "models/layers.h"
#include "models/weight_draws.h"

namespace fettle {
namespace {

constexpr double kEps = 1e-5;
constexpr int64_t kWindow = 7;
constexpr int64_t kWindowPixels = kWindow * kWindow;
constexpr int64_t kPatch = 4;
constexpr int64_t kStemChannels = 96;
constexpr int64_t kHeadChannels = 32;
constexpr int64_t kMlpRatio = 4;
constexpr double kMasked = -100;  // torchvision's, not minus infinity

std::array<int64_t, 4> depths_of(const std::string& arch) { return {2, 2, arch == "swin_s" ? 18 : 6, 2}; }

// Row of the bias table for each pair of pixels of a window: their offset, each coordinate shifted to 0 ... 2 * kWindow - 2.
at::Tensor relative_positions() {
  const at::Tensor index = at::empty({kWindowPixels * kWindowPixels}, at::kLong);
  int64_t* out = index.mutable_data_ptr<int64_t>();
  for (int64_t a = 0; a < kWindowPixels; ++a) {
    for (int64_t b = 0; b < kWindowPixels; ++b) {
      const int64_t rows = a / kWindow - b / kWindow + kWindow - 1, columns = a % kWindow - b % kWindow + kWindow - 1;
      *out++ = rows * (2 * kWindow - 1) + columns;
    }
  }
  return index;
}

// [B, H, W, C], both multiples of the window -> [B * windows, kWindowPixels, C]
at::Tensor to_windows(const at::Tensor& x) {
  const int64_t rows = x.size(1) / kWindow, columns = x.size(2) / kWindow;
  return x.view({x.size(0), rows, kWindow, columns, kWindow, x.size(3)}).permute({0, 1, 3, 2, 4, 5}).reshape({x.size(0) * rows * columns, kWindowPixels, x.size(3)});
}

// Pixels that the roll brought together from opposite borders do not see each other: [windows, kWindowPixels, kWindowPixels].
at::Tensor shift_mask(int64_t height, int64_t width, int64_t shift_rows, int64_t shift_columns, const at::TensorOptions& options) {
  const auto regions = [](int64_t size, int64_t shift) {
    const at::Tensor region = at::zeros({size});
    region.slice(0, size - kWindow).fill_(1);
    if (shift > 0) region.slice(0, size - shift).fill_(2);  // else torchvision's slice is the whole axis: one region
    else region.fill_(2);
    return region;
  };
  const at::Tensor region = regions(height, shift_rows).unsqueeze(1) * 3 + regions(width, shift_columns).unsqueeze(0);
  const at::Tensor of_window = to_windows(region.view({1, height, width, 1})).squeeze(2);  // [windows, pixels]
  return at::ne(of_window.unsqueeze(1), of_window.unsqueeze(2)).to(options) * kMasked;
}

class WindowAttention : public Module {
 public:
  WindowAttention(int64_t channels, int64_t shift) : num_heads_(channels / kHeadChannels), shift_(shift) {
    table_ = register_parameter("relative_position_bias_table", at::zeros({(2 * kWindow - 1) * (2 * kWindow - 1), num_heads_}));
    index_ = register_buffer("relative_position_index", relative_positions());
    qkv_ = register_module("qkv", std::make_shared<Linear>(channels, 3 * channels));
    proj_ = register_module("proj", std::make_shared<Linear>(channels, channels));
  }

  // [B, H, W, C] -> [B, H, W, C]
  at::Tensor forward(const at::Tensor& x) const {
    const int64_t batch = x.size(0), height = x.size(1), width = x.size(2), channels = x.size(3);
    const int64_t padded_height = (height + kWindow - 1) / kWindow * kWindow, padded_width = (width + kWindow - 1) / kWindow * kWindow;
    at::Tensor y = at::constant_pad_nd(x, {0, 0, 0, padded_width - width, 0, padded_height - height});
    const int64_t shift_rows = padded_height > kWindow ? shift_ : 0, shift_columns = padded_width > kWindow ? shift_ : 0;
    const bool shifted = shift_rows + shift_columns > 0;
    if (shifted) y = at::roll(y, {-shift_rows, -shift_columns}, {1, 2});
    y = to_windows(y);

    const int64_t num_windows = y.size(0);
    const std::vector<at::Tensor> qkv = qkv_->forward(y).view({num_windows, kWindowPixels, 3, num_heads_, kHeadChannels}).permute({2, 0, 3, 1, 4}).unbind(0);  // 3 of [windows, heads, N, D]
    at::Tensor attention = at::matmul(qkv[0] * std::pow(kHeadChannels, -0.5), qkv[1].transpose(-2, -1));
    attention = attention + table_.index_select(0, index_).view({kWindowPixels, kWindowPixels, num_heads_}).permute({2, 0, 1}).unsqueeze(0);
    if (shifted) {
      const at::Tensor mask = shift_mask(padded_height, padded_width, shift_rows, shift_columns, attention.options().requires_grad(false));
      attention = (attention.view({batch, num_windows / batch, num_heads_, kWindowPixels, kWindowPixels}) + mask.unsqueeze(1).unsqueeze(0)).view(attention.sizes());
    }
    y = at::matmul(at::softmax(attention, -1), qkv[2]);
    y = proj_->forward(y.transpose(1, 2).reshape({num_windows, kWindowPixels, channels}));

    y = y.view({batch, padded_height / kWindow, padded_width / kWindow, kWindow, kWindow, channels}).permute({0, 1, 3, 2, 4, 5}).reshape({batch, padded_height, padded_width, channels});
    if (shifted) y = at::roll(y, {shift_rows, shift_columns}, {1, 2});
    return y.slice(1, 0, height).slice(2, 0, width);
  }

 private:
  int64_t num_heads_, shift_;
  at::Tensor table_, index_;
  std::shared_ptr<Linear> qkv_, proj_;
};

class Block : public Module {
 public:
  Block(int64_t channels, int64_t shift, double drop)
      : norm1_(register_module("norm1", std::make_shared<LayerNorm>(channels, kEps))),
        attn_(register_module("attn", std::make_shared<WindowAttention>(channels, shift))),
        norm2_(register_module("norm2", std::make_shared<LayerNorm>(channels, kEps))),
        drop_(drop) {
    const auto mlp = register_module("mlp", std::make_shared<ModuleList>());
    fc1_ = mlp->append(std::make_shared<Linear>(channels, kMlpRatio * channels));
    mlp->skip();  // GELU
    mlp->skip();  // dropout
    fc2_ = mlp->append(std::make_shared<Linear>(kMlpRatio * channels, channels));
  }

  at::Tensor forward(const at::Tensor& x) const {
    const at::Tensor y = x + stochastic_depth(attn_->forward(norm1_->forward(x)), drop_, is_training());
    return y + stochastic_depth(fc2_->forward(at::gelu(fc1_->forward(norm2_->forward(y)))), drop_, is_training());
  }

 private:
  std::shared_ptr<LayerNorm> norm1_;
  std::shared_ptr<WindowAttention> attn_;
  std::shared_ptr<LayerNorm> norm2_;
  std::shared_ptr<Linear> fc1_, fc2_;
  double drop_;
};

// [B, H, W, C] -> [B, ceil(H / 2), ceil(W / 2), 2 * C]
class PatchMerging : public Module {
 public:
  explicit PatchMerging(int64_t channels)
      : reduction_(register_module("reduction", std::make_shared<Linear>(4 * channels, 2 * channels, /*with_bias=*/false))),
        norm_(register_module("norm", std::make_shared<LayerNorm>(4 * channels, kEps))) {}

  at::Tensor forward(const at::Tensor& x) const {
    const at::Tensor y = at::constant_pad_nd(x, {0, 0, 0, x.size(2) % 2, 0, x.size(1) % 2});
    const auto every_second = [&](int64_t row, int64_t column) { return y.slice(1, row, {}, 2).slice(2, column, {}, 2); };
    return reduction_->forward(norm_->forward(at::cat({every_second(0, 0), every_second(1, 0), every_second(0, 1), every_second(1, 1)}, -1)));
  }

 private:
  std::shared_ptr<Linear> reduction_;
  std::shared_ptr<LayerNorm> norm_;
};

class Swin : public DescribedClassifier<SwinDescription> {
 public:
  explicit Swin(const SwinDescription& description) : DescribedClassifier(description) {
    const std::array<int64_t, 4> depths = depths_of(description.arch);
    int64_t num_blocks = 0, block = 0;
    for (const int64_t depth : depths) num_blocks += depth;

    const auto features = register_module("features", std::make_shared<ModuleList>());
    const auto stem = features->append(std::make_shared<ModuleList>());
    patches_ = stem->append(std::make_shared<Convolution>(description.in_channels, kStemChannels, kPatch, kPatch, ConvolutionOptions{.bias = true, .padding = Padding::kNone}));
    stem->skip();  // permutation
    stem_norm_ = stem->append(std::make_shared<LayerNorm>(kStemChannels, kEps));
    int64_t channels = kStemChannels;
    for (size_t i = 0; i < depths.size(); ++i) {
      if (i > 0) {
        mergings_.push_back(features->append(std::make_shared<PatchMerging>(channels)));
        channels *= 2;
      }
      const auto stage = features->append(std::make_shared<ModuleList>());
      for (int64_t j = 0; j < depths[i]; ++j, ++block) {
        const double drop = description.stochastic_depth * static_cast<double>(block) / static_cast<double>(num_blocks - 1);
        stages_[i].push_back(stage->append(std::make_shared<Block>(channels, j % 2 == 0 ? 0 : kWindow / 2, drop)));
      }
    }
    norm_ = register_module("norm", std::make_shared<LayerNorm>(channels, kEps));
    head_ = register_module("head", std::make_shared<Linear>(channels, description.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    at::Tensor y = stem_norm_->forward(patches_->forward(x).permute({0, 2, 3, 1}));
    for (size_t i = 0; i < stages_.size(); ++i) {
      if (i > 0) y = mergings_[i - 1]->forward(y);
      for (const auto& block : stages_[i]) y = block->forward(y);
    }
    return head_->forward(at::dropout(norm_->forward(y).mean({1, 2}), description_.dropout, is_training()));
  }

  void initialise(uint64_t seed) override {
    const WeightDraws draws(seed);
    const double patch_bound = 1 / std::sqrt(static_cast<double>(in_channels() * kPatch * kPatch));
    for (StateEntry& entry : state_dict(*this)) {
      if (!entry.is_parameter) continue;
      if (entry.name.starts_with("features.0.0.")) {
        draws.uniform(entry.name, entry.tensor, patch_bound);
      } else if (entry.tensor.dim() == 2) {
        draws.normal(entry.name, entry.tensor, 0.02);
      } else {
        draws.constant(entry.tensor, entry.name.ends_with("weight") ? 1 : 0);  // of norms; biases
      }
    }
  }

  std::string head() const override { return "head."; }
  int64_t min_input_size() const override { return kPatch; }
  int64_t output_stride() const override { return 0; }

 private:
  std::shared_ptr<Convolution> patches_;
  std::shared_ptr<LayerNorm> stem_norm_;
  std::array<std::vector<std::shared_ptr<Block>>, 4> stages_;
  std::vector<std::shared_ptr<PatchMerging>> mergings_;
  std::shared_ptr<LayerNorm> norm_;
  std::shared_ptr<Linear> head_;
};

}  // namespace

SwinDescription swin_description(const std::string& arch) { return {.arch = arch, .stochastic_depth = arch == "swin_s" ? 0.3 : 0.2}; }

std::shared_ptr<ImageClassifier> make_swin(const SwinDescription& description) { return std::make_shared<Swin>(description); }

}  // namespace fettle
