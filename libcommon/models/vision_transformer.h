#pragma once
// Vision transformer (arXiv 2010.11929) as timm has it, pre-norm with eps 1e-6, class token first; tensor names cls_token
// pos_embed patch_embed.proj blocks.0.norm1 blocks.0.attn.qkv ... norm head. Any image whose sides are multiples of the patch:
// the position table is resampled to its grid, as timm does with dynamic_img_size (bicubic with antialiasing, in float), or
// linearly along the flattened tokens ("1d"), as CoreNet does for arXiv 2309.04502.
// Initialisation as timm's: linear layers and positions normal with 0.02, class token with 1e-6, patches uniform within
// 1 / sqrt(fan_in), biases zero.

#include <ATen/core/Tensor.h>

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct VisionTransformerDescription {
  static constexpr const char* kFamily = "vit";
  static constexpr const char* kArchs = "vit_tiny_patch16_224, vit_small_patch16_224 and vit_base_patch16_224";
  static bool has_arch(const std::string& arch);
  static void fields(auto&& self, auto&& field) {
    field("image_size", self.image_size, 1, 1 << 14);
    field("patch_size", self.patch_size, 1, 1 << 10);
    field("width", self.width, 1, 1 << 14);
    field("depth", self.depth, 1, 1 << 10);
    field("num_heads", self.num_heads, 1, 1 << 10);
    field("dropout", self.dropout, 0.0, 0.999);
    field("stochastic_depth", self.stochastic_depth, 0.0, 0.999);
    field("position_resampling", self.position_resampling, std::vector<std::string>{"2d", "1d"});
  }
  std::string fault() const;  // of members that do not go together; empty: none

  std::string arch = "vit_tiny_patch16_224";
  int64_t in_channels = 3;
  int64_t num_classes = 1000;
  int64_t image_size = 224;  // whose grid of patches the position table holds
  int64_t patch_size = 16;
  int64_t width = 192;
  int64_t depth = 12;
  int64_t num_heads = 3;
  double dropout = 0;           // before the head
  double stochastic_depth = 0;  // block i of n is dropped with i / (n - 1) of it
  std::string position_resampling = "2d";
};

VisionTransformerDescription vision_transformer_description(const std::string& arch);  // one of kArchs

std::shared_ptr<ImageClassifier> make_vision_transformer(const VisionTransformerDescription& description);

// table: [1, 1 + G * G, C] floating, class token first -> [1, 1 + height * width, C]. The table itself when that is its grid.
at::Tensor resample_positions_2d(const at::Tensor& table, int64_t height, int64_t width);
// The same along the flattened tokens: linear, align_corners false.
at::Tensor resample_positions_1d(const at::Tensor& table, int64_t num_tokens);

}  // namespace fettle
