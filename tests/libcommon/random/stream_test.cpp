#include "random/stream.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/expect_error.h"

using namespace fettle;

TEST_CASE("random: filling gives what as many single draws give, from any place") {
  for (const size_t before : {0, 1, 3, 4, 7}) {
    for (const size_t count : {0, 1, 4, 31, 32, 33, 36, 100, 1000}) {
      RandomStream filled(5, "fill", 2, 9), single(5, "fill", 2, 9);
      for (size_t i = 0; i < before; ++i) CHECK(filled.next_u32() == single.next_u32());
      std::vector<uint32_t> values(count), expected(count);
      filled.fill(values);
      for (uint32_t& value : expected) value = single.next_u32();
      INFO(before << " before, " << count);
      CHECK(values == expected);
      CHECK(filled.next_u64() == single.next_u64());
    }
  }
}

TEST_CASE("random: Philox4x32-10 gives the published vectors") {
  // kat_vectors of the Random123 distribution (Salmon et al. 2011).
  using Block = std::array<uint32_t, 4>;
  CHECK(philox4x32_10({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32_10({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random: a stream is a function of its name alone") {
  RandomStream a(7, "crop", 3, 11);
  RandomStream b(7, "crop", 3, 11);
  b.next_u64();
  for (int i = 0; i < 100; ++i) b.normal();
  RandomStream c(7, "crop", 3, 11);
  for (int i = 0; i < 9; ++i) CHECK(a.next_u32() == c.next_u32());

  const uint64_t here = RandomStream(7, "crop", 3, 11).next_u64();
  CHECK(here != RandomStream(8, "crop", 3, 11).next_u64());
  CHECK(here != RandomStream(7, "flip", 3, 11).next_u64());
  CHECK(here != RandomStream(7, "crop", 4, 11).next_u64());
  CHECK(here != RandomStream(7, "crop", 3, 12).next_u64());
  CHECK(here != RandomStream(7, "crop", 3, (int64_t{1} << 32) + 11).next_u64());
}

TEST_CASE("random: the first values of a stream never change") {
  // Recorded from this implementation: artifacts name their seed and count on these.
  RandomStream stream(1, "crop", 2, 3);
  const std::vector<uint64_t> first{stream.next_u64(), stream.next_u64(), stream.next_u64()};
  CHECK(first == std::vector<uint64_t>{2427596921986177654u, 4197474645092665413u, 5503307465708923961u});
  CHECK(RandomStream(1, "shuffle").below(1000) == 868);
}

TEST_CASE("random: below is uniform, also where n does not divide 2^64") {
  RandomStream stream(5, "test");
  std::vector<int> counts(7);
  constexpr int draws = 70'000;
  for (int i = 0; i < draws; ++i) ++counts[static_cast<size_t>(stream.below(7))];
  double chi_square = 0;
  for (const int count : counts) chi_square += std::pow(count - draws / 7.0, 2) / (draws / 7.0);
  CHECK(chi_square < 22.46);  // 6 degrees of freedom, 0.1 %
  CHECK(RandomStream(1, "test").below(1) == 0);
  test::expect_error(ExitCode::kBug, "below(0)", [&] { stream.below(0); });
}

TEST_CASE("random: uniform and normal have their moments") {
  RandomStream stream(9, "test");
  constexpr int draws = 100'000;
  double sum = 0, normal_sum = 0, normal_squares = 0, lowest = 1, highest = 0;
  for (int i = 0; i < draws; ++i) {
    const double u = stream.uniform();
    sum += u;
    lowest = std::min(lowest, u);
    highest = std::max(highest, u);
    const double z = stream.normal();
    normal_sum += z;
    normal_squares += z * z;
  }
  CHECK(lowest >= 0);
  CHECK(highest < 1);
  // Four standard deviations each.
  CHECK(std::abs(sum / draws - 0.5) < 4 * std::sqrt(1.0 / 12 / draws));
  CHECK(std::abs(normal_sum / draws) < 4 / std::sqrt(double{draws}));
  CHECK(std::abs(normal_squares / draws - 1) < 4 * std::sqrt(2.0 / draws));
}

TEST_CASE("random: shuffle permutes") {
  std::vector<int> values(1000);
  std::iota(values.begin(), values.end(), 0);
  std::vector<int> shuffled = values;
  RandomStream(3, "shuffle").shuffle(shuffled);
  CHECK(shuffled != values);
  std::sort(shuffled.begin(), shuffled.end());
  CHECK(shuffled == values);
}
