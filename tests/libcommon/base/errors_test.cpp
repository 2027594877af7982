#include "base/errors.h"

#include <catch2/catch.hpp>

#include <cerrno>

#include "tests/support/expect_error.h"

using namespace fettle;
using fettle::test::expect_error;

TEST_CASE("errors: the two macros are told apart by their exit code") {
  expect_error(ExitCode::kInput, "expected 3 values, found 4", [] { FT_REQUIRE(false, "expected {} values, found {}", 3, 4); });
  expect_error(ExitCode::kUsage, "batch_size", [] { FT_REQUIRE_USAGE(false, "batch_size"); });
  expect_error(ExitCode::kBug, "errors_test.cpp", [] { FT_CHECK(1 + 1 == 3); });
  expect_error(ExitCode::kBug, "1 + 1 == 3 does not hold: sums 2", [] { FT_CHECK(1 + 1 == 3, "sums {}", 2); });
}

TEST_CASE("errors: a missing file is the user's input, a full disk the machine") {
  expect_error(ExitCode::kInput, "cannot open 'x': No such file", [] { throw_errno(ENOENT, "open 'x'"); });
  expect_error(ExitCode::kInput, "File name too long", [] { throw_errno(ENAMETOOLONG, "open 'x'"); });
  expect_error(ExitCode::kMachine, "No space left", [] { throw_errno(ENOSPC, "write 'x'"); });
}
