#pragma once
// Help and shell completion, derived from the table of flags.

#include <string>

#include "cli/flags.h"
#include "cli/run_tool.h"

namespace fettle {

std::string short_help(const ToolInfo& info, const FlagTable& table);
std::string full_help(const ToolInfo& info, const FlagTable& table);
std::string completion_script(const std::string& shell, const ToolInfo& info, const FlagTable& table);  // bash, zsh, fish

}  // namespace fettle
