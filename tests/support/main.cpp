// The main of a test executable that has none of its own.
#include "tests/support/runner.h"

int main(int argc, char** argv) { return fettle::test::run_tests(argc, argv); }
