#pragma once
// ResNet (He et al., arXiv 1512.03385) as torchvision has it: stem of 7x7/2 convolution and 3x3/2 maximum, four stages,
// the stride of a bottleneck on its 3x3 convolution, tensor names conv1 bn1 layer1.0.conv1 ... layer2.0.downsample.0 ... fc.
// seresnet50 is timm's: squeeze-and-excitation to 1/16 of the channels (se.fc1 se.fc2) before the residual sum.
// Initialisation as torchvision's: convolutions normal with deviation sqrt(2 / fan_out), batch norm 1 and 0, fc uniform
// within 1 / sqrt(fan_in); biases of squeeze-and-excitation zero.

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct ResNetDescription {
  static constexpr const char* kFamily = "resnet";
  static constexpr const char* kArchs = "resnet18, resnet34, resnet50, resnet101, resnet152 and seresnet50";
  static bool has_arch(const std::string& arch);
  static void fields(auto&&, auto&&) {}

  std::string arch = "resnet18";
  int64_t in_channels = 3;  // of the image
  int64_t num_classes = 1000;
};

// Convolutions and fc at zero, until initialise() or weights from a file. Takes any image from 1 x 1 on.
std::shared_ptr<ImageClassifier> make_resnet(const ResNetDescription& description);

}  // namespace fettle
