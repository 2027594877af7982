#pragma once
// The learning rate as a function of the step and nothing else: a resumed run needs no state of it.

#include <cstdint>
#include <optional>
#include <vector>

namespace fettle {

// Warm-up, then a course over t; steps and epochs are counted from 0.
//   step < warmup   lr * (step + 1) / warmup                           (not step / warmup: a step at rate 0 is lost)
//                   init + (lr - init) * step / warmup                 with warmup_init, as CoreNet's schedulers
//   t               (step - warmup) / (steps - warmup), or by_epoch    epoch / epochs, which is constant within an epoch and not
//                                                                      shifted by the warm-up, as CoreNet's and torchvision's
//   kCosine         min + (lr - min) / 2 * (1 + cos(pi * t))
//   kLinear         lr + (min - lr) * t
//   kMultistep      lr * gamma ^ (number of milestones, in epochs, up to this epoch)
struct Schedule {
  enum class Course { kCosine, kLinear, kMultistep, kConstant } course = Course::kCosine;
  double lr = 0.1;
  double lr_min = 0;
  bool by_epoch = false;
  int64_t warmup_steps = 0;
  std::optional<double> warmup_init;
  std::vector<int64_t> milestones;   // ascending
  double gamma = 0.1;
  std::vector<int64_t> epoch_ends;   // steps done when each epoch ends, ascending; the last is the run's end

  int64_t total_steps() const { return epoch_ends.empty() ? 0 : epoch_ends.back(); }
  double at(int64_t step) const;
};

}  // namespace fettle
