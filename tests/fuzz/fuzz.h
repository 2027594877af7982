#pragma once
// What all fuzz targets ask of a reader: it takes the bytes or says what is wrong with them. A bug's Error, any other
// exception, a crash, a leak, or memory beyond libFuzzer's -rss_limit_mb is a finding.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "base/errors.h"

namespace fettle::fuzz {

template <class Read>
int expect_answer(const uint8_t* data, size_t size, Read read) {
  try {
    read(std::span<const uint8_t>(data, size));
  } catch (const Error& error) {
    if (error.code() != ExitCode::kInput) {
      std::fprintf(stderr, "exit code %d: %s\n", static_cast<int>(error.code()), error.what());
      std::abort();
    }
  }
  return 0;
}

// For what a reader promises of the input that it took.
inline void demand(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace fettle::fuzz
