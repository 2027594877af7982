#include "train/schedule.h"

#include <cmath>
#include <numbers>

namespace fettle {

double Schedule::at(int64_t step) const {
  if (step < warmup_steps) return lr * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  if (!cosine) return lr;
  const double share = static_cast<double>(step - warmup_steps) / static_cast<double>(total_steps - warmup_steps);
  return lr_min + (lr - lr_min) / 2 * (1 + std::cos(std::numbers::pi * share));
}

}  // namespace fettle
