#pragma once
// The ResNets for small images (arXiv 1512.03385, section 4.2), depth 6n + 2: 3x3 stem, three stages of n blocks of 16, 32
// and 64 channels, and shortcuts without parameters ("option A": every second pixel, zero channels on both sides). Tensor
// names of the public CIFAR-10 weights: conv1 bn1 layer1.0.conv1 ... linear.
// Initialisation: convolution and linear weights normal with deviation sqrt(2 / fan_in), batch norm 1 and 0, linear bias
// uniform within 1 / sqrt(fan_in) [choice: the paper only cites its initialisation].

#include <memory>

#include "models/image_classifier.h"

namespace fettle {

struct CifarResNetDescription {
  static constexpr const char* kFamily = "cifar_resnet";
  static constexpr const char* kArchs = "resnet<6n+2> from resnet8 to resnet1202";  // public weights exist for 20, 32, 44, 56
  static bool has_arch(const std::string& arch);
  static void fields(auto&&, auto&&) {}

  std::string arch = "resnet20";
  int64_t in_channels = 3;  // of the image
  int64_t num_classes = 10;
};

// Convolutions and linear at zero, until initialise() or weights from a file. Takes any image from 1 x 1 on.
std::shared_ptr<ImageClassifier> make_cifar_resnet(const CifarResNetDescription& description);

}  // namespace fettle
