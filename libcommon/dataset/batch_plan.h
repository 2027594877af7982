#pragma once
// One batch as a sampler plans it: which samples, at which size.

#include <cstdint>
#include <vector>

namespace fettle {

struct BatchPlan {
  int64_t height = 0, width = 0;
  std::vector<int64_t> indices;  // of samples; the batch's size is their number
};

}  // namespace fettle
