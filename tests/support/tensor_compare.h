#pragma once
// The one comparer of tensors: shape and dtype, then where NaN and the infinities sit, then !(|got - want| <= tolerance)
// element by element; it tells the worst place.

#include <ATen/core/Tensor.h>

#include <string>

namespace fettle::test {

struct Tolerance {
  double atol = 0;
  double rtol = 0;  // of `scale` where that is given, else of |want|
};

// "" when they agree, else what differs. `scale`: non-negative, of want's shape. Differences are taken in double (integers
// beyond 2^53 exactly).
std::string compare_tensors(const at::Tensor& got, const at::Tensor& want, Tolerance tolerance = {}, const at::Tensor& scale = {});

// A Catch2 assertion of the same; `what` begins the message.
void check_tensors(const std::string& what, const at::Tensor& got, const at::Tensor& want, Tolerance tolerance = {}, const at::Tensor& scale = {});

}  // namespace fettle::test
