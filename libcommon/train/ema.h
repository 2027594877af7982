#pragma once
// Exponential moving average of a model's state: ema <- decay * ema + (1 - decay) * w after each optimiser step, over
// weights and floating buffers; integer buffers are copied.

#include <string>

#include "checkpoint/tensors.h"

namespace fettle {

class Ema {
 public:
  Ema(NamedTensors live, double decay);  // starts as a copy of `live`, whose tensors it follows

  void update();
  void swap();  // exchanges average and live values, and back again: validation runs on the model itself

  const NamedTensors& average() const { return average_; }
  void load(const NamedTensors& saved);

 private:
  NamedTensors live_, average_;
  double decay_;
};

// Copies each tensor of `from` into the tensor of the same name in `into`. Error(kInput) when names or shapes differ.
void copy_by_name(const NamedTensors& from, const NamedTensors& into, const std::string& what);
NamedTensors clones(const NamedTensors& tensors);

}  // namespace fettle
