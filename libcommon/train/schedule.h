#pragma once
// The learning rate as a function of the step and nothing else: a resumed run needs no state of it.

#include <cstdint>

namespace fettle {

// Linear warm-up, then cosine or constant, both per optimiser step, steps counted from 0:
//   step < warmup   lr * (step + 1) / warmup                 (not step / warmup: a step at rate 0 is lost)
//   otherwise       min + (lr - min) / 2 * (1 + cos(pi * (step - warmup) / (total - warmup)))
struct Schedule {
  double lr = 0.1;
  double lr_min = 0;
  bool cosine = true;
  int64_t warmup_steps = 0;
  int64_t total_steps = 1;

  double at(int64_t step) const;
};

}  // namespace fettle
