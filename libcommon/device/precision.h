#pragma once
// --precision auto|fp32|bf16. Auto is looked up in a table that is part of the source, never timed: a probe would choose
// differently from run to run, and with it the result.

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace fettle {

// What a device multiplies bf16 numbers with.
enum class Bf16Support { kNone, kAvx512Bf16, kAmx, kCuda };
Bf16Support bf16_support(c10::Device device);

enum class ArchFamily {
  kCifarResnet,       // resnet20, 32, 44, 56 of 16 to 64 channels
  kResnetBasicSmall,  // resnet18, 34 on images of less than 64 pixels a side
  kResnetBasic,       // the same on larger ones
  kResnetBottleneck,  // resnet50 and deeper
  kTransformer,       // ViT, Swin
  kOther,
};

struct PrecisionChoice {
  c10::ScalarType dtype;  // kFloat or kBFloat16: what autocast computes in; weights stay fp32
  std::string why;        // "bf16: matrix units for bf16 (AMX) train bottleneck ResNets 2.1x as fast"
};

// `requested`: "auto", "fp32" or "bf16"; anything else is Error(kUsage). An explicit wish is granted on every device.
PrecisionChoice choose_precision(const std::string& requested, Bf16Support support, ArchFamily family);

}  // namespace fettle
