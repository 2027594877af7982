// The command line itself, on CLI11. Its traps are kept out: values stay text until our own table checks them, its help,
// its configuration files and its exit codes (above 100) are not used.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/errors.h"
#include "base/text.h"
#include "cli/flags.h"

namespace fettle {
namespace {

std::string cli_names(const Flag& flag) {
  std::string names = "--" + flag.name();
  if (flag.short_letter() != '\0') names = fmt::format("-{},{}", flag.short_letter(), names);
  return names;
}

[[noreturn]] void unexpected(const std::string& argument, const std::deque<Flag>& flags) {
  if (argument.starts_with("-")) {
    std::vector<std::string> names;
    for (const Flag& flag : flags) names.push_back("--" + flag.name());
    const std::string near = nearest_word(argument.substr(0, argument.find('=')), names);
    throw Error(ExitCode::kUsage, fmt::format("unknown flag {}", argument.substr(0, 80)), near.empty() ? "--help lists the flags" : "did you mean " + near + "?");
  }
  FT_FAIL(ExitCode::kUsage, "unexpected argument '{}': values belong to a flag (--data PATH)", argument.substr(0, 80));
}

}  // namespace

void FlagTable::parse(int argc, const char* const* argv) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::deque<std::vector<std::string>> stores;
  std::vector<CLI::Option*> options;
  for (const Flag& flag : flags_) {
    if (flag.is_switch()) {
      // One option for each side: which was there last on the line decides.
      options.push_back(app.add_flag(cli_names(flag) + ",!--no-" + flag.name())->multi_option_policy(CLI::MultiOptionPolicy::TakeLast));
    } else {
      stores.emplace_back();
      options.push_back(app.add_option(cli_names(flag), stores.back())->allow_extra_args(flag.takes_many()));
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ArgumentMismatch& error) {
    FT_FAIL(ExitCode::kUsage, "{}", error.what());
  } catch (const CLI::ParseError& error) {
    FT_FAIL(ExitCode::kUsage, "{}", error.what());
  }

  given_.clear();
  for (size_t i = 0; i < flags_.size(); ++i) {
    const Flag& flag = flags_[i];
    const CLI::Option& option = *options[i];
    if (option.count() == 0) continue;
    Given g{flag.name(), option.results(), true};
    if (flag.is_switch()) {
      g.on = option.results().back() == "true";
    } else {
      FT_REQUIRE_USAGE(flag.repeats() || g.values.size() == 1, "--{} takes one value, but was given {}: {}", flag.name(), g.values.size(), join(g.values, " and "));
    }
    given_.push_back(std::move(g));
  }

  std::vector<std::string> rest = app.remaining();
  for (const std::string& argument : rest) {
    if (argument.starts_with("-") || positionals_.empty()) unexpected(argument, flags_);
  }
  size_t next = 0;
  for (size_t i = 0; i < positionals_.size(); ++i) {
    Positional& p = positionals_[i];
    size_t reserved = 0;  // what later positionals need at least
    for (size_t j = i + 1; j < positionals_.size(); ++j) reserved += positionals_[j].min;
    const size_t left = rest.size() - next;
    const size_t take = std::min(p.max, left > reserved ? left - reserved : std::min(left, p.min));
    p.values->assign(rest.begin() + static_cast<std::ptrdiff_t>(next), rest.begin() + static_cast<std::ptrdiff_t>(next + take));
    next += take;
    for (const std::string& value : *p.values) {
      if (p.choices.empty() || std::find(p.choices.begin(), p.choices.end(), value) != p.choices.end()) continue;
      const std::string near = nearest_word(value, p.choices);
      FT_FAIL(ExitCode::kUsage, "{}: expected one of: {}, found '{}'{}", p.name, join(p.choices, ", "), value, near.empty() ? "" : " (did you mean '" + near + "'?)");
    }
  }
  FT_REQUIRE_USAGE(next == rest.size(), "unexpected argument '{}'", rest[next]);
}

}  // namespace fettle
