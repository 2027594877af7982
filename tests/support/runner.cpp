// Catch2's runner, plus a count of the cases that a missing device, data set or library made us skip.
#define CATCH_CONFIG_RUNNER
#include "tests/support/runner.h"

#include <catch2/catch.hpp>

#include <cstdio>

#include "tests/support/skip.h"

namespace fettle::test {

int run_tests(int argc, char** argv) {
  const int status = Catch::Session().run(argc, argv);
  if (skipped_cases() > 0) std::printf("skipped cases: %d\n", skipped_cases());
  return status;
}

}  // namespace fettle::test
