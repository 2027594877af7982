#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fettle {

double Schedule::at(int64_t step) const {
  if (step < warmup_steps) {
    if (!warmup_init) return lr * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
    return *warmup_init + (lr - *warmup_init) * static_cast<double>(step) / static_cast<double>(warmup_steps);
  }
  const int64_t epoch = std::upper_bound(epoch_ends.begin(), epoch_ends.end(), step) - epoch_ends.begin();
  const double t = by_epoch ? static_cast<double>(epoch) / static_cast<double>(epoch_ends.size())
                            : static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps() - warmup_steps);
  switch (course) {
    case Course::kCosine: return lr_min + (lr - lr_min) / 2 * (1 + std::cos(std::numbers::pi * t));
    case Course::kLinear: return lr + (lr_min - lr) * t;
    case Course::kMultistep: return lr * std::pow(gamma, static_cast<double>(std::upper_bound(milestones.begin(), milestones.end(), epoch) - milestones.begin()));
    case Course::kConstant: return lr;
  }
  return lr;
}

}  // namespace fettle
