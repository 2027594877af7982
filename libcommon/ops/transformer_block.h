#pragma once
// A pre-norm transformer block over packed rows whose attention stays within segments of consecutive rows:
//
//   y = x + s1 * (Wo attention(Wqkv norm1(x) + bqkv) + bo)
//   z = y + s2 * (W2 gelu(W1 norm2(y) + b1) + b2)
//
// Rows of one segment see each other and nothing else, so a run of whole segments is a block of its own: on a CPU each thread takes runs of a
// few hundred rows through all of it, forward and backward, while they lie in its cache. Between the passes lie x, y, the qkv product, what
// attention gave, and W1's product, the last three in bf16 under autocast; the rest is computed again. No masks and no copies of windows; a
// run's products have rows added up to padded_rows() (ops/matrix_products.h). Segments of up to 256 rows are attended by
// kernels/segment_attention, longer ones by LibTorch.
// fp32, fp64; under autocast bf16 products with x, y, z and gradients in fp32. First derivatives only. Deterministic for a number of threads.
// Each thread holds the gradients of the block's matrices once.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace fettle::ops {

struct TransformerBlock {
  at::Tensor norm1_weight, norm1_bias;  // [C]
  at::Tensor qkv_weight, qkv_bias;      // [3 C, C], rows q, k, v, each by head; [3 C]
  at::Tensor out_weight, out_bias;      // [C, C]
  at::Tensor norm2_weight, norm2_bias;  // [C]
  at::Tensor fc1_weight, fc1_bias;      // [F, C]
  at::Tensor fc2_weight, fc2_bias;      // [C, F]
  int64_t num_heads = 1;                // divides C
  double eps = 1e-5;
};

// Factors of the branches, of x's type: [T, C] or [T, 1]; undefined: 1. They take no gradient.
struct BranchFactors {
  at::Tensor attention, ffn;
};

// x: [T, C] -> [T, C]. segments: the length of each, in order, together T. Weights are of x's type.
at::Tensor transformer_block(const TransformerBlock& block, const at::Tensor& x, const std::vector<int64_t>& segments, const BranchFactors& factors = {});

// The same by LibTorch's operators in turn: what transformer_block() does on a GPU.
at::Tensor composed_transformer_block(const TransformerBlock& block, const at::Tensor& x, const std::vector<int64_t>& segments, const BranchFactors& factors = {});

}  // namespace fettle::ops
