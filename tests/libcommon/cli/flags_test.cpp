#include "cli/flags.h"

#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"

using namespace fettle;
using fettle::test::expect_error;

namespace {

struct Options {
  bool nesterov = true, verbose = false;
  int64_t batch_size = 128;
  double lr = 0.1;
  std::string sampler = "msc-vbs", data;
  std::optional<int64_t> seed;
  std::vector<int64_t> eval_sizes;
  std::vector<std::string> require;
};

FlagTable table_for(Options& o) {
  FlagTable table;
  table.flag("nesterov", o.nesterov, "Nesterov momentum");
  table.flag("verbose", o.verbose, "more").short_name('v').not_recorded();
  table.flag("batch-size", o.batch_size, "samples a step").range(1, 1e6);
  table.flag("lr", o.lr, "learning rate").above(0);
  table.flag("sampler", o.sampler, "sampler").choices({"ssc-fbs", "msc-fbs", "msc-vbs"});
  table.flag("data", o.data, "data").input("data");
  table.flag("seed", o.seed, "seed");
  table.flag("eval-sizes", o.eval_sizes, "sizes").range(1, 1000);
  table.flag("require", o.require, "condition").not_recorded();
  return table;
}

Options parsed(std::vector<const char*> arguments) {
  Options options;
  FlagTable table = table_for(options);
  arguments.insert(arguments.begin(), "tool");
  table.parse(static_cast<int>(arguments.size()), arguments.data());
  table.apply_command_line();
  return options;
}

void configure(const std::string& json) {
  Options options;
  FlagTable table = table_for(options);
  table.apply_config(Json::parse(json), "c.json");
}

}  // namespace

TEST_CASE("flags: values of every type") {
  const Options o = parsed({"--no-nesterov", "-v", "--batch-size=64", "--lr", "3e-4", "--sampler", "ssc-fbs", "--data", "d", "--seed", "7", "--eval-sizes",
                            "16,20", "--require", "a>=1", "--require", "b<2"});
  CHECK_FALSE(o.nesterov);
  CHECK(o.verbose);
  CHECK(o.batch_size == 64);
  CHECK(o.lr == 3e-4);
  CHECK(o.sampler == "ssc-fbs");
  CHECK(o.data == "d");
  CHECK(o.seed == 7);
  CHECK(o.eval_sizes == std::vector<int64_t>{16, 20});
  CHECK(o.require == std::vector<std::string>{"a>=1", "b<2"});
}

TEST_CASE("flags: what is not given keeps the struct's default") {
  const Options o = parsed({});
  CHECK(o.nesterov);
  CHECK(o.batch_size == 128);
  CHECK_FALSE(o.seed.has_value());
}

TEST_CASE("flags: errors name the flag, what is expected and what was found") {
  const auto refused = [](const std::string& part, std::vector<const char*> arguments) {
    expect_error(ExitCode::kUsage, part, [&] { parsed(arguments); });
  };
  refused("--batch-size: expected a whole number >= 1 and <= 1000000, found 0", {"--batch-size", "0"});
  refused("--batch-size: expected a whole number >= 1 and <= 1000000, found '12x'", {"--batch-size", "12x"});
  refused("--batch-size: expected a whole number >= 1 and <= 1000000, found '1.5'", {"--batch-size", "1.5"});
  refused("found '99999999999999999999'", {"--seed", "99999999999999999999"});
  refused("--lr: expected a number > 0, found 0", {"--lr", "0"});
  refused("--lr: expected a number > 0, found 'nan'", {"--lr", "nan"});
  refused("--lr: expected a number > 0, found -1", {"--lr", "-1"});
  refused("--sampler: expected one of: ssc-fbs, msc-fbs, msc-vbs, found 'msc-vb' (did you mean 'msc-vbs'?)", {"--sampler", "msc-vb"});
  refused("--lr takes one value, but was given 2: 0.1 and 0.2", {"--lr", "0.1", "--lr", "0.2"});
  refused("unknown flag --bath-size", {"--bath-size", "3"});
  refused("did you mean --batch-size?", {"--bath-size=3"});
  refused("unexpected argument 'extra'", {"extra"});
  refused("--lr", {"--lr"});
  refused("--eval-sizes", {"--eval-sizes", "16,,20"});
  refused("found 0", {"--eval-sizes", "16,0"});
  refused("--data: expected text in UTF-8, found 'd", {"--data", "d\xff"});
}

TEST_CASE("flags: a configuration is checked like the command line and names the key") {
  const auto refused = [](const std::string& part, const std::string& json) {
    expect_error(ExitCode::kUsage, part, [&] { configure(json); });
  };
  refused("c.json: unknown key 'batchsize'; the nearest known key is 'batch_size'", R"({"batchsize": 3})");
  refused("'batch_size' in c.json: expected a whole number >= 1 and <= 1000000, found \"many\"", R"({"batch_size": "many"})");
  refused("'batch_size' in c.json: expected a whole number >= 1 and <= 1000000, found 0", R"({"batch_size": 0})");
  refused("'batch_size' in c.json: expected a whole number >= 1 and <= 1000000, found 1.5", R"({"batch_size": 1.5})");
  refused("'nesterov' in c.json: expected true or false, found 1", R"({"nesterov": 1})");
  refused("'eval_sizes' in c.json: expected a list", R"({"eval_sizes": 16})");
  refused("unknown key 'verbose'", R"({"verbose": true})");  // not part of a run's options
  refused("expected a JSON object", "[]");
  refused("found null", R"({"lr": null})");
  Options options;
  FlagTable table = table_for(options);
  table.apply_config(Json::parse(R"({"batch_size": 64.0, "seed": null, "eval_sizes": [16], "data": "d"})"), "c.json");
  CHECK(options.batch_size == 64);
  CHECK(options.data == "d");
}

