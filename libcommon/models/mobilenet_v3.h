#pragma once
// MobileNetV3 (arXiv 1905.02244) as torchvision has it, batch norm with eps 1e-3 and momentum 0.01; tensor names features.0.0
// ... features.4.block.2.fc1 ... classifier.0 classifier.3.
// Initialisation: convolutions normal with deviation sqrt(2 / fan_out), linear layers normal with 0.01, biases zero.

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct MobileNetV3Description {
  static constexpr const char* kFamily = "mobilenet_v3";
  static constexpr const char* kArchs = "mobilenet_v3_large and mobilenet_v3_small";
  static bool has_arch(const std::string& arch) { return arch == "mobilenet_v3_large" || arch == "mobilenet_v3_small"; }
  static void fields(auto&& self, auto&& field) {
    field("width_multiplier", self.width_multiplier, 0.05, 16.0);
    field("dropout", self.dropout, 0.0, 0.999);
    field("norm_eps", self.norm_eps, 1e-12, 1.0);
    field("padding", self.padding, std::vector<std::string>{"symmetric", "same"});
  }

  std::string arch = "mobilenet_v3_large";
  int64_t in_channels = 3;
  int64_t num_classes = 1000;
  double width_multiplier = 1;
  double dropout = 0.2;              // between the two linear layers
  double norm_eps = 1e-3;             // of batch norm
  std::string padding = "symmetric";  // or TensorFlow's "same"
};

std::shared_ptr<ImageClassifier> make_mobilenet_v3(const MobileNetV3Description& description);

}  // namespace fettle
