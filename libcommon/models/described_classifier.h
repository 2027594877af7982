#pragma once
// What every family answers from its description alone.

#include <nlohmann/json.hpp>

#include "models/description_json.h"
#include "models/image_classifier.h"

namespace fettle {

template <typename D>
class DescribedClassifier : public ImageClassifier {
 public:
  nlohmann::json description() const override { return description_to_json(description_); }
  std::string family() const override { return D::kFamily; }
  int64_t in_channels() const override { return description_.in_channels; }
  int64_t num_classes() const override { return description_.num_classes; }

 protected:
  explicit DescribedClassifier(const D& description) : description_(description) {
    FT_CHECK(D::has_arch(description.arch) && description.in_channels > 0 && description.num_classes > 0, "{}", description.arch);
  }
  const D description_;
};

}  // namespace fettle
