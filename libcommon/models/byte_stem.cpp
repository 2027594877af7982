#include "models/byte_stem.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/errors.h"

namespace fettle {

at::Tensor byte_stem(const at::Tensor& bytes, const std::vector<int64_t>& offsets, const std::vector<int64_t>& tokens, const at::Tensor& embedding, const at::Tensor& convolution,
                     const at::Tensor& positions) {
  const int64_t kernel = convolution.size(2), stride = kernel / 2, channels = convolution.size(0);
  int64_t num_tokens = 0;
  for (const int64_t count : tokens) num_tokens += count;

  // Row byte * kernel + j of the table: convolution[:, :, j] embedding[byte].
  const at::Tensor table = at::matmul(embedding.narrow(0, 0, 256), convolution.permute({1, 2, 0}).reshape({channels, kernel * channels})).to(embedding.scalar_type()).view({256 * kernel, channels});
  const at::Tensor rows = at::empty({num_tokens * kernel}, at::kInt), starts = at::empty({num_tokens}, at::kInt), places = at::empty({num_tokens}, at::kInt);
  const auto* byte = bytes.const_data_ptr<uint8_t>();
  int32_t *row = rows.mutable_data_ptr<int32_t>(), *start = starts.mutable_data_ptr<int32_t>(), *place = places.mutable_data_ptr<int32_t>();
  const int32_t* first_row = row;
  for (size_t file = 0; file < tokens.size(); ++file) {
    for (int64_t token = 0; token < tokens[file]; ++token) {
      const int64_t begin = offsets[file] + token * stride, end = std::min(begin + kernel, offsets[file + 1]);
      FT_CHECK(begin < end, "token {} of file {}", token, file);
      *start++ = static_cast<int32_t>(row - first_row);
      *place++ = static_cast<int32_t>(token);
      for (int64_t i = begin; i < end; ++i) *row++ = static_cast<int32_t>(byte[i] * kernel + i - begin);
    }
  }
  const auto there = [&](const at::Tensor& indices) { return indices.to(embedding.device()); };
  const at::Tensor sums = std::get<0>(at::embedding_bag(table, there(rows.narrow(0, 0, row - first_row)), there(starts)));
  return positions.defined() ? sums + at::embedding(positions, there(places)) : sums;
}

}  // namespace fettle
