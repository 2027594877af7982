#pragma once
// EfficientNet (arXiv 1905.11946) as torchvision has it; tensor names features.0.0 ... features.1.0.block.1.fc1 ...
// classifier.1. Width, depth and dropout grow with the name (B0 to B3).
// Initialisation: convolutions normal with deviation sqrt(2 / fan_out), classifier uniform within 1 / sqrt(num_classes),
// biases zero.

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct EfficientNetDescription {
  static constexpr const char* kFamily = "efficientnet";
  static constexpr const char* kArchs = "efficientnet_b0 to efficientnet_b3";
  static bool has_arch(const std::string& arch);
  static void fields(auto&& self, auto&& field) {
    field("width_multiplier", self.width_multiplier, 0.05, 16.0);
    field("depth_multiplier", self.depth_multiplier, 0.05, 16.0);
    field("dropout", self.dropout, 0.0, 0.999);
    field("stochastic_depth", self.stochastic_depth, 0.0, 0.999);
    field("norm_eps", self.norm_eps, 1e-12, 1.0);
    field("padding", self.padding, std::vector<std::string>{"symmetric", "same"});
  }

  std::string arch = "efficientnet_b0";
  int64_t in_channels = 3;
  int64_t num_classes = 1000;
  double width_multiplier = 1;
  double depth_multiplier = 1;
  double dropout = 0.2;              // before the classifier
  double stochastic_depth = 0.2;     // block i of n is dropped with i / n of it
  double norm_eps = 1e-5;             // of batch norm
  std::string padding = "symmetric";  // or TensorFlow's "same"
};

EfficientNetDescription efficientnet_description(const std::string& arch);  // one of kArchs

std::shared_ptr<ImageClassifier> make_efficientnet(const EfficientNetDescription& description);

}  // namespace fettle
