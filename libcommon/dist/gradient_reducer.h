#pragma once
// Averages gradients over the processes of a run while the backward pass goes on: LibTorch's own reducer, which collects them in buckets
// and sums each as soon as it is full.

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "dist/process_group.h"

namespace fettle {

class GradientReducer {
 public:
  // `parameters`: leaves that require gradients, in the same order on every rank; each gets one in every backward pass.
  GradientReducer(const std::vector<at::Tensor>& parameters, const ProcessGroup& group);
  ~GradientReducer();

  // loss.backward(). With `average`, the gradients with what was in .grad() before become their mean over the ranks: the sum divided by
  // the number of ranks; without it they add up on this rank alone. Error as ProcessGroup's where another process is gone.
  void backward(const at::Tensor& loss, bool average);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;  // none in a group of one
};

}  // namespace fettle
