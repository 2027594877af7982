#pragma once
// The embedding and convolution of ByteFormer on packed bytes, as the look-up that they amount to: a token is the sum of one row a byte
// of a table of kernel * 256 rows.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace fettle {

// bytes: uint8, files behind one another, file i from offsets[i] to offsets[i + 1]; tokens: how many of each file, none of which begins behind
// its end; embedding: [257, C]; convolution: [C, C, kernel]; positions: [N, C], N >= each of `tokens`, or undefined for none.
// Token t of a file: sum over j of convolution[:, :, j] embedding[byte t * (kernel / 2) + j] + positions[t], bytes behind the end adding nothing.
// [sum of tokens, C]; differentiable in embedding (whose last row gets a gradient of zero), convolution and positions.
at::Tensor byte_stem(const at::Tensor& bytes, const std::vector<int64_t>& offsets, const std::vector<int64_t>& tokens, const at::Tensor& embedding, const at::Tensor& convolution,
                     const at::Tensor& positions);

}  // namespace fettle
