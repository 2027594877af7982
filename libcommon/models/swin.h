#pragma once
// Swin transformer (arXiv 2103.14030) as torchvision has it, layer norm with eps 1e-5; tensor names features.0.0 features.0.2
// features.1.0.norm1 features.1.0.attn.relative_position_bias_table ... features.2.reduction ... norm head. Any image from 4 x 4
// on: windows are padded at the right and below, odd maps before merging too, as the reference does.
// Initialisation: linear layers and bias tables normal with 0.02, patches uniform within 1 / sqrt(fan_in), biases zero.

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct SwinDescription {
  static constexpr const char* kFamily = "swin";
  static constexpr const char* kArchs = "swin_t and swin_s";
  static bool has_arch(const std::string& arch) { return arch == "swin_t" || arch == "swin_s"; }
  static void fields(auto&& self, auto&& field) {
    field("dropout", self.dropout, 0.0, 0.999);
    field("stochastic_depth", self.stochastic_depth, 0.0, 0.999);
  }

  std::string arch = "swin_t";
  int64_t in_channels = 3;
  int64_t num_classes = 1000;
  double dropout = 0;             // before the head
  double stochastic_depth = 0.2;  // block i of n is dropped with i / (n - 1) of it; 0.3 for swin_s
};

SwinDescription swin_description(const std::string& arch);  // one of kArchs

std::shared_ptr<ImageClassifier> make_swin(const SwinDescription& description);

}  // namespace fettle
