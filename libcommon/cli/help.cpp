#include "cli/help.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

constexpr size_t kHelpColumn = 34;
constexpr size_t kWidth = 110;

std::string wrapped(const std::string& text, size_t indent) {
  std::string out;
  size_t column = indent;
  for (const std::string& word : split(text, ' ')) {
    if (column > indent && column + word.size() + 1 > kWidth) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    }
    if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

std::string usage(const ToolInfo& info) {
  return fmt::format("usage: {} {}{}[FLAGS]\n", info.name, info.positional_usage, info.positional_usage.empty() ? "" : " ");
}

std::string left_side(const Flag& flag) {
  std::string text = flag.short_letter() == '\0' ? "    " : fmt::format("-{}, ", flag.short_letter());
  text += "--" + flag.name();
  const std::string metavar = flag.metavar_text();
  // A long list of choices goes to the text, not to the margin.
  if (!metavar.empty()) text += " " + (metavar.size() > 24 ? "NAME" : metavar);
  return text;
}

std::string flag_entry(const Flag& flag) {
  std::string text = flag.help();
  if (!flag.choice_list().empty() && flag.metavar_text().size() > 24) text += "; " + flag.type_text();
  if (flag.repeats()) text += "; may be repeated";
  const std::string initial = flag.default_shown();
  if (!initial.empty() && !(flag.is_switch() && initial == "false")) {
    text += flag.is_switch() ? fmt::format(" [on; --no-{} turns it off]", flag.name()) : fmt::format(" [{}]", initial);
  }
  std::string line = "  " + left_side(flag);
  line += line.size() + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ') : std::string(kHelpColumn - line.size(), ' ');
  return line + wrapped(text, kHelpColumn) + "\n";
}

std::string examples_text(const ToolInfo& info, size_t count) {
  if (info.examples.empty()) return "";
  std::string text = "\nexample:\n";
  for (size_t i = 0; i < std::min(count, info.examples.size()); ++i) text += "  " + info.examples[i] + "\n";
  return text;
}

std::string positionals_text(const FlagTable& table) {
  std::string text;
  for (const Positional& p : table.positionals()) {
    std::string line = "  " + p.name;
    line += std::string(line.size() < kHelpColumn ? kHelpColumn - line.size() : 1, ' ');
    text += line + wrapped(p.help, kHelpColumn) + "\n";
  }
  return text.empty() ? text : "\n" + text;
}

std::string escaped(std::string text, const std::string& characters, char with) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (characters.find(text[i]) != std::string::npos) text.insert(i++, 1, with);
  }
  return text;
}

std::string bash_completion(const ToolInfo& info, const FlagTable& table) {
  const std::string function = "_" + [&] {
    std::string name = info.name;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
  }();
  std::string cases, names, words;
  for (const Flag& flag : table.flags()) {
    names += " --" + flag.name();
    if (flag.short_letter() != '\0') names += fmt::format(" -{}", flag.short_letter());
    if (!flag.choice_list().empty()) {
      cases += fmt::format("    --{}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", flag.name(), join(flag.choice_list(), " "));
    } else if (!flag.is_switch()) {
      cases += fmt::format("    --{}) {}; return ;;\n", flag.name(), flag.is_path() ? "COMPREPLY=($(compgen -f -- \"$word\"))" : "COMPREPLY=()");
    }
  }
  for (const Positional& p : table.positionals()) words += join(p.choices, " ");
  return fmt::format(
      "# {0} completion for bash: eval \"$({0} --completion bash)\"\n"
      "{1}() {{\n"
      "  local word=${{COMP_WORDS[COMP_CWORD]}}\n"
      "  case ${{COMP_WORDS[COMP_CWORD-1]}} in\n{2}  esac\n"
      "  if [[ $word == -* ]]; then COMPREPLY=($(compgen -W '{3}' -- \"$word\")); else COMPREPLY=($(compgen -W '{4}' -- \"$word\") $(compgen -f -- \"$word\")); fi\n"
      "}}\n"
      "complete -o filenames -F {1} {0}\n",
      info.name, function, cases, names.substr(names.empty() ? 0 : 1), words);
}

