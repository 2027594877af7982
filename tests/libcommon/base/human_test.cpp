#include "base/human.h"

#include <catch2/catch.hpp>

#include <limits>

using namespace fettle;

TEST_CASE("human: bytes keep three digits and the binary unit") {
  CHECK(human_bytes(0) == "0 B");
  CHECK(human_bytes(1023) == "1023 B");
  CHECK(human_bytes(1024) == "1.00 KiB");
  CHECK(human_bytes(1536) == "1.50 KiB");
  CHECK(human_bytes(40ull << 20) == "40.0 MiB");
  CHECK(human_bytes(std::numeric_limits<uint64_t>::max()) == "16384 PiB");
}

TEST_CASE("human: durations change unit and never show 60 s") {
  CHECK(human_duration(0.421) == "0.42 s");
  CHECK(human_duration(12.34) == "12.3 s");
  CHECK(human_duration(59.96) == "1 min 00 s");
  CHECK(human_duration(185) == "3 min 05 s");
  CHECK(human_duration(7620) == "2 h 07 min");
  CHECK(human_duration(4 * 86400 - 72000) == "3 d 04 h");
  CHECK(human_duration(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("human: counts and thousands") {
  CHECK(human_count(950) == "950");
  CHECK(human_count(41.55e6) == "41.5 M");
  CHECK(human_count(1.814e9) == "1.81 G");
  CHECK(with_thousands(60000) == "60,000");
  CHECK(with_thousands(-1234567) == "-1,234,567");
  CHECK(with_thousands(std::numeric_limits<int64_t>::min()) == "-9,223,372,036,854,775,808");
}
