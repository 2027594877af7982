// Every byte through a table: by hand, at the ends of vectors, in place, and what is refused.
#include <catch2/catch.hpp>

#include <vector>

#include "kernels/byte_map/byte_map.h"
#include "kernels/byte_map/byte_map_variants.h"

using namespace fettle::kernels;

namespace {

std::vector<Isa> instruction_sets() {
  std::vector<Isa> sets;
  for (const Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512}) {
    if (isa <= cpu_isa()) sets.push_back(isa);
  }
  return sets;
}

std::vector<uint8_t> some_table() {
  std::vector<uint8_t> table(256);
  for (size_t i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(i * i * 3 + i / 2 + 17);
  return table;
}

}  // namespace

TEST_CASE("byte_map: every instruction set takes every entry, at sizes about a vector's, in place and apart") {
  const std::vector<uint8_t> table = some_table();
  for (const Isa isa : instruction_sets()) {
    for (const int64_t count : {0, 1, 31, 32, 33, 63, 64, 65, 127, 128, 129, 256, 1000}) {
      INFO(isa_name(isa) << ", " << count);
      // Exactly as long as they are said to be, so that the address sanitizer sees a byte too many.
      std::vector<uint8_t> in(static_cast<size_t>(count)), expected(in), out(in.size(), 0xAA);
      for (size_t i = 0; i < in.size(); ++i) {
        in[i] = static_cast<uint8_t>(i * 37 + 5);
        expected[i] = table[in[i]];
      }
      REQUIRE(byte_map_with({in.data(), table.data(), out.data(), count}, isa) == Status::kOk);
      CHECK(out == expected);
      REQUIRE(byte_map_with({in.data(), table.data(), in.data(), count}, isa) == Status::kOk);
      CHECK(in == expected);
    }
  }
}

TEST_CASE("byte_map: what it cannot do is refused") {
  std::vector<uint8_t> bytes(600);
  const uint8_t* const table = bytes.data();
  uint8_t* const data = bytes.data() + 256;
  CHECK(byte_map({data, table, data, -1}) == Status::kBadSize);
  CHECK(byte_map({nullptr, nullptr, nullptr, 0}) == Status::kOk);
  CHECK(byte_map({nullptr, table, data, 1}) == Status::kNullPointer);
  CHECK(byte_map({data, nullptr, data, 1}) == Status::kNullPointer);
  CHECK(byte_map({data, table, nullptr, 1}) == Status::kNullPointer);
  CHECK(byte_map({data, table, data + 1, 2}) == Status::kOverlap);
  CHECK(byte_map({data + 1, table, data, 2}) == Status::kOverlap);
  CHECK(byte_map({data, table, data + 2, 2}) == Status::kOk);
  CHECK(byte_map({data, data, data, 1}) == Status::kOverlap);
}
