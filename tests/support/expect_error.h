#pragma once
// expect_error(ExitCode::kInput, "magic", [&] { read(...); }): the call must throw an Error with this code whose text
// holds this part.

#include <catch2/catch.hpp>

#include <functional>
#include <string>

#include "base/errors.h"

namespace fettle::test {

inline void expect_error(ExitCode code, const std::string& part, const std::function<void()>& call) {
  bool threw = false;
  try {
    call();
  } catch (const Error& error) {
    threw = true;
    INFO("message: " << error.what() << " hint: " << error.hint());
    CHECK(static_cast<int>(error.code()) == static_cast<int>(code));
    CHECK_THAT(std::string(error.what()) + "\n" + error.hint(), Catch::Contains(part));
  }
  INFO("expected an error that says: " << part);
  CHECK(threw);
}

}  // namespace fettle::test