std::string zsh_completion(const ToolInfo& info, const FlagTable& table) {
  std::string text = fmt::format("#compdef {0}\n# {0} completion for zsh: {0} --completion zsh > \"${{fpath[1]}}/_{0}\"\n_arguments -s \\\n", info.name);
  for (const Flag& flag : table.flags()) {
    const std::string help = escaped(flag.help(), "[]:'\\", '\\');
    std::string action;
    if (!flag.choice_list().empty()) {
      action = ":value:(" + join(flag.choice_list(), " ") + ")";
    } else if (!flag.is_switch()) {
      action = flag.is_path() ? ":file:_files" : ":value: ";
    }
    std::string quoted_help;
    for (const char c : help) quoted_help += c == '\'' ? std::string("'\\''") : std::string(1, c);
    text += fmt::format("  '{}--{}[{}]{}' \\\n", flag.repeats() ? "*" : "", flag.name(), quoted_help, action);
  }
  std::string words;
  for (const Positional& p : table.positionals()) words += join(p.choices, " ");
  text += words.empty() ? "  '*:file:_files'\n" : fmt::format("  '1:command:({})' '*:file:_files'\n", words);
  return text;
}

std::string fish_completion(const ToolInfo& info, const FlagTable& table) {
  std::string text = fmt::format("# {0} completion for fish: {0} --completion fish | source\n", info.name);
  for (const Flag& flag : table.flags()) {
    text += fmt::format("complete -c {} -l {}", info.name, flag.name());
    if (flag.short_letter() != '\0') text += fmt::format(" -s {}", flag.short_letter());
    if (!flag.is_switch()) text += flag.is_path() ? " -r" : " -x";
    if (!flag.choice_list().empty()) text += fmt::format(" -a '{}'", join(flag.choice_list(), " "));
    text += fmt::format(" -d '{}'\n", escaped(flag.help(), "'\\", '\\'));
  }
  for (const Positional& p : table.positionals()) {
    if (!p.choices.empty()) text += fmt::format("complete -c {} -n __fish_use_subcommand -a '{}'\n", info.name, join(p.choices, " "));
  }
  return text;
}

}  // namespace

std::string short_help(const ToolInfo& info, const FlagTable& table) {
  std::string text = usage(info) + info.summary + "\n" + positionals_text(table) + "\n";
  for (const Flag& flag : table.flags()) {
    if (flag.shown_short()) text += flag_entry(flag);
  }
  return text + examples_text(info, 1) + "\n--help shows every flag.\n";
}

std::string full_help(const ToolInfo& info, const FlagTable& table) {
  std::string text = usage(info) + info.summary + "\n\n" + wrapped(info.description, 0) + "\n" + positionals_text(table);
  std::vector<std::string> groups;
  for (const Flag& flag : table.flags()) {
    if (std::find(groups.begin(), groups.end(), flag.group()) == groups.end()) groups.push_back(flag.group());
  }
  for (const std::string& group : groups) {
    text += "\n" + group + ":\n";
    for (const Flag& flag : table.flags()) {
      if (flag.group() == group) text += flag_entry(flag);
    }
  }
  text += examples_text(info, info.examples.size());
  return text +
         "\nexit codes: 0 done, 1 the answer is no (--require missed, verification mismatch), 2 usage or configuration, 3 bad input,\n"
         "  4 the machine cannot, 5 non-finite numbers, 70 a bug of ours, 130/143 stopped by SIGINT/SIGTERM after saving.\n";
}

std::string completion_script(const std::string& shell, const ToolInfo& info, const FlagTable& table) {
  if (shell == "bash") return bash_completion(info, table);
  if (shell == "zsh") return zsh_completion(info, table);
  FT_CHECK(shell == "fish", "{}", shell);
  return fish_completion(info, table);
}

}  // namespace fettle
