// The operator against LibTorch's attention on the same heads, gradients included.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <catch2/catch.hpp>

#include "ops/segment_attention.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;

namespace {

at::Tensor randn(at::IntArrayRef shape, uint64_t seed) { return at::empty(shape, at::kDouble).normal_(0, 1, at::detail::createCPUGenerator(seed)); }

}  // namespace

TEST_CASE("segment_attention: LibTorch's attention and its gradient") {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const test::Tolerance tolerance = type == at::kFloat ? test::Tolerance{1e-5, 1e-5} : test::Tolerance{0.02, 0.02};
    for (const auto& [segments, length, heads, width] : std::vector<std::array<int64_t, 4>>{{1, 1, 1, 4}, {3, 49, 2, 32}, {5, 197, 3, 64}, {2, 256, 1, 16}, {0, 7, 1, 4}}) {
      const std::string what = std::string(at::toString(type)) + " " + std::to_string(segments) + " x " + std::to_string(length);
      const at::Tensor values = randn({segments * length, 3 * heads * width}, 1).to(type), d = randn({segments * length, heads * width}, 2).to(type);
      REQUIRE(ops::attends_segments(values, length, heads));
      const at::Tensor qkv = values.clone().requires_grad_(true);
      const at::Tensor out = ops::segment_attention(qkv, length, heads);
      CHECK(out.scalar_type() == type);
      out.backward(d);
      // In double: what bf16's own attention rounds does not count.
      const at::Tensor same = values.to(at::kDouble).requires_grad_(true);
      const at::Tensor parts = same.view({segments, length, 3, heads, width}).permute({2, 0, 3, 1, 4});
      const at::Tensor want = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({segments * length, heads * width});
      want.backward(d.to(at::kDouble));
      test::check_tensors(what + ", out", out.detach().to(at::kDouble), want.detach(), tolerance);
      test::check_tensors(what + ", gradient", qkv.grad().to(at::kDouble), same.grad(), tolerance);
    }
  }
  CHECK_FALSE(ops::attends_segments(randn({257, 12}, 1).to(at::kFloat), 257, 1));
  CHECK_FALSE(ops::attends_segments(randn({4, 12}, 1), 4, 1));
}
