#include "device/precision.h"

#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"

using namespace fettle;

TEST_CASE("precision: an explicit wish is granted everywhere, an unknown word is refused") {
  for (const auto support : {Bf16Support::kNone, Bf16Support::kAvx512Bf16, Bf16Support::kAmx, Bf16Support::kCuda}) {
    CHECK(choose_precision("bf16", support, ArchFamily::kOther).dtype == c10::kBFloat16);
    CHECK(choose_precision("fp32", support, ArchFamily::kResnetBottleneck).dtype == c10::kFloat);
  }
  test::expect_error(ExitCode::kUsage, "not 'fp16'", [] { choose_precision("fp16", Bf16Support::kCuda, ArchFamily::kOther); });
}

TEST_CASE("precision: auto follows the table, never the clock") {
  using F = ArchFamily;
  for (const F family : {F::kCifarResnet, F::kResnetBasicSmall, F::kResnetBasic, F::kResnetBottleneck, F::kTransformer, F::kOther}) {
    CHECK(choose_precision("auto", Bf16Support::kCuda, family).dtype == c10::kBFloat16);
    CHECK(choose_precision("auto", Bf16Support::kNone, family).dtype == c10::kFloat);
    const bool pays_without_amx = family != F::kOther && family != F::kResnetBasicSmall;
    CHECK(choose_precision("auto", Bf16Support::kAvx512Bf16, family).dtype == (pays_without_amx ? c10::kBFloat16 : c10::kFloat));
  }
  CHECK(choose_precision("auto", Bf16Support::kAmx, F::kResnetBottleneck).dtype == c10::kBFloat16);
  CHECK(choose_precision("auto", Bf16Support::kAmx, F::kCifarResnet).dtype == c10::kBFloat16);
  CHECK(choose_precision("auto", Bf16Support::kAmx, F::kResnetBasic).dtype == c10::kBFloat16);
  CHECK(choose_precision("auto", Bf16Support::kAmx, F::kTransformer).dtype == c10::kBFloat16);
  CHECK(choose_precision("auto", Bf16Support::kAmx, F::kResnetBasicSmall).dtype == c10::kFloat);
  CHECK(choose_precision("auto", Bf16Support::kAmx, F::kOther).dtype == c10::kFloat);
  CHECK_THAT(choose_precision("auto", Bf16Support::kNone, F::kOther).why, Catch::Equals("fp32: this CPU has no bf16 instructions"));
}

TEST_CASE("precision: a CUDA device has bf16, a CPU has none without AVX-512") {
  CHECK(bf16_support(c10::Device(c10::kCUDA, 0)) == Bf16Support::kCuda);
  const Bf16Support here = bf16_support(c10::kCPU);
  CHECK(here != Bf16Support::kCuda);
  if (here != Bf16Support::kNone) CHECK(__builtin_cpu_supports("avx512f"));
}
