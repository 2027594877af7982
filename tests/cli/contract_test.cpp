// What every executable of Fettle keeps to, whatever it does. FETTLE_TOOL names the executable.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/cli/samples.h"
#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using Catch::Contains;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

fs::path executable() {
  const char* path = std::getenv("FETTLE_TOOL");
  if (path == nullptr || *path == '\0') throw std::runtime_error("FETTLE_TOOL should name an executable");
  return path;
}
std::string name() { return executable().filename().string(); }

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Works in a directory of its own, so that what a tool writes by a relative name is seen as well.
struct Bench {
  test::TempDir dir;
  test::Sample sample = test::sample_of(name(), dir.path());

  test::ProcessResult run(const Words& arguments) const {
    return test::run_process(Words{executable().string()} + arguments, {}, dir.path());
  }

  std::map<std::string, std::pair<int64_t, fs::file_time_type>> listing() const {
    std::map<std::string, std::pair<int64_t, fs::file_time_type>> files;
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
      files[entry.path().string()] = {entry.is_regular_file() ? static_cast<int64_t>(entry.file_size()) : -1, entry.last_write_time()};
    }
    return files;
  }

  // A failed command: its code, nothing on stdout, one to four lines on stderr, nothing written.
  std::string refused(int code, const Words& arguments) const {
    const auto before = listing();
    const test::ProcessResult result = run(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument + " ";
    INFO(line << "\n" << result.err);
    CHECK(result.code == code);
    CHECK(result.out.empty());
    const auto lines = std::count(result.err.begin(), result.err.end(), '\n');
    CHECK((lines >= 1 && lines <= 4));
    CHECK(listing() == before);
    return result.err;
  }
};

bool has_flag(const std::string& help, const std::string& flag) {
  for (size_t at = help.find(flag); at != std::string::npos; at = help.find(flag, at + 1)) {
    const char after = help[at + flag.size()];
    if (after == ' ' || after == '\n') return true;
  }
  return false;
}

}  // namespace

TEST_CASE("cli: help is on stdout, the short one is shorter, both show a command to type") {
  const Bench bench;
  const test::ProcessResult full = bench.run({"--help"}), brief = bench.run({"-h"});
  for (const test::ProcessResult& help : {full, brief}) {
    CHECK(help.code == 0);
    CHECK(help.err.empty());
    CHECK_THAT(help.out, Contains("usage: " + name()) && Contains("example:\n  " + name() + " "));
  }
  CHECK(full.out.size() > brief.out.size());
  for (const char* flag :
       {"--config", "--print-config", "--require", "--json", "--quiet", "--verbose", "--completion", "--version", "--help"}) {
    INFO(flag);
    CHECK(has_flag(full.out, flag));
  }
}

TEST_CASE("cli: the version, for people and as JSON") {
  const Bench bench;
  const test::ProcessResult plain = bench.run({"--version"});
  CHECK(plain.code == 0);
  CHECK_THAT(plain.out, Catch::StartsWith(name() + " "));
  const test::ProcessResult json = bench.run({"--version", "--json"});
  CHECK(json.code == 0);
  const Json object = Json::parse(json.out);
  CHECK(object.at("tool") == name());
  for (const char* key : {"version", "git", "dirty"}) CHECK(object.contains(key));
}

TEST_CASE("cli: completion for each shell, which the shell can read") {
  const Bench bench;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    INFO(shell);
    const test::ProcessResult script = bench.run({"--completion", shell});
    CHECK(script.code == 0);
    CHECK_THAT(script.out, Contains(name()) && Contains("print-config"));
    test::write_text(bench.dir / "completion", script.out);
    if (test::run_process({"/bin/sh", "-c", "command -v " + shell}).code != 0) {
      test::skip("no " + shell + " to read its completion");
      continue;
    }
    const test::ProcessResult read = test::run_process({shell, "-n", (bench.dir / "completion").string()});
    INFO(read.err);
    CHECK(read.code == 0);
  }
  bench.refused(2, {"--completion", "tcsh"});
}

TEST_CASE("cli: wrong usage is code 2 and touches nothing") {
  const Bench bench;
  bench.refused(2, {});
  CHECK_THAT(bench.refused(2, bench.sample.positionals + bench.sample.flags + Words{"--no-such-flag"}), Contains("--no-such-flag"));
  CHECK_THAT(bench.refused(2, bench.sample.positionals + bench.sample.flags + Words{"--verbos"}), Contains("--verbose"));
  CHECK_THAT(bench.refused(2, bench.sample.positionals + bench.sample.flags + Words{"--config", "a", "--config", "b"}),
             Contains("--config"));
  CHECK_THAT(bench.refused(2, bench.sample.positionals + bench.sample.flags + Words{"--require", "nonsense"}), Contains("nonsense"));
  bench.refused(2, bench.sample.positionals + bench.sample.flags + Words{"--config"});
}

TEST_CASE("cli: an input that is not there is code 3 and named") {
  const Bench bench;
  CHECK_THAT(bench.refused(3, bench.sample.missing), Contains("absent"));
  CHECK_THAT(bench.refused(3, bench.sample.positionals + bench.sample.flags + Words{"--config", "absent.json"}), Contains("absent.json"));
}

TEST_CASE("cli: the printed configuration is accepted again, and its keys are the flags") {
  const Bench bench;
  const std::string help = bench.run({"--help"}).out;
  const auto before = bench.listing();
  const test::ProcessResult printed = bench.run(bench.sample.positionals + bench.sample.flags + Words{"--print-config"});
  INFO(printed.err);
  CHECK(printed.code == 0);
  CHECK(bench.listing() == before);
  const Json config = Json::parse(printed.out);
  REQUIRE(config.is_object());
  for (const auto& [key, value] : config.items()) {
    std::string flag = "--" + key;
    INFO(flag);
    CHECK(key.find('-') == std::string::npos);
    std::replace(flag.begin() + 2, flag.end(), '_', '-');
    CHECK(has_flag(help, flag));
  }

  test::write_text(bench.dir / "c.json", printed.out);
  const test::ProcessResult again = bench.run(bench.sample.positionals + Words{"--config", "c.json", "--print-config"});
  INFO(again.err);
  CHECK(again.code == 0);
  CHECK(again.out == printed.out);

  Json wrong = config;
  wrong["no_such_key"] = 1;
  test::write_text(bench.dir / "c.json", wrong.dump());
  CHECK_THAT(bench.refused(2, bench.sample.positionals + bench.sample.flags + Words{"--config", "c.json"}), Contains("'no_such_key'"));
  test::write_text(bench.dir / "c.json", "{");
  CHECK_THAT(bench.refused(3, bench.sample.positionals + bench.sample.flags + Words{"--config", "c.json"}), Contains("c.json"));
}

TEST_CASE("cli: a run answers --json with one object; where there is --dry-run it writes nothing") {
  const Bench bench;
  Words command = bench.sample.positionals + bench.sample.flags + Words{"--json"};
  if (has_flag(bench.run({"--help"}).out, "--dry-run")) command.push_back("--dry-run");
  const auto before = bench.listing();
  const test::ProcessResult result = bench.run(command);
  INFO(result.err);
  CHECK(result.code == 0);
  CHECK(bench.listing() == before);
  const Json object = Json::parse(result.out);
  CHECK(object.at("tool") == name());
  CHECK(object.at("exit_code") == 0);
  CHECK(std::count(result.out.begin(), result.out.end(), '\n') == 1);
}
