#include "tests/support/skip.h"

#include <catch2/catch.hpp>

#include <cstdio>

namespace fettle::test {
namespace {
int count = 0;
}

void skip(std::string_view reason) {
  ++count;
  std::printf("skipped: %s: %.*s\n", Catch::getResultCapture().getCurrentTestName().c_str(), static_cast<int>(reason.size()), reason.data());
}

int skipped_cases() { return count; }

}  // namespace fettle::test
