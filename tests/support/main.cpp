// The tests' main: Catch2's, plus a count of the cases that a missing device, data set or library made us skip.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdio>

#include "tests/support/skip.h"

int main(int argc, char** argv) {
  const int status = Catch::Session().run(argc, argv);
  if (fettle::test::skipped_cases() > 0) std::printf("skipped cases: %d\n", fettle::test::skipped_cases());
  return status;
}
