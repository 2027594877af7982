#pragma once
// What every main would otherwise copy: common flags, configuration file and replay, the output directory, exceptions to
// exit codes, signals, the result line. A tool brings its Options (bind, validate), one function, and a ToolInfo.

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "artifact/output_directory.h"
#include "base/errors.h"
#include "base/launch.h"
#include "base/log.h"
#include "cli/flags.h"

namespace fettle {

struct ToolInfo {
  std::string name;         // "multiscale-train"
  std::string summary;      // one line
  std::string description;  // for --help; the paper, if there is one
  std::vector<std::string> examples;  // runnable command lines, the first one is shown by -h
  std::string positional_usage = "";  // "COMMAND PATH..."
  bool makes_artifact = false;        // has --out, --resume, --overwrite
  std::vector<std::string> other_modes = {};  // flags with which it makes none: "predict"
  bool computes = false;              // has --seed, --device, --threads, --deterministic
  bool several_processes = false;     // reads the launcher's environment; rank 0 writes the artifact and speaks
};

// Flags that tools share. Fields of groups that a tool does not have keep their defaults.
struct CommonOptions {
  bool short_help = false, help = false, version = false, json = false, quiet = false, verbose = false, print_config = false, dry_run = false;
  std::string completion, config;
  std::vector<std::string> require;  // 'val_top1_percent>=80'

  std::string out;
  bool resume = false, overwrite = false, allow_drift = false;

  std::optional<int64_t> seed;  // drawn when not given; set before the tool runs
  std::string device = "auto";  // after the start hook: what was chosen
  std::optional<int64_t> threads;
  bool deterministic = false;
};

// What was resolved from the options; lives as long as the run.
struct RunContext {
  const ToolInfo& tool;
  Log& log;
  CommonOptions& common;
  OutputDirectory* output = nullptr;  // makes_artifact, and not --dry-run
  RunRecord record;                   // options as the manifest records them
  std::vector<ArtifactInput> inputs;  // the tool adds what it reads
  std::string started_utc;
  Launch launch;

  uint64_t seed() const { return static_cast<uint64_t>(common.seed.value()); }
  // A manifest with tool, options, drawn, inputs and run filled in.
  Manifest manifest(const std::string& kind) const;
  // A part of the result for people, such as a line a file, shown at once and not with the end's `text`; with --json nothing.
  void show(const std::string& text) const;
};

// What a tool answers. stdout carries `text` (or the artifact's path), or with --json one object made of `result`.
struct Report {
  ExitCode code = ExitCode::kDone;
  std::filesystem::path artifact;  // empty: none was made
  std::string text;                // the result for people, when it is not a path
  Json result = Json::object();    // further keys of the --json object
  Json metrics = Json::object();   // what --require can ask for
};

// What the LibTorch tools add, so that cli knows no LibTorch.
struct ToolHooks {
  // Runs once before the tool: chooses the device, sets threads, and writes what it chose into CommonOptions.
  std::function<void(CommonOptions&, const Launch&, Log&)> start;
  // Explains a library's exception as an Error, if it can.
  std::function<std::optional<Error>(const std::exception&)> explain;
};

// One --require condition: "val_top1_percent>=88". Operators: >= <= > < ==.
struct Requirement {
  std::string metric, op;
  double bound = 0;
  bool holds(double value) const;
};
Requirement parse_requirement(const std::string& text);  // Error(kUsage)

namespace detail {
struct ToolBody {
  std::function<void(FlagTable&)> bind;
  std::function<void()> validate;
  std::function<Report(RunContext&)> run;
};
int run_tool(int argc, const char* const* argv, const ToolInfo& info, const ToolHooks& hooks, const ToolBody& body);
}  // namespace detail

// Finds bind(FlagTable&, Options&) and validate(const Options&) beside Options. Returns the process's exit code.
template <typename Options>
int run_tool(int argc, const char* const* argv, const ToolInfo& info, const ToolHooks& hooks, Report (*run)(const Options&, RunContext&)) {
  Options options;
  return detail::run_tool(argc, argv, info, hooks,
                          {.bind = [&](FlagTable& table) { bind(table, options); },
                           .validate = [&] { validate(options); },
                           .run = [&](RunContext& context) { return run(options, context); }});
}

}  // namespace fettle
