#include "cli/run_tool.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <new>

#include "base/build_info.h"
#include "base/human.h"
#include "base/signals.h"
#include "base/text.h"
#include "cli/help.h"
#include "io/file.h"
#include "random/stream.h"

namespace fettle {
namespace {

void bind_common(FlagTable& table, CommonOptions& common, const ToolInfo& info) {
  if (info.makes_artifact) {
    table.group("Output");
    table.flag("out", common.out, "directory to make: the artifact").metavar("DIR").not_recorded().common();
    table.flag("resume", common.resume, "continue the run in --out; a finished one is left as it is").not_recorded().common();
    table.flag("overwrite", common.overwrite, "replace the run in --out").not_recorded();
    table.flag("allow-drift", common.allow_drift, "resume although threads, device, instruction set, LibTorch or data differ").not_recorded();
    table.flag("dry-run", common.dry_run, "resolve, check the inputs, print the plan and stop").not_recorded().common();
  }
  if (info.computes) {
    table.group("Machine");
    table.flag("device", common.device, "auto, cpu, cuda or cuda:INDEX; auto says which and why, the others never fall back").metavar("NAME");
    table.flag("threads", common.threads, "CPU threads for computing; the bits of a result depend on it").range(1, 4096).default_text("all this process may use");
    table.flag("seed", common.seed, "seed of every random stream").range(0, 9007199254740991.0).default_text("drawn, and recorded").common();
    table.flag("deterministic", common.deterministic, "only algorithms that repeat bit for bit (GPUs; CPUs always do)");
  }
  table.group("Common");
  table.flag("config", common.config, "JSON with the flags' keys, or a manifest whose options are replayed; flags on the line win").metavar("FILE").not_recorded();
  table.flag("print-config", common.print_config, "print the resolved options as JSON for --config, and stop").not_recorded();
  table.flag("require", common.require, "exit with code 1 unless METRIC>=VALUE (also <= > < ==) holds at the end").metavar("COND").not_recorded();
  table.flag("json", common.json, "print the result as one JSON object").not_recorded();
  table.flag("quiet", common.quiet, "only errors and what must not be missed").short_name('q').not_recorded();
  table.flag("verbose", common.verbose, "more detail").short_name('v').not_recorded();
  table.flag("completion", common.completion, "print completion for a shell").choices({"bash", "zsh", "fish"}).not_recorded();
  table.flag("version", common.version, "print version and commit").not_recorded();
  table.flag("help", common.help, "every flag with default and unit").not_recorded();
  table.flag("short-help", common.short_help, "the most used flags").short_name('h').not_recorded();
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) FT_FAIL(ExitCode::kMachine, "cannot write to standard output");
}

std::string version_text(const ToolInfo& info, bool json) {
  const BuildInfo build = build_info();
  if (json) return Json{{"tool", info.name}, {"version", build.version}, {"git", build.commit}, {"dirty", build.dirty}}.dump() + "\n";
  return fmt::format("{} {} ({}{})\n", info.name, build.version, build.commit, build.dirty ? ", modified" : "");
}

// A configuration is an object of keys, or a manifest: then its options and the paths of its inputs are replayed.
Json read_config(const std::string& file, const FlagTable& table) {
  const Json json = parse_json(read_file(file, 64 << 20), file);
  if (!json.is_object() || !json.contains("schema")) return json;
  const Manifest manifest = parse_manifest(json.dump(), file);
  Json options = manifest.options;
  for (const Flag& flag : table.flags()) {
    for (const ArtifactInput& input : manifest.inputs) {
      if (flag.input_role() != input.role) continue;
      options[flag.key()] = resolved_path(input.path, std::filesystem::path(file).parent_path()).string();
    }
  }
  return options;
}

OutputMode output_mode(const CommonOptions& common) {
  FT_REQUIRE_USAGE(!(common.resume && common.overwrite), "--resume and --overwrite exclude each other");
  return common.resume ? OutputMode::kResume : common.overwrite ? OutputMode::kOverwrite : OutputMode::kCreate;
}

// On --resume, what the command line leaves open is what the run was started with; what it says must agree with that.
void adopt_record(const RunRecord& before, FlagTable& table, const std::string& file) {
  Json config = before.options;
  config.update(before.inputs);
  table.apply_config(config, file);
  table.apply_command_line();
}

void require_same_options(const RunRecord& before, const RunRecord& now, const CommonOptions& common) {
  static const std::vector<std::string> kDrift = {"threads", "device"};
  std::vector<std::string> different;
  bool only_drift = true;
  for (const auto& [key, value] : now.options.items()) {
    const auto found = before.options.find(key);
    // "auto" was resolved when the run began and is resolved the same way now.
    if (value == "auto" || (found != before.options.end() && *found == value)) continue;
    const bool drift = std::find(kDrift.begin(), kDrift.end(), key) != kDrift.end();
    if (drift && common.allow_drift) continue;
    only_drift = only_drift && drift;
    if (different.size() == 3) {
      different.push_back("...");
      break;
    }
    different.push_back(fmt::format("{} was {}, now {}", key, found == before.options.end() ? "unset" : found->dump(), value.dump()));
  }
  if (different.empty()) return;
  throw Error(ExitCode::kUsage, fmt::format("--resume: the run in '{}' was started with other options: {}", common.out, join(different, "; ")),
              only_drift ? "--allow-drift resumes all the same; the result will not be the one of an unbroken run"
                         : "leave out what is to stay as it was, or choose another --out");
}

Json judged(const std::vector<std::string>& conditions, const Json& metrics, Log& log, ExitCode& code) {
  Json results = Json::array();
  for (const std::string& text : conditions) {
    const Requirement requirement = parse_requirement(text);
    const auto found = metrics.find(requirement.metric);
    if (found == metrics.end()) {
      std::vector<std::string> names;
      for (const auto& [name, value] : metrics.items()) names.push_back(name);
      const std::string near = nearest_word(requirement.metric, names);
      FT_FAIL(ExitCode::kUsage, "--require: this run has no metric '{}'{}", requirement.metric, near.empty() ? "; it has: " + join(names, ", ") : "; the nearest is '" + near + "'");
    }
    const double value = found->get<double>();
    const bool ok = requirement.holds(value);
    results.push_back({{"condition", text}, {"value", value}, {"ok", ok}});
    if (ok) continue;
    log.error(fmt::format("required {}, but {} is {}", text, requirement.metric, value));
    if (code == ExitCode::kDone) code = ExitCode::kAnswerNo;
  }
  return results;
}

int finish(Report report, const RunContext& context) {
  if (!context.launch.is_first()) return static_cast<int>(report.code);
  const CommonOptions& common = context.common;
  Json required = Json::array();
  if (report.code == ExitCode::kDone && !common.dry_run) required = judged(common.require, report.metrics, context.log, report.code);
  if (common.json) {
    Json object = report.result;
    object["tool"] = context.tool.name;
    object["exit_code"] = static_cast<int>(report.code);
    if (!report.artifact.empty()) object["artifact"] = report.artifact.string();
    if (!report.metrics.empty()) object["metrics"] = report.metrics;
    if (!required.empty()) object["require"] = required;
    print(object.dump() + "\n");
  } else if (!report.text.empty()) {
    print(report.text.back() == '\n' ? report.text : report.text + "\n");
  } else if (!report.artifact.empty()) {
    print(report.artifact.string() + "\n");
  }
  return static_cast<int>(report.code);
}

Report report_of_finished(const std::filesystem::path& directory) {
  const Manifest manifest = read_manifest(directory);
  return {.artifact = directory, .result = {{"id", manifest_id(manifest)}}, .metrics = manifest.metrics};
}

int fail(const Error& error, Log& log) {
  const bool bug = error.code() == ExitCode::kBug;
  log.error(bug ? std::string("internal error: ") + error.what() : error.what());
  if (!error.hint().empty()) log.notice("hint: " + error.hint());
  if (bug) log.notice("this is a bug in Fettle; please report it with the command line");
  return static_cast<int>(error.code());
}

int run(int argc, const char* const* argv, const ToolInfo& info, const ToolHooks& hooks, const detail::ToolBody& body, Log& log) {
  CommonOptions common;
  FlagTable table;
  body.bind(table);
  bind_common(table, common, info);
  table.parse(argc, argv);

  // Asked for help, a half-written command line is no error.
  if (table.given("short-help")) return print(short_help(info, table)), 0;
  if (table.given("help")) return print(full_help(info, table)), 0;
  table.apply_command_line();
  log.set_level(common.quiet ? LogLevel::kQuiet : common.verbose ? LogLevel::kVerbose : LogLevel::kNormal);
  if (common.version) return print(version_text(info, common.json)), 0;
  for (const Flag& flag : table.flags()) {
    if (flag.listing_text() && flag.value() == "help") return print(flag.listing_text()()), 0;
  }
  if (!common.completion.empty()) return print(completion_script(common.completion, info, table)), 0;

  RunContext context{.tool = info, .log = log, .common = common};
  if (info.several_processes) context.launch = read_launch();
  if (!context.launch.is_first()) log.set_level(LogLevel::kSilent);
  context.started_utc = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
  std::optional<OutputDirectory> output;
  std::optional<RunRecord> before;
  const auto mode = std::find_if(info.other_modes.begin(), info.other_modes.end(), [&](const std::string& flag) { return table.given(flag); });
  FT_REQUIRE_USAGE(mode == info.other_modes.end() || common.out.empty(), "--out: --{} makes no artifact", *mode);
  if (info.makes_artifact && mode == info.other_modes.end() && !common.dry_run && !common.print_config) {
    FT_REQUIRE_USAGE(!common.out.empty(), "--out DIR is needed: the artifact to make");
    output.emplace(common.out, output_mode(common), /*is_follower=*/!context.launch.is_first());
    context.output = &*output;
    before = output->recorded();
    if (before) adopt_record(*before, table, common.out);
  }
  if (!common.config.empty()) {
    // The line says which file to read, and then overrides what the file says.
    table.apply_config(read_config(common.config, table), common.config);
    table.apply_command_line();
  }

  for (const Positional& p : table.positionals()) {
    FT_REQUIRE_USAGE(p.values->size() >= p.min, "expected {} ({}); -h shows the usage", p.name, p.help);
  }
  for (const std::string& condition : common.require) parse_requirement(condition);
  try {
    body.validate();
  } catch (const Error& error) {
    // The user may have counted on the options of a run that is not there.
    if (!common.resume || before) throw;
    throw Error(error.code(), fmt::format("--resume: there is no run in '{}' to go on with, and to start one: {}", common.out, error.what()), error.hint());
  }
  if (common.print_config) return print(table.config().dump(1) + "\n"), 0;

  if (hooks.start) hooks.start(common, context.launch, log);
  if (info.computes && !common.seed) {
    common.seed = draw_seed();
    context.record.drawn.push_back("seed");
  }
  context.record.options = table.recorded_options();
  context.record.inputs = table.input_paths();
  if (before) {
    context.record.drawn = before->drawn;
    require_same_options(*before, context.record, common);
    if (output->finished()) {
      log.info(fmt::format("{} is finished; nothing to do", common.out));
      return finish(report_of_finished(output->path()), context);
    }
  }
  return finish(body.run(context), context);
}

}  // namespace

