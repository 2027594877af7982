#pragma once
// MobileNetV2 (arXiv 1801.04381) as torchvision has it; tensor names features.0.0 ... features.1.conv.0.0 ... classifier.1.
// Initialisation: convolutions normal with deviation sqrt(2 / fan_out), classifier normal with 0.01, biases zero.

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct MobileNetV2Description {
  static constexpr const char* kFamily = "mobilenet_v2";
  static constexpr const char* kArchs = "mobilenet_v2";
  static bool has_arch(const std::string& arch) { return arch == "mobilenet_v2"; }
  static void fields(auto&& self, auto&& field) {
    field("width_multiplier", self.width_multiplier, 0.05, 16.0);
    field("dropout", self.dropout, 0.0, 0.999);
    field("norm_eps", self.norm_eps, 1e-12, 1.0);
    field("padding", self.padding, std::vector<std::string>{"symmetric", "same"});
  }

  std::string arch = "mobilenet_v2";
  int64_t in_channels = 3;
  int64_t num_classes = 1000;
  double width_multiplier = 1;
  double dropout = 0.2;              // before the classifier
  double norm_eps = 1e-5;             // of batch norm
  std::string padding = "symmetric";  // or TensorFlow's "same"
};

std::shared_ptr<ImageClassifier> make_mobilenet_v2(const MobileNetV2Description& description);

}  // namespace fettle
