#include "models/vision_transformer.h"

#include <ATen/ATen.h>

#include <cmath>

#include "models/described_classifier.h"
#include "models/layers.h"
#include "models/weight_draws.h"
#include "ops/segment_attention.h"

namespace fettle {
namespace {

constexpr double kEps = 1e-6;
constexpr int64_t kMlpRatio = 4;

struct Size {
  const char* arch;
  int64_t width, num_heads;
};
constexpr Size kSizes[] = {{"vit_tiny_patch16_224", 192, 3}, {"vit_small_patch16_224", 384, 6}, {"vit_base_patch16_224", 768, 12}};

class PatchEmbedding : public Module {
 public:
  PatchEmbedding(int64_t in_channels, int64_t width, int64_t patch)
      : proj_(register_module("proj", std::make_shared<Convolution>(in_channels, width, patch, patch, ConvolutionOptions{.bias = true, .padding = Padding::kNone}))) {}
  // [B, C, H, W] -> [B, H / patch * W / patch, width]
  at::Tensor forward(const at::Tensor& x) const { return proj_->forward(x).flatten(2).transpose(1, 2); }

 private:
  std::shared_ptr<Convolution> proj_;
};

class Attention : public Module {
 public:
  Attention(int64_t width, int64_t num_heads)
      : qkv_(register_module("qkv", std::make_shared<Linear>(width, 3 * width))), proj_(register_module("proj", std::make_shared<Linear>(width, width))), num_heads_(num_heads) {}

  at::Tensor forward(const at::Tensor& x) const {
    const int64_t batch = x.size(0), tokens = x.size(1), width = x.size(2);
    const at::Tensor all = qkv_->forward(x);
    if (ops::attends_segments(all, tokens, num_heads_)) return proj_->forward(ops::segment_attention(all.view({batch * tokens, 3 * width}), tokens, num_heads_).view({batch, tokens, width}));
    // Unbound in one piece: the gradient of three selections would be three tensors of the whole size, and their sum.
    const std::vector<at::Tensor> qkv = all.view({batch, tokens, 3, num_heads_, width / num_heads_}).permute({2, 0, 3, 1, 4}).unbind(0);  // 3 of [B, heads, N, D]
    const at::Tensor y = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
    return proj_->forward(y.transpose(1, 2).reshape({batch, tokens, width}));
  }

 private:
  std::shared_ptr<Linear> qkv_, proj_;
  int64_t num_heads_;
};

class Mlp : public Module {
 public:
  explicit Mlp(int64_t width)
      : fc1_(register_module("fc1", std::make_shared<Linear>(width, kMlpRatio * width))), fc2_(register_module("fc2", std::make_shared<Linear>(kMlpRatio * width, width))) {}
  at::Tensor forward(const at::Tensor& x) const { return fc2_->forward(at::gelu(fc1_->forward(x))); }

 private:
  std::shared_ptr<Linear> fc1_, fc2_;
};

class Block : public Module {
 public:
  Block(int64_t width, int64_t num_heads, double drop)
      : norm1_(register_module("norm1", std::make_shared<LayerNorm>(width, kEps))),
        attn_(register_module("attn", std::make_shared<Attention>(width, num_heads))),
        norm2_(register_module("norm2", std::make_shared<LayerNorm>(width, kEps))),
        mlp_(register_module("mlp", std::make_shared<Mlp>(width))),
        drop_(drop) {}

  at::Tensor forward(const at::Tensor& x) const {
    const at::Tensor y = x + stochastic_depth(attn_->forward(norm1_->forward(x)), drop_, is_training());
    return y + stochastic_depth(mlp_->forward(norm2_->forward(y)), drop_, is_training());
  }

 private:
  std::shared_ptr<LayerNorm> norm1_;
  std::shared_ptr<Attention> attn_;
  std::shared_ptr<LayerNorm> norm2_;
  std::shared_ptr<Mlp> mlp_;
  double drop_;
};

class VisionTransformer : public DescribedClassifier<VisionTransformerDescription> {
 public:
  explicit VisionTransformer(const VisionTransformerDescription& d) : DescribedClassifier(d) {
    FT_CHECK(d.fault().empty(), "{}", d.fault());
    const int64_t grid = d.image_size / d.patch_size;
    cls_token_ = register_parameter("cls_token", at::zeros({1, 1, d.width}));
    pos_embed_ = register_parameter("pos_embed", at::zeros({1, 1 + grid * grid, d.width}));
    patch_embed_ = register_module("patch_embed", std::make_shared<PatchEmbedding>(d.in_channels, d.width, d.patch_size));
    const auto blocks = register_module("blocks", std::make_shared<ModuleList>());
    for (int64_t i = 0; i < d.depth; ++i) {
      const double drop = d.depth > 1 ? d.stochastic_depth * static_cast<double>(i) / static_cast<double>(d.depth - 1) : 0;
      blocks_.push_back(blocks->append(std::make_shared<Block>(d.width, d.num_heads, drop)));
    }
    norm_ = register_module("norm", std::make_shared<LayerNorm>(d.width, kEps));
    head_ = register_module("head", std::make_shared<Linear>(d.width, d.num_classes));
  }

