// The look-up against the embedding and convolution that it stands for, forward and backward.
#include "ops/byte_conv.h"

#include <ATen/ATen.h>
#include <catch2/catch.hpp>

#include "base/errors.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using test::check_tensors;

namespace {

struct Weights {
  at::Tensor embedding, convolution, positions;  // [256, C], [C, C, kernel], [N, C]
};

Weights weights(int64_t width, int64_t kernel, int64_t positions, at::ScalarType type) {
  at::manual_seed(11);
  Weights w{at::randn({256, width}, at::kDouble), at::randn({width, width, kernel}, at::kDouble), at::randn({positions, width}, at::kDouble)};
  for (at::Tensor* t : {&w.embedding, &w.convolution, &w.positions}) *t = (*t * 0.2).to(type).requires_grad_();
  return w;
}

at::Tensor table_of(const Weights& w) {
  const int64_t width = w.convolution.size(0), kernel = w.convolution.size(2);
  return at::mm(w.embedding, w.convolution.permute({1, 2, 0}).reshape({width, kernel * width})).view({256, kernel, width});
}

// Each file alone, padded with zero rows until every token has a whole window.
at::Tensor plain(const Weights& w, const ops::ByteFiles& files, int64_t stride) {
  const int64_t kernel = w.convolution.size(2);
  std::vector<at::Tensor> parts;
  for (size_t i = 0; i + 1 < files.byte_offsets.size(); ++i) {
    const int64_t length = files.byte_offsets[i + 1] - files.byte_offsets[i], tokens = files.token_offsets[i + 1] - files.token_offsets[i];
    if (tokens == 0) continue;
    const at::Tensor embedded = w.embedding.index_select(0, files.bytes.narrow(0, files.byte_offsets[i], length).to(at::kLong));
    const int64_t needed = (tokens - 1) * stride + kernel;
    at::Tensor padded = at::constant_pad_nd(embedded, {0, 0, 0, std::max<int64_t>(0, needed - length)}).narrow(0, 0, needed);
    parts.push_back(at::conv1d(padded.t().unsqueeze(0), w.convolution, {}, stride).squeeze(0).t() + w.positions.narrow(0, 0, tokens));
  }
  return at::cat(parts);
}

}  // namespace

TEST_CASE("byte_conv: the embedding and convolution that it stands for, with their gradients") {
  at::manual_seed(3);
  const int64_t width = 40, kernel = 8, stride = 4;
  ops::ByteFiles files{at::randint(256, {1 + 64 + 701 + 5}, at::kByte), {0, 1, 65, 65, 766, 771}, {0, 1, 17, 17, 193, 201}};  // the last file has tokens beyond its end
  const Weights w = weights(width, kernel, 200, at::kFloat), exact = weights(width, kernel, 200, at::kDouble);
  const at::Tensor y = ops::byte_conv(table_of(w), w.positions, files, stride);
  const at::Tensor want = plain(exact, files, stride);
  const at::Tensor dy = at::randn_like(want);
  y.backward(dy.to(at::kFloat));
  want.backward(dy);
  // f32 against f64: products over 40 channels, sums of 8 rows, and for the gradients of up to 200 tokens, of numbers near 1.
  check_tensors("y", y.to(at::kDouble), want, {.atol = 2e-6});
  check_tensors("dembedding", w.embedding.grad().to(at::kDouble), exact.embedding.grad(), {.atol = 5e-5});
  check_tensors("dconvolution", w.convolution.grad().to(at::kDouble), exact.convolution.grad(), {.atol = 5e-5});
  check_tensors("dpositions", w.positions.grad().to(at::kDouble), exact.positions.grad(), {.atol = 2e-6});
}

TEST_CASE("byte_conv: without positions, without files, and half-precision gradients") {
  const Weights w = weights(16, 4, 1, at::kFloat);
  const ops::ByteFiles none{at::empty({0}, at::kByte), {0}, {0}};
  CHECK(ops::byte_conv(table_of(w), {}, none, 2).sizes() == at::IntArrayRef({0, 16}));
  const ops::ByteFiles one{at::randint(256, {40}, at::kByte), {0, 40}, {0, 20}};
  const at::Tensor table = table_of(w).detach().requires_grad_();
  const at::Tensor dy = at::randn({20, 16}).to(at::kBFloat16);
  ops::byte_conv(table, {}, one, 2).to(at::kBFloat16).backward(dy);
  const at::Tensor half = table.grad().clone();
  table.mutable_grad().reset();
  ops::byte_conv(table, {}, one, 2).backward(dy.to(at::kFloat));
  check_tensors("dtable", half, table.grad());
}

TEST_CASE("byte_conv: what does not fit is a bug of the caller") {
  const Weights w = weights(16, 4, 3, at::kFloat);
  const ops::ByteFiles files{at::randint(256, {40}, at::kByte), {0, 40}, {0, 20}};
  CHECK_THROWS_AS(ops::byte_conv(table_of(w), w.positions, files, 2), Error);  // 3 positions for 20 tokens
  CHECK_THROWS_AS(ops::byte_conv(table_of(w).to(at::kDouble), {}, files, 2), Error);
  CHECK_THROWS_AS(ops::byte_conv(table_of(w), {}, {files.bytes, {0, 39}, {0, 20}}, 2), Error);
  CHECK_THROWS_AS(ops::byte_conv(table_of(w), {}, {files.bytes, {0, 40}, {0, 20, 20}}, 2), Error);
}
