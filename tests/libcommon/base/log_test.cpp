#include "base/log.h"

#include <catch2/catch.hpp>

#include "tests/support/temp_dir.h"

using namespace fettle;

namespace {
std::string logged(LogLevel level, bool terminal, const std::function<void(Log&)>& calls) {
  const test::TempDir dir;
  std::FILE* file = std::fopen((dir / "log").c_str(), "w");
  Log log(file, level, terminal, false);
  calls(log);
  std::fclose(file);
  return test::read_text(dir / "log");
}
}  // namespace

TEST_CASE("log: levels decide what is shown; errors and notices always are") {
  const auto all = [](Log& log) {
    log.error("e");
    log.notice("n");
    log.warn("w");
    log.info("i");
    log.debug("d");
  };
  CHECK(logged(LogLevel::kQuiet, false, all) == "error: e\nn\n");
  CHECK(logged(LogLevel::kNormal, false, all) == "error: e\nn\nwarning: w\ni\n");
  CHECK(logged(LogLevel::kVerbose, false, all) == "error: e\nn\nwarning: w\ni\nd\n");
}

TEST_CASE("log: a message clears a redrawn line first; elsewhere a status is a plain line") {
  const auto calls = [](Log& log) {
    log.status_line("50 %");
    log.info("saved");
  };
  CHECK(logged(LogLevel::kNormal, true, calls) == "50 %\r\033[Ksaved\n");
  CHECK(logged(LogLevel::kNormal, false, calls) == "50 %\nsaved\n");
  CHECK(logged(LogLevel::kQuiet, false, calls).empty());
}