TEST_CASE("flags: defaults < configuration < command line") {
  Options options;
  FlagTable table = table_for(options);
  const char* arguments[] = {"tool", "--lr", "0.5"};
  table.parse(3, arguments);
  table.apply_config(Json::parse(R"({"lr": 0.3, "batch_size": 32})"), "c.json");
  table.apply_command_line();
  CHECK(options.lr == 0.5);
  CHECK(options.batch_size == 32);
  CHECK(options.sampler == "msc-vbs");
}

TEST_CASE("flags: a preset holds where nothing else is said, in whatever order things are said") {
  struct Recipe {
    std::string recipe = "none";
    int64_t epochs = 10;
    double lr = 0.1;
  };
  const auto run = [](std::vector<const char*> arguments, const std::string& config) {
    Recipe r;
    FlagTable table;
    table.flag("recipe", r.recipe, "").choices({"none", "long"}).preset("long", {{"epochs", 300}, {"lr", 0.5}});
    table.flag("epochs", r.epochs, "").range(1);
    table.flag("lr", r.lr, "");
    arguments.insert(arguments.begin(), "tool");
    table.parse(static_cast<int>(arguments.size()), arguments.data());
    table.apply_command_line();
    if (!config.empty()) {
      table.apply_config(Json::parse(config), "c.json");
      table.apply_command_line();
    }
    return r;
  };
  CHECK(run({"--recipe", "long"}, "").epochs == 300);
  CHECK(run({"--epochs", "7", "--recipe", "long"}, "").epochs == 7);
  CHECK(run({"--epochs", "7", "--recipe", "long"}, "").lr == 0.5);
  CHECK(run({"--recipe", "none"}, "").epochs == 10);
  CHECK(run({}, R"({"epochs": 5, "recipe": "long"})").epochs == 5);
  CHECK(run({}, R"({"epochs": 5, "recipe": "long"})").lr == 0.5);
  CHECK(run({"--recipe", "long"}, R"({"epochs": 5})").epochs == 5);
  // As a run that goes on: its record says what it was started with, the line repeats the recipe.
  CHECK(run({"--recipe", "long"}, R"({"epochs": 5, "lr": 0.1, "recipe": "long"})").epochs == 5);
  CHECK(run({"--recipe", "long", "--epochs", "6"}, R"({"epochs": 5, "recipe": "long"})").epochs == 6);
}

TEST_CASE("flags: the record holds what can change the result, the configuration the inputs as well") {
  Options options;
  const FlagTable table = table_for(options);
  const Json record = table.recorded_options();
  CHECK(record.contains("batch_size"));
  CHECK(record.at("seed").is_null());
  CHECK_FALSE(record.contains("data"));
  CHECK_FALSE(record.contains("verbose"));
  CHECK(table.config().contains("data"));

  // What --print-config prints is accepted again, and gives the same.
  Options again;
  FlagTable second = table_for(again);
  second.apply_config(table.config(), "c.json");
  CHECK(second.config() == table.config());
}

TEST_CASE("flags: one that takes many has every value up to the next flag, a dash too, and may be repeated") {
  std::vector<std::string> files;
  std::string from;
  FlagTable table;
  table.flag("predict", files, "files").many();
  table.flag("from", from, "model");
  const std::vector<const char*> arguments = {"tool", "--predict", "a", "b c", "-", "--from", "m", "--predict", "d"};
  table.parse(static_cast<int>(arguments.size()), arguments.data());
  table.apply_command_line();
  CHECK(files == std::vector<std::string>{"a", "b c", "-", "d"});
  CHECK(from == "m");
}

TEST_CASE("flags: positional arguments share out what there is") {
  std::vector<std::string> command, paths;
  FlagTable table;
  table.positional("COMMAND", command, "what to do", 1, 1, {"show", "verify"});
  table.positional("PATH", paths, "artifacts", 1, 2);
  const char* good[] = {"tool", "show", "a", "b"};
  table.parse(4, good);
  CHECK(command == std::vector<std::string>{"show"});
  CHECK(paths == std::vector<std::string>{"a", "b"});
  const char* wrong[] = {"tool", "shaw", "a"};
  expect_error(ExitCode::kUsage, "did you mean 'show'?", [&] { table.parse(3, wrong); });
  const char* many[] = {"tool", "show", "a", "b", "c"};
  expect_error(ExitCode::kUsage, "unexpected argument 'c'", [&] { table.parse(5, many); });
}
