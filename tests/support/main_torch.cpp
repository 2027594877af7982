// The main of a LibTorch test: opens the CUDA modules where a driver is present, before the first tensor operation, and
// says where the tests run.
#include <cstdio>

#include "base/errors.h"
#include "device/device.h"
#include "tests/support/runner.h"

int main(int argc, char** argv) {
  try {
    std::printf("device: %s\n", fettle::start({}).why.c_str());
  } catch (const fettle::Error& error) {
    std::fprintf(stderr, "error: %s\n%s\n", error.what(), error.hint().c_str());
    return static_cast<int>(error.code());
  }
  return fettle::test::run_tests(argc, argv);
}