void RunContext::show(const std::string& text) const {
  if (launch.is_first() && !common.json) print(text);
}

Manifest RunContext::manifest(const std::string& kind) const {
  const BuildInfo build = build_info();
  Manifest manifest;
  manifest.kind = kind;
  manifest.tool = {tool.name, build.version, build.commit, build.dirty};
  manifest.options = record.options;
  manifest.drawn = record.drawn;
  manifest.inputs = inputs;
  manifest.run = {{"started_utc", started_utc}, {"out", common.out}};
  return manifest;
}

bool Requirement::holds(double value) const {
  if (op == ">=") return value >= bound;
  if (op == "<=") return value <= bound;
  if (op == ">") return value > bound;
  if (op == "<") return value < bound;
  return value == bound;
}

Requirement parse_requirement(const std::string& text) {
  const size_t at = text.find_first_of("<>=");
  const auto malformed = [&]() { FT_FAIL(ExitCode::kUsage, "--require: expected METRIC>=VALUE (or <= > < ==), found '{}'", text); };
  if (at == std::string::npos || at == 0) malformed();
  const size_t length = at + 1 < text.size() && text[at + 1] == '=' ? 2 : 1;
  Requirement requirement{text.substr(0, at), text.substr(at, length), 0};
  if (requirement.op == "=") malformed();
  const std::string number = text.substr(at + length);
  char* end = nullptr;
  requirement.bound = std::strtod(number.c_str(), &end);
  if (number.empty() || *end != '\0' || !std::isfinite(requirement.bound)) malformed();
  return requirement;
}

int detail::run_tool(int argc, const char* const* argv, const ToolInfo& info, const ToolHooks& hooks, const ToolBody& body) {
  install_stop_signals();
  Log log;
  try {
    return run(argc, argv, info, hooks, body, log);
  } catch (const Error& error) {
    return fail(error, log);
  } catch (const std::exception& exception) {
    if (hooks.explain) {
      if (const std::optional<Error> error = hooks.explain(exception)) return fail(*error, log);
    }
    if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) return fail(Error(ExitCode::kMachine, "out of memory"), log);
    return fail(Error(ExitCode::kBug, exception.what()), log);
  }
}

}  // namespace fettle
