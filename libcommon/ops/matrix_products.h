#pragma once
// Products of matrices in fp32 and bf16 by oneDNN on a CPU. LibTorch gives those in fp32 to MKL, which leaves AVX-512 out on CPUs that are not
// Intel's: half of the speed there. Other types and devices go to LibTorch's own operators.
//
// oneDNN compiles a kernel for each new shape, which takes as long as the product of some hundred rows: callers whose numbers of rows vary from
// batch to batch take padded_rows() of them.

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace fettle::ops {

// The next multiple of an eighth of the power of two below, and of 16: few numbers, by an eighth larger at most (from 128 rows on).
int64_t padded_rows(int64_t rows);

// x w^T + bias; x: [M, K], w: [N, K], bias: [N] or undefined, all of one type; any strides -> [M, N]. No gradient.
at::Tensor product(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias = {});

// a^T b; a: [M, N], b: [M, K] of one type -> [N, K]. No gradient.
at::Tensor transposed_product(const at::Tensor& a, const at::Tensor& b);

// at::linear(), with its gradients by these products in fp32 on a CPU; elsewhere and under autocast it is at::linear().
at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias);

}  // namespace fettle::ops
