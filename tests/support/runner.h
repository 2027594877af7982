#pragma once
// Catch2's runner, compiled once for every test executable.

namespace fettle::test {

int run_tests(int argc, char** argv);  // -> the exit code; prints how many cases were skipped, if any

}  // namespace fettle::test
