#include "train/autocast.h"

#include <ATen/autocast_mode.h>

#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace fettle {

AutocastGuard::AutocastGuard(c10::Device device, c10::ScalarType dtype) : device_(device.type()), active_(dtype != c10::kFloat) {
  if (!active_) return;
  FT_CHECK(!at::autocast::is_autocast_enabled(device_), "autocast does not nest here");
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::set_autocast_dtype(device_, dtype);
  at::autocast::increment_nesting();
}

AutocastGuard::~AutocastGuard() {
  if (!active_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, false);
}

ArchFamily precision_family(const ImageClassifier& model, int64_t image_side) {
  const std::string family = model.family();
  if (family == "cifar_resnet") return ArchFamily::kCifarResnet;
  if (family == "vit" || family == "swin") return ArchFamily::kTransformer;
  if (family != "resnet") return ArchFamily::kOther;
  const auto arch = model.description().at("arch").get<std::string>();
  if (arch != "resnet18" && arch != "resnet34") return ArchFamily::kResnetBottleneck;
  return image_side < 64 ? ArchFamily::kResnetBasicSmall : ArchFamily::kResnetBasic;
}

}  // namespace fettle
