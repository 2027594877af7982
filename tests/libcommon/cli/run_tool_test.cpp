#include "cli/run_tool.h"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <new>

#include "cli/help.h"
#include "io/file.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {

struct Options {
  std::string data = "d";
  int64_t epochs = 2;
  std::string fault;
  std::string arch = "a";
  std::string arch_options;
};
void bind(FlagTable& table, Options& o) {
  table.flag("data", o.data, "input data").metavar("DIR").input("data").common();
  table.flag("epochs", o.epochs, "passes").range(1, 100).unit("epochs");
  table.flag("fault", o.fault, "how to fail").not_recorded();
  table.flag("arch", o.arch, "a or b").listing([] { return "a  small\nb  large\n"; });
  table.flag("arch-options", o.arch_options, "more of it").json_object();
}
void validate(const Options& o) { FT_REQUIRE_USAGE(o.data != "nowhere", "--data: nowhere"); }

Report work(const Options& o, RunContext& context) {
  if (o.fault == "input") FT_FAIL(ExitCode::kInput, "d/labels: truncated");
  if (o.fault == "memory") throw std::bad_alloc();
  if (o.fault == "bug") throw std::logic_error("index 3 of 2");
  Report report;
  report.metrics = {{"val_top1_percent", 80.0}, {"seed", static_cast<double>(context.seed())}};
  if (context.output == nullptr) return report;
  context.output->open(context.record);
  context.inputs = {{"data", "../d", "sha256:" + std::string(64, '0')}};
  Manifest manifest = context.manifest("test");
  manifest.metrics = report.metrics;
  write_manifest(context.output->path(), manifest, {});
  report.artifact = context.output->path();
  return report;
}

struct Outcome {
  int code;
  std::string out, err;
};

// Runs the tool with both streams caught.
Outcome tool(std::vector<std::string> arguments) {
  const test::TempDir dir;
  const ToolInfo info{.name = "a-tool", .summary = "Works.", .description = "Works hard.", .examples = {"a-tool --data d --out o"}, .makes_artifact = true, .computes = true};
  arguments.insert(arguments.begin(), "a-tool");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::fflush(stdout);
  std::fflush(stderr);
  const int saved[2] = {dup(1), dup(2)};
  const int caught[2] = {open((dir / "out").c_str(), O_RDWR | O_CREAT, 0600), open((dir / "err").c_str(), O_RDWR | O_CREAT, 0600)};
  dup2(caught[0], 1);
  dup2(caught[1], 2);
  const int code = run_tool<Options>(static_cast<int>(argv.size()), argv.data(), info, {}, work);
  std::fflush(stdout);
  std::fflush(stderr);
  for (int i = 0; i < 2; ++i) {
    dup2(saved[i], i + 1);
    close(saved[i]);
    close(caught[i]);
  }
  return {code, test::read_text(dir / "out"), test::read_text(dir / "err")};
}

}  // namespace

TEST_CASE("run_tool: stdout carries the artifact's path alone, or one JSON object") {
  const test::TempDir dir;
  const Outcome plain = tool({"--out", (dir / "run").string(), "--seed", "3"});
  CHECK(plain.code == 0);
  CHECK(plain.out == (dir / "run").string() + "\n");
  CHECK(plain.err.empty());
  const Outcome json = tool({"--out", (dir / "run").string(), "--seed", "3", "--resume", "--json"});
  CHECK(json.code == 0);
  const Json object = Json::parse(json.out);
  CHECK(object["tool"] == "a-tool");
  CHECK(object["artifact"] == (dir / "run").string());
  CHECK(object["metrics"]["val_top1_percent"] == 80.0);
}

