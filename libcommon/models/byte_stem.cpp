#include "models/byte_stem.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "ops/byte_conv.h"
#include "ops/matrix_products.h"

namespace fettle {
namespace {

// The kernel knows single precision; double is for tests.
at::Tensor sums_of_rows(const at::Tensor& table, const ops::ByteFiles& files, int64_t stride) {
  const int64_t kernel = table.size(1), width = table.size(2);
  std::vector<int64_t> rows, starts;
  const auto* bytes = files.bytes.const_data_ptr<uint8_t>();
  for (size_t file = 0; file + 1 < files.byte_offsets.size(); ++file) {
    for (int64_t token = 0; token < files.token_offsets[file + 1] - files.token_offsets[file]; ++token) {
      const int64_t begin = files.byte_offsets[file] + token * stride;
      starts.push_back(static_cast<int64_t>(rows.size()));
      for (int64_t i = begin; i < std::min(begin + kernel, files.byte_offsets[file + 1]); ++i) rows.push_back(bytes[i] * kernel + i - begin);
    }
  }
  return std::get<0>(at::embedding_bag(table.view({256 * kernel, width}), at::tensor(rows, at::kLong), at::tensor(starts, at::kLong)));
}

}  // namespace

at::Tensor byte_stem(const at::Tensor& bytes, const std::vector<int64_t>& offsets, const std::vector<int64_t>& tokens, const at::Tensor& embedding, const at::Tensor& convolution,
                     const at::Tensor& positions) {
  const int64_t kernel = convolution.size(2), stride = kernel / 2, width = convolution.size(0);
  // table[v][j] = convolution[:, :, j] embedding[v]. The kernel's places are moved in front as the transposition of a matrix, which LibTorch does in
  // blocks; any other permutation it does element by element, which takes longer than the product.
  const at::Tensor taps = convolution.reshape({width * width, kernel}).t().contiguous().view({kernel * width, width});
  const at::Tensor table = ops::linear(embedding.narrow(0, 0, 256), taps, {}).view({256, kernel, width}).to(embedding.scalar_type());
  ops::ByteFiles files{bytes.to(embedding.device()), offsets, {0}};
  for (const int64_t count : tokens) files.token_offsets.push_back(files.token_offsets.back() + count);
  if (embedding.scalar_type() == at::kFloat) return ops::byte_conv(table, positions, files, stride);
  at::Tensor sums = sums_of_rows(table, files, stride);
  if (!positions.defined()) return sums;
  std::vector<at::Tensor> places;
  for (const int64_t count : tokens) places.push_back(positions.narrow(0, 0, count));
  return sums + at::cat(places);
}

}  // namespace fettle
