#pragma once
// MobileNetV1 (arXiv 1704.04861) as timm has it: blocks of depthwise 3x3 and pointwise convolution, each with batch norm and
// ReLU6; tensor names conv_stem bn1 blocks.0.0.conv_dw blocks.0.0.bn1 blocks.0.0.conv_pw blocks.0.0.bn2 ... classifier.
// Initialisation as timm's ("goog"): convolutions normal with deviation sqrt(2 / fan_out), fan_out = kernel^2 * out / groups;
// classifier uniform within 1 / sqrt(num_classes), its bias zero.

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct MobileNetV1Description {
  static constexpr const char* kFamily = "mobilenet_v1";
  static constexpr const char* kArchs = "mobilenetv1_100";
  static bool has_arch(const std::string& arch) { return arch == "mobilenetv1_100"; }
  static void fields(auto&& self, auto&& field) {
    field("width_multiplier", self.width_multiplier, 0.05, 16.0);
    field("dropout", self.dropout, 0.0, 0.999);
    field("norm_eps", self.norm_eps, 1e-12, 1.0);
    field("padding", self.padding, std::vector<std::string>{"symmetric", "same"});
  }

  std::string arch = "mobilenetv1_100";
  int64_t in_channels = 3;
  int64_t num_classes = 1000;
  double width_multiplier = 1;
  double dropout = 0;                // before the classifier
  double norm_eps = 1e-5;             // of batch norm
  std::string padding = "symmetric";  // or TensorFlow's "same"
};

std::shared_ptr<ImageClassifier> make_mobilenet_v1(const MobileNetV1Description& description);

}  // namespace fettle
