#pragma once
// bf16 matrix products with fp32 weights, as torch.autocast does it.

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include "device/precision.h"
#include "models/image_classifier.h"

namespace fettle {

// While it lives, operations on `device` run under autocast in `dtype`; kFloat: nothing happens. Casts of weights are kept
// from one operation to the next and dropped at the end.
class AutocastGuard {
 public:
  AutocastGuard(c10::Device device, c10::ScalarType dtype);
  ~AutocastGuard();
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;

 private:
  c10::DeviceType device_;
  bool active_;
};

// The network's row of the table of precisions, on images of about this many pixels a side.
ArchFamily precision_family(const ImageClassifier& model, int64_t image_side);

}  // namespace fettle
