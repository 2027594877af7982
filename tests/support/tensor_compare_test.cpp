#include "tests/support/tensor_compare.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <limits>

using fettle::test::compare_tensors;

namespace {

const double kInf = std::numeric_limits<double>::infinity();
const double kNan = std::numeric_limits<double>::quiet_NaN();

at::Tensor values(std::vector<double> numbers) { return at::tensor(numbers, at::kDouble); }

}  // namespace

TEST_CASE("tensor comparer: equal tensors agree, whatever their memory format") {
  CHECK(compare_tensors(values({1, 2}), values({1, 2})).empty());
  CHECK(compare_tensors(at::zeros({0, 3}), at::zeros({0, 3})).empty());
  CHECK(compare_tensors(at::scalar_tensor(1.5), at::scalar_tensor(1.5)).empty());
  const at::Tensor image = at::arange(24.0).reshape({1, 2, 3, 4});
  CHECK(compare_tensors(image.contiguous(at::MemoryFormat::ChannelsLast), image).empty());
  CHECK(compare_tensors(image.to(at::kBFloat16), image.to(at::kBFloat16)).empty());
}

TEST_CASE("tensor comparer: shape and dtype come first") {
  CHECK(compare_tensors(at::zeros({2}), at::zeros({1, 2})) == "got Float [2], want Float [1, 2]");
  CHECK(compare_tensors(at::zeros({2}), at::zeros({2}, at::kDouble)) == "got Float [2], want Double [2]");
  CHECK(compare_tensors(at::zeros({0}), at::zeros({0, 1})) != "");
  CHECK(compare_tensors(at::Tensor(), at::zeros({1})) == "a tensor is undefined");
}

TEST_CASE("tensor comparer: NaN and the infinities must sit in the same places") {
  CHECK(compare_tensors(values({kNan, kInf, -kInf, 1}), values({kNan, kInf, -kInf, 1})).empty());
  CHECK_THAT(compare_tensors(values({1, kNan}), values({1, 2}), {.atol = 1e9}), Catch::StartsWith("NaN on one side only at 1 of 2 places, first at [1]"));
  CHECK_THAT(compare_tensors(values({1, 2}), values({kNan, 2}), {.atol = 1e9}), Catch::StartsWith("NaN"));
  CHECK_THAT(compare_tensors(values({kInf, 2}), values({-kInf, 2}), {.atol = kInf}), Catch::StartsWith("+inf"));
  CHECK_THAT(compare_tensors(values({-kInf, 2}), values({1, 2}), {.rtol = kInf}), Catch::StartsWith("-inf"));
}

TEST_CASE("tensor comparer: a tolerance is absolute plus relative, and NaN as one passes nothing") {
  CHECK(compare_tensors(values({101, 0.5}), values({100, 0}), {.atol = 0.5, .rtol = 0.005}).empty());
  CHECK(compare_tensors(values({101}), values({100}), {.atol = 0.4, .rtol = 0.005}) != "");
  CHECK(compare_tensors(values({0}), values({1e-300})) != "");
  CHECK(compare_tensors(values({1}), values({1}), {.atol = kNan}) != "");
  CHECK(compare_tensors(values({3}), values({1}), {.rtol = 1}, values({2})).empty());
  CHECK(compare_tensors(values({3}), values({1}), {.rtol = 1}, values({1.9})) != "");
}

TEST_CASE("tensor comparer: the worst place is told with its indices") {
  at::Tensor got = at::zeros({2, 3}, at::kDouble);
  got[0][1] = 1;
  got[1][2] = -4;
  const std::string text = compare_tensors(got, at::zeros({2, 3}, at::kDouble), {.atol = 0.5});
  CHECK_THAT(text, Catch::StartsWith("2 of 6 differ, worst at [1, 2]: got -4, want 0"));
}

TEST_CASE("tensor comparer: integers are compared exactly") {
  const int64_t big = (int64_t{1} << 60) + 1;
  CHECK(compare_tensors(at::tensor({big}), at::tensor({big})).empty());
  CHECK(compare_tensors(at::tensor({big}), at::tensor({big - 1})) == "integers differ, first at [0]");
  CHECK(compare_tensors(at::tensor({1, 0}).to(at::kBool), at::tensor({1, 1}).to(at::kBool)) == "integers differ, first at [1]");
  CHECK(compare_tensors(at::tensor({int64_t{3}}), at::tensor({int64_t{4}}), {.atol = 1}).empty());
}
