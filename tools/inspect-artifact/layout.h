#pragma once
// Text that lines up, and names out of files we did not write made safe to print.

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fettle::inspect_artifact {

using Json = nlohmann::json;

// Control characters, invalid UTF-8 and what XML forbids become \x1b and the like; the rest stays as it is. With
// max_columns > 0 a longer text keeps its beginning and its end around "…".
std::string printable(std::string_view text, size_t max_columns = 0);

// Text without its quotes, lists as 16,20,24, null as "-", the rest as JSON; printable.
std::string value_text(const Json& value, size_t max_columns = 0);

// Columns that a terminal shows for printable() text: one a code point.
size_t columns_of(std::string_view text);

using Rows = std::vector<std::vector<std::string>>;

// Each row on a line, two blanks between columns. `alignment` has a letter a column: 'l' or 'r'. Short rows are legal.
std::string aligned(const Rows& rows, std::string_view alignment, size_t indent = 0);

// Two blocks of lines side by side, `gap` blanks apart.
std::string beside(const std::string& left, const std::string& right, size_t gap);

size_t widest_line(std::string_view text);  // in columns

// "key value" pairs in as many columns as fit into `width`, read downwards.
std::string packed(const std::vector<std::pair<std::string, std::string>>& pairs, size_t indent, size_t width);

// A short name a directory: its last part, or as many as it takes to tell the directories apart.
std::vector<std::string> short_names(const std::vector<std::filesystem::path>& directories);

}  // namespace fettle::inspect_artifact
