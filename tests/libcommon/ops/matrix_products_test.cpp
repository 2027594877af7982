// oneDNN's products against LibTorch's in fp64, and the gradients of linear() against at::linear()'s.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>

#include <catch2/catch.hpp>

#include "ops/matrix_products.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::Tolerance;

namespace {

at::Tensor randn(at::IntArrayRef shape, uint64_t seed) { return at::empty(shape, at::kDouble).normal_(0, 1, at::detail::createCPUGenerator(seed)); }

}  // namespace

TEST_CASE("matrix_products: both kinds, of every type, shape and order of memory") {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    const Tolerance tolerance = type == at::kDouble ? Tolerance{1e-12, 0} : type == at::kFloat ? Tolerance{1e-4, 1e-5} : Tolerance{0.02, 0.01};
    for (const auto& [m, n, k] : std::vector<std::array<int64_t, 3>>{{1, 1, 1}, {1, 7, 3}, {5, 1, 8}, {33, 17, 64}, {64, 192, 48}, {7, 1000, 31}}) {
      const std::string what = std::string(at::toString(type)) + " " + std::to_string(m) + " x " + std::to_string(n) + " x " + std::to_string(k);
      const at::Tensor x = randn({m, k}, 1).to(type), w = randn({n, k}, 2).to(type), bias = randn({n}, 3).to(type), d = randn({m, n}, 4).to(type);
      const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
      check_tensors(what + ", product", wide(ops::product(x, w)), wide(x).mm(wide(w).t()), tolerance);
      check_tensors(what + ", bias", wide(ops::product(x, w, bias)), wide(x).mm(wide(w).t()) + wide(bias), tolerance);
      check_tensors(what + ", turned weight", wide(ops::product(d, w.t())), wide(d).mm(wide(w)), tolerance);
      check_tensors(what + ", turned left", wide(ops::product(x.t().contiguous().t(), w)), wide(x).mm(wide(w).t()), tolerance);
      check_tensors(what + ", part of a matrix", wide(ops::product(at::cat({x, x}, 1).narrow(1, 0, k), w)), wide(x).mm(wide(w).t()), tolerance);
      check_tensors(what + ", transposed", wide(ops::transposed_product(d, x)), wide(d).t().mm(wide(x)), tolerance);
    }
  }
}

TEST_CASE("matrix_products: rows are rounded up to few numbers") {
  CHECK(ops::padded_rows(0) == 0);
  CHECK(ops::padded_rows(1) == 16);
  CHECK(ops::padded_rows(512) == 512);
  CHECK(ops::padded_rows(513) == 576);
  int64_t last = 0, numbers = 0;
  for (int64_t rows = 1; rows <= 4096; ++rows) {
    const int64_t padded = ops::padded_rows(rows);
    CHECK((padded >= rows && padded >= last && (rows < 128 || 8 * padded <= 9 * rows + 8)));
    numbers += padded != last;
    last = padded;
  }
  CHECK(numbers <= 8 + 8 * 5);
}

TEST_CASE("matrix_products: linear() is at::linear(), gradients included") {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{4, 6}, {6}, {2, 3, 6}, {0, 6}}) {
      for (const bool with_bias : {true, false}) {
        const auto run = [&](auto linear) {
          std::vector<at::Tensor> inputs = {randn(shape, 5).to(type).requires_grad_(true), randn({9, 6}, 6).to(type).requires_grad_(true)};
          if (with_bias) inputs.push_back(randn({9}, 7).to(type).requires_grad_(true));
          const at::Tensor y = linear(inputs[0], inputs[1], with_bias ? inputs[2] : at::Tensor());
          (y * randn(y.sizes(), 8).to(type)).sum().backward();
          std::vector<at::Tensor> results = {y.detach()};
          for (const at::Tensor& input : inputs) results.push_back(input.grad());
          return results;
        };
        const auto got = run([](const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) { return ops::linear(x, w, b); });
        const auto want = run([](const at::Tensor& x, const at::Tensor& w, const at::Tensor& b) { return at::linear(x, w, b); });
        for (size_t i = 0; i < want.size(); ++i) check_tensors("result " + std::to_string(i), got[i], want[i], {1e-5, 1e-5});
      }
    }
  }
  // Under autocast, and where the weight alone or the input alone learns.
  at::autocast::set_autocast_enabled(at::kCPU, true);
  at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
  CHECK(ops::linear(randn({4, 6}, 1).to(at::kFloat), randn({9, 6}, 2).to(at::kFloat), {}).scalar_type() == at::kBFloat16);
  at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCPU, false);
  const at::Tensor x = randn({4, 6}, 1).to(at::kFloat), w = randn({9, 6}, 2).to(at::kFloat).requires_grad_(true);
  ops::linear(x, w, {}).sum().backward();
  check_tensors("weight alone", w.grad(), at::ones({9, 4}).mm(x), {1e-5, 0});
}
