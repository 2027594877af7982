#pragma once
// kernels/byte_conv on tensors, with a gradient: the look-up that the embedding of bytes and a strided convolution over it amount to.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace fettle::ops {

// Where the files of a batch lie: file i has bytes [byte_offsets[i], byte_offsets[i + 1]) and rows [token_offsets[i], token_offsets[i + 1]) of the result.
struct ByteFiles {
  at::Tensor bytes;                   // u8 [sum of lengths], on the table's device
  std::vector<int64_t> byte_offsets;  // [files + 1], from 0 on, ascending
  std::vector<int64_t> token_offsets; // likewise
};

// Token t of a file: the sum over j of table[x[t * stride + j]][j], bytes beyond the file's end adding nothing, + positions[t].
// table: [256, kernel, width] f32, positions: [at least the tokens of any file, width] f32, or undefined for none -> [tokens, width] f32.
// Differentiable in table and positions, first derivatives only. What does not fit is a bug of the caller (code 70).
at::Tensor byte_conv(const at::Tensor& table, const at::Tensor& positions, const ByteFiles& files, int64_t stride);

}  // namespace fettle::ops
