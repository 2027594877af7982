#pragma once
// The main() of benchmarks that take a fixed list of arguments.

#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string_view>

namespace fettle {

// Calls run(argv) when there are as many arguments as `arguments` ("ARCH SIZE STEPS") has words. 0 done; 2 usage; 70 an exception.
inline int bench_main(int argc, char** argv, std::string_view arguments, void (*run)(char** argv)) {
  int expected = 1;
  for (const char c : arguments) expected += c == ' ';
  if (argc - 1 != expected) {
    fmt::print(stderr, "usage: {} {}\n", argv[0], arguments);
    return 2;
  }
  try {
    run(argv);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\n", error.what());
    return 70;
  }
}

}  // namespace fettle