  at::Tensor forward(const at::Tensor& x) override {
    require_input(x);
    const int64_t height = x.size(2) / description_.patch_size, width = x.size(3) / description_.patch_size;
    const at::Tensor positions =
        description_.position_resampling == "2d" ? resample_positions_2d(pos_embed_, height, width) : resample_positions_1d(pos_embed_, height * width);
    const at::Tensor patches = patch_embed_->forward(x);
    at::Tensor y = at::cat({cls_token_.to(patches.scalar_type()).expand({x.size(0), -1, -1}), patches}, 1) + positions;
    for (const auto& block : blocks_) y = block->forward(y);
    return head_->forward(at::dropout(norm_->forward(y.select(1, 0)), description_.dropout, is_training()));
  }

  void initialise(uint64_t seed) override {
    const WeightDraws draws(seed);
    const double patch_bound = 1 / std::sqrt(static_cast<double>(in_channels() * description_.patch_size * description_.patch_size));
    for (StateEntry& entry : state_dict(*this)) {
      const at::Tensor& t = entry.tensor;
      if (entry.name.starts_with("patch_embed.")) {
        draws.uniform(entry.name, t, patch_bound);
      } else if (t.dim() >= 2) {
        draws.normal(entry.name, t, entry.name == "cls_token" ? 1e-6 : 0.02);
      } else {
        draws.constant(t, entry.name.ends_with("weight") ? 1 : 0);  // of norms; biases
      }
    }
  }

  std::string head() const override { return "head."; }
  int64_t min_input_size() const override { return description_.patch_size; }
  int64_t size_multiple() const override { return description_.patch_size; }
  int64_t output_stride() const override { return 0; }

 private:
  at::Tensor cls_token_, pos_embed_;
  std::shared_ptr<PatchEmbedding> patch_embed_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<LayerNorm> norm_;
  std::shared_ptr<Linear> head_;
};

}  // namespace

bool VisionTransformerDescription::has_arch(const std::string& arch) { return find_arch(kSizes, arch) != nullptr; }

std::string VisionTransformerDescription::fault() const {
  if (width % num_heads != 0) return fmt::format("width {} is no multiple of num_heads {}", width, num_heads);
  if (image_size % patch_size != 0) return fmt::format("image_size {} is no multiple of patch_size {}", image_size, patch_size);
  return "";
}

VisionTransformerDescription vision_transformer_description(const std::string& arch) {
  const Size* size = find_arch(kSizes, arch);
  FT_CHECK(size != nullptr, "{}", arch);
  return {.arch = arch, .width = size->width, .num_heads = size->num_heads};
}

std::shared_ptr<ImageClassifier> make_vision_transformer(const VisionTransformerDescription& description) { return std::make_shared<VisionTransformer>(description); }

at::Tensor resample_positions_2d(const at::Tensor& table, int64_t height, int64_t width) {
  const int64_t num_patches = table.size(1) - 1, channels = table.size(2);
  const auto grid = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(num_patches))));
  FT_CHECK(grid * grid == num_patches, "{} positions", num_patches);
  if (height == grid && width == grid) return table;
  const at::Tensor planes = table.slice(1, 1).reshape({1, grid, grid, channels}).permute({0, 3, 1, 2}).to(at::kFloat);
  const at::Tensor resampled = at::_upsample_bicubic2d_aa(planes, {height, width}, /*align_corners=*/false);
  return at::cat({table.slice(1, 0, 1), resampled.permute({0, 2, 3, 1}).reshape({1, height * width, channels}).to(table.scalar_type())}, 1);
}

at::Tensor resample_positions_1d(const at::Tensor& table, int64_t num_tokens) {
  if (num_tokens == table.size(1) - 1) return table;
  const at::Tensor resampled = at::upsample_linear1d(table.slice(1, 1).transpose(1, 2), {num_tokens}, /*align_corners=*/false);  // [1, C, N]
  return at::cat({table.slice(1, 0, 1), resampled.transpose(1, 2)}, 1);
}

}  // namespace fettle
