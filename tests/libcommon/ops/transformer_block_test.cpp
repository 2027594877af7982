// The fused block against LibTorch's operators in turn, and its gradients against central differences.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "ops/transformer_block.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using namespace fettle::ops;
using fettle::test::check_tensors;
using fettle::test::Tolerance;

namespace {

at::Tensor randn(at::IntArrayRef shape, uint64_t seed, double deviation, at::ScalarType type) {
  return at::empty(shape, at::kDouble).normal_(0, deviation, at::detail::createCPUGenerator(seed)).to(type);
}

struct Sizes {
  int64_t width, hidden, num_heads;
};

struct Problem {
  TransformerBlock block;
  at::Tensor x;
  std::vector<int64_t> segments;
  BranchFactors factors;

  std::vector<at::Tensor> inputs() const {
    return {x,
            block.norm1_weight, block.norm1_bias, block.qkv_weight, block.qkv_bias, block.out_weight, block.out_bias,
            block.norm2_weight, block.norm2_bias, block.fc1_weight, block.fc1_bias, block.fc2_weight, block.fc2_bias};
  }
};

Problem make(const Sizes& sizes, const std::vector<int64_t>& segments, at::ScalarType type, bool with_factors = false) {
  const int64_t c = sizes.width, f = sizes.hidden;
  int64_t rows = 0;
  for (const int64_t length : segments) rows += length;
  uint64_t seed = 1;
  const auto matrix = [&](int64_t out, int64_t in) { return randn({out, in}, ++seed, 1 / std::sqrt(static_cast<double>(in)), type); };
  const auto bias = [&](int64_t n) { return randn({n}, ++seed, 0.3, type); };
  const auto scale = [&](int64_t n) { return randn({n}, ++seed, 0.3, type).add_(1); };
  Problem p{{scale(c), bias(c), matrix(3 * c, c), bias(3 * c), matrix(c, c), bias(c), scale(c), bias(c), matrix(f, c), bias(f), matrix(c, f), bias(c), sizes.num_heads, 1e-5},
            randn({rows, c}, 1, 1, type),
            segments,
            {}};
  if (with_factors) p.factors = {randn({rows, c}, ++seed, 1, type), randn({rows, 1}, ++seed, 1, type)};
  for (const at::Tensor& input : p.inputs()) input.requires_grad_(true);
  return p;
}

using Block = at::Tensor (*)(const TransformerBlock&, const at::Tensor&, const std::vector<int64_t>&, const BranchFactors&);

std::vector<at::Tensor> value_and_gradients(Block block, const Problem& p) {
  for (const at::Tensor& input : p.inputs()) input.mutable_grad() = at::Tensor();
  const at::Tensor out = block(p.block, p.x, p.segments, p.factors);
  (out * randn(out.sizes(), 99, 1, out.scalar_type())).sum().backward();
  std::vector<at::Tensor> all = {out.detach()};
  for (const at::Tensor& input : p.inputs()) all.push_back(input.grad().clone());
  return all;
}

const std::vector<std::vector<int64_t>> kSegmentLists = {{1}, {7}, {16, 16, 16, 5}, {3, 16, 16, 1, 8, 16, 2, 2, 2}, {0, 4, 0, 4}, std::vector<int64_t>(90, 16), {300, 20, 700, 1}};

struct Autocast {
  Autocast() {
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    at::autocast::decrement_nesting();
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(at::kCPU, false);
  }
};

}  // namespace

TEST_CASE("transformer block: values and gradients equal LibTorch's operators in turn, in double and in float") {
  for (const Sizes& sizes : {Sizes{24, 40, 3}, Sizes{32, 128, 1}}) {
    for (const std::vector<int64_t>& segments : kSegmentLists) {
      for (const bool with_factors : {false, true}) {
        for (const at::ScalarType type : {at::kDouble, at::kFloat}) {
          INFO(sizes.width << " wide, " << segments.size() << " segments, first " << segments.front() << ", factors " << with_factors << ", " << type);
          const Problem p = make(sizes, segments, type, with_factors);
          const std::vector<at::Tensor> got = value_and_gradients(transformer_block, p), want = value_and_gradients(composed_transformer_block, p);
          for (size_t i = 0; i < want.size(); ++i) {
            // Sums in another order; gradients of weights sum up to 1,500 rows.
            const double rounding = type == at::kDouble ? 1e-13 : 2e-5;
            check_tensors(fmt::format("tensor {}", i), got[i], want[i], {.atol = rounding * std::max(1.0, want[i].abs().max().item<double>()), .rtol = rounding});
          }
        }
      }
    }
  }
}