TEST_CASE("run_tool: a path that is no UTF-8 is refused before the work") {
  const test::TempDir dir;
  const Outcome outcome = tool({"--out", (dir / "r\xffn").string(), "--seed", "3", "--json"});
  CHECK(outcome.code == 2);
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("run_tool: a finished run resumed is left as it is, whatever was drawn") {
  const test::TempDir dir;
  const std::string out = (dir / "run").string();
  CHECK(tool({"--out", out}).code == 0);
  const std::string before = test::read_text(dir / "run/manifest.json");
  const Outcome again = tool({"--out", out, "--resume"});
  CHECK(again.code == 0);
  CHECK(again.out == out + "\n");
  CHECK(test::read_text(dir / "run/manifest.json") == before);
  CHECK(Json::parse(before)["drawn"] == Json({"seed"}));

  // A run started with options of its own is resumed with those: --out is enough.
  const std::string second = (dir / "second").string();
  CHECK(tool({"--out", second, "--epochs", "7", "--seed", "4"}).code == 0);
  CHECK(tool({"--out", second, "--resume"}).code == 0);
  CHECK(tool({"--out", second, "--resume", "--seed", "5"}).code == 2);

  const Outcome other = tool({"--out", out, "--resume", "--epochs", "5"});
  CHECK(other.code == 2);
  CHECK_THAT(other.err, Catch::Contains("epochs was 2, now 5"));
  CHECK(tool({"--out", out}).code == 2);
  CHECK(tool({"--out", out, "--overwrite"}).code == 0);
}

TEST_CASE("run_tool: exceptions become exit codes and at most four lines") {
  const test::TempDir dir;
  const auto fault = [&](const std::string& kind) { return tool({"--out", (dir / "run").string(), "--fault", kind}); };
  CHECK(fault("input").code == 3);
  CHECK(fault("input").err == "error: d/labels: truncated\n");
  CHECK(fault("memory").code == 4);
  CHECK(fault("bug").code == 70);
  const std::string bug = fault("bug").err;
  CHECK(std::count(bug.begin(), bug.end(), '\n') <= 4);
  CHECK_FALSE(fs::exists(dir / "run"));
}

TEST_CASE("run_tool: --require decides the code, and its metric must exist") {
  const test::TempDir dir;
  const auto with = [&](const std::string& condition) { return tool({"--out", (dir / "run").string(), "--overwrite", "--require", condition}); };
  CHECK(with("val_top1_percent>=80").code == 0);
  const Outcome missed = with("val_top1_percent>80");
  CHECK(missed.code == 1);
  CHECK(missed.out == (dir / "run").string() + "\n");
  CHECK_THAT(missed.err, Catch::Contains("required val_top1_percent>80, but val_top1_percent is 80"));
  CHECK(with("val_top5_percent>=80").code == 2);
  CHECK(with("val_top1_percent=80").code == 2);
  CHECK(with("nonsense").code == 2);
}

TEST_CASE("run_tool: requirements are parsed strictly") {
  CHECK(parse_requirement("a<=1.5").holds(1.5));
  CHECK_FALSE(parse_requirement("a<1.5").holds(1.5));
  CHECK(parse_requirement("a==2").holds(2));
  for (const char* wrong : {"a", ">=3", "a>=", "a>=x", "a=3", "a>=1e999"}) expect_error(ExitCode::kUsage, "--require", [&] { parse_requirement(wrong); });
}

TEST_CASE("run_tool: configuration files and replay of a manifest") {
  const test::TempDir dir;
  test::write_text(dir / "c.json", R"({"epochs": 7, "seed": 5})");
  CHECK(tool({"--config", (dir / "c.json").string(), "--out", (dir / "a").string()}).code == 0);
  const Json first = Json::parse(test::read_text(dir / "a/manifest.json"));
  CHECK(first["options"]["epochs"] == 7);
  CHECK(first["options"]["seed"] == 5);
  CHECK(first["drawn"].empty());

  CHECK(tool({"--config", (dir / "a/manifest.json").string(), "--out", (dir / "b").string()}).code == 0);
  CHECK(manifest_id(read_manifest(dir / "b")) == manifest_id(read_manifest(dir / "a")));

  const Outcome printed = tool({"--config", (dir / "a/manifest.json").string(), "--print-config"});
  CHECK(printed.code == 0);
  CHECK(Json::parse(printed.out)["data"] == (dir / "d").string());

  test::write_text(dir / "bad.json", R"({"epoch": 7})");
  const Outcome bad = tool({"--config", (dir / "bad.json").string(), "--out", (dir / "c").string()});
  CHECK(bad.code == 2);
  CHECK_THAT(bad.err, Catch::Contains("'epoch'") && Catch::Contains("nearest known key is 'epochs'"));
  CHECK(tool({"--config", (dir / "absent.json").string(), "--out", (dir / "c").string()}).code == 3);
}

TEST_CASE("run_tool: help, version and completion need no valid command line") {
  for (const char* flag : {"-h", "--help"}) {
    const Outcome help = tool({flag, "--epochs", "x"});
    CHECK(help.code == 0);
    CHECK_THAT(help.out, Catch::Contains("a-tool --data d --out o"));
  }
  CHECK_THAT(tool({"--help"}).out, Catch::Contains("--epochs N") && Catch::Contains("[2 epochs]"));
  CHECK_THAT(tool({"-h"}).out, !Catch::Contains("--epochs"));
  CHECK(Json::parse(tool({"--version", "--json"}).out)["tool"] == "a-tool");
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome completion = tool({"--completion", shell});
    CHECK(completion.code == 0);
    CHECK_THAT(completion.out, Catch::Contains("epochs"));
  }
  CHECK(tool({"--completion", "tcsh"}).code == 2);
}

TEST_CASE("run_tool: --out is needed, and checked before the work") {
  CHECK(tool({}).code == 2);
  CHECK(tool({"--out", "/proc/nope/run"}).code != 0);
  CHECK(tool({"--out", "x", "--resume", "--overwrite"}).code == 2);
  CHECK(tool({"--dry-run"}).code == 0);
  CHECK(tool({"--data", "nowhere", "--dry-run"}).code == 2);
}

TEST_CASE("run_tool: a flag's help lists its values, whatever else is missing") {
  const Outcome listed = tool({"--arch", "help"});
  CHECK(listed.code == 0);
  CHECK(listed.out == "a  small\nb  large\n");
  CHECK(listed.err.empty());
}

TEST_CASE("run_tool: an object is given as text or as a file, and its contents are recorded") {
  const test::TempDir here;
  write_file_atomic(here / "wide.json", "{ \"width\" : 2 }\n");
  write_file_atomic(here / "list.json", "[2]\n");
  const auto run = [&](const std::string& value, const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--arch-options", value, "--seed", "1", "--out", (here / name).string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return tool(arguments);
  };
  CHECK(run("{\"width\":2}", "text").code == 0);
  CHECK(run((here / "wide.json").string(), "file").code == 0);
  CHECK(read_manifest(here / "text").options.at("arch_options") == "{\"width\":2}");
  CHECK(manifest_id(read_manifest(here / "text")) == manifest_id(read_manifest(here / "file")));
  CHECK(run((here / "wide.json").string(), "text", {"--resume"}).code == 0);
  CHECK(run("[2]", "x").code == 2);
  CHECK(run("{\"width\":", "x").code == 2);
  CHECK(run("wide", "x").code == 2);
  CHECK(run((here / "list.json").string(), "x").code == 3);
  CHECK(run((here / "none.json").string(), "x").code == 3);
}