TEST_CASE("transformer block: without gradients the same bits, frozen weights get none") {
  const Problem p = make({24, 40, 3}, {3, 16, 16, 1, 8, 300}, at::kFloat);
  const at::Tensor with = transformer_block(p.block, p.x, p.segments);
  {
    const at::NoGradGuard no_grad;
    CHECK(transformer_block(p.block, p.x, p.segments).equal(with));
  }
  const std::vector<at::Tensor> all = value_and_gradients(transformer_block, p);
  p.block.qkv_weight.requires_grad_(false);
  p.block.norm2_bias.requires_grad_(false);
  for (const at::Tensor& input : p.inputs()) input.mutable_grad() = at::Tensor();
  const at::Tensor out = transformer_block(p.block, p.x, p.segments);
  (out * randn(out.sizes(), 99, 1, out.scalar_type())).sum().backward();
  const std::vector<at::Tensor> inputs = p.inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    INFO(i);
    CHECK(inputs[i].grad().defined() == inputs[i].requires_grad());
    if (inputs[i].requires_grad()) CHECK(inputs[i].grad().equal(all[i + 1]));
  }
}

TEST_CASE("transformer block: repeats give the same bits") {
  const Problem p = make({32, 128, 2}, std::vector<int64_t>(90, 16), at::kFloat);
  const std::vector<at::Tensor> once = value_and_gradients(transformer_block, p), again = value_and_gradients(transformer_block, p);
  for (size_t i = 0; i < once.size(); ++i) CHECK(once[i].equal(again[i]));
}

TEST_CASE("transformer block: gradients equal central differences in double") {
  const Problem p = make({12, 20, 2}, {3, 5, 5, 1}, at::kDouble, true);
  const std::vector<at::Tensor> gradients = value_and_gradients(transformer_block, p);
  const at::Tensor weights = randn(p.x.sizes(), 99, 1, at::kDouble);
  const at::NoGradGuard no_grad;
  const auto loss = [&] { return (transformer_block(p.block, p.x, p.segments, p.factors) * weights).sum().item<double>(); };
  constexpr double kStep = 1e-6;
  const std::vector<at::Tensor> inputs = p.inputs();
  for (size_t i = 0; i < inputs.size(); ++i) {
    for (int64_t index = 0; index < inputs[i].numel(); index += std::max<int64_t>(1, inputs[i].numel() / 7)) {
      double& value = inputs[i].mutable_data_ptr<double>()[index];
      const double kept = value;
      value = kept + kStep;
      const double above = loss();
      value = kept - kStep;
      const double below = loss();
      value = kept;
      INFO("input " << i << " element " << index);
      CHECK(gradients[i + 1].const_data_ptr<double>()[index] == Approx((above - below) / (2 * kStep)).epsilon(1e-6).margin(1e-7));
    }
  }
}

TEST_CASE("transformer block: under autocast it follows the float path as closely as LibTorch's operators do") {
  const Problem p = make({64, 256, 2}, {3, 64, 64, 64, 17, 128, 300}, at::kFloat);
  const std::vector<at::Tensor> exact = value_and_gradients(composed_transformer_block, p);
  std::vector<at::Tensor> fused, composed;
  {
    const Autocast autocast;
    fused = value_and_gradients(transformer_block, p);
    composed = value_and_gradients(composed_transformer_block, p);
  }
  for (size_t i = 0; i < exact.size(); ++i) {
    INFO("tensor " << i);
    CHECK(fused[i].scalar_type() == at::kFloat);
    const double size = exact[i].norm().item<double>(), ours = (fused[i] - exact[i]).norm().item<double>(), theirs = (composed[i].to(at::kFloat) - exact[i]).norm().item<double>();
    CHECK(ours <= 1.2 * theirs + 1e-3 * size);
    CHECK(ours > 0);  // it did round
    CHECK(ours < 0.03 * size);
  }
}
