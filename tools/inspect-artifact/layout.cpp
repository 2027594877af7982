#include "inspect-artifact/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/text.h"

namespace fettle::inspect_artifact {
namespace {

// Controls, line and paragraph separators, marks that turn the direction of text, and non-characters.
bool is_unprintable(uint32_t point) {
  return point < 0x20 || (point >= 0x7f && point < 0xa0) || (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
         (point >= 0x2066 && point <= 0x2069) || (point & 0xfffe) == 0xfffe;
}

bool continues(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

// The byte where column `column` begins.
size_t offset_of(std::string_view text, size_t column) {
  size_t at = 0;
  for (size_t seen = 0; at < text.size(); ++at) {
    if (!continues(text[at]) && seen++ == column) break;
  }
  return at;
}

std::string padding(std::string_view text, size_t width) { return std::string(width - std::min(width, columns_of(text)), ' '); }

}  // namespace

std::string printable(std::string_view text, size_t max_columns) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    uint32_t point = 0;
    const size_t size = decode_utf8(text.substr(i), point);
    if (size == 0 || is_unprintable(point)) {
      const size_t bytes = std::max<size_t>(size, 1);
      for (const char c : text.substr(i, bytes)) out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
      i += bytes;
    } else {
      out += text.substr(i, size);
      i += size;
    }
  }
  const size_t columns = columns_of(out);
  if (max_columns == 0 || columns <= max_columns) return out;
  const size_t tail = (max_columns - 1) / 2, head = max_columns - 1 - tail;
  return out.substr(0, offset_of(out, head)) + "…" + out.substr(offset_of(out, columns - tail));
}

std::string value_text(const Json& value, size_t max_columns) {
  if (value.is_null()) return "-";
  if (value.is_string()) return printable(value.get_ref<const std::string&>(), max_columns);
  const bool plain_list =
      value.is_array() && !value.empty() && std::none_of(value.begin(), value.end(), [](const Json& v) { return v.is_structured(); });
  if (!plain_list) return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), max_columns);
  std::string list;
  for (const Json& item : value) list += (list.empty() ? "" : ",") + value_text(item);
  return printable(list, max_columns);
}

size_t columns_of(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::string aligned(const Rows& rows, std::string_view alignment, size_t indent) {
  std::vector<size_t> widths(alignment.size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line(indent, ' ');
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const std::string pad = padding(row[i], widths[i]);
      line += alignment[i] == 'r' ? pad + row[i] : row[i] + pad;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

std::string beside(const std::string& left, const std::string& right, size_t gap) {
  const std::vector<std::string> lines = split(left, '\n'), more = split(right, '\n');
  const size_t width = widest_line(left) + gap;
  std::string text;
  for (size_t i = 0; i + 1 < std::max(lines.size(), more.size()); ++i) {
    const std::string line = i < lines.size() ? lines[i] : "";
    const std::string rest = i < more.size() ? more[i] : "";
    text += line + (rest.empty() ? "" : padding(line, width) + rest) + "\n";
  }
  return text;
}

size_t widest_line(std::string_view text) {
  size_t widest = 0;
  for (const std::string& line : split(text, '\n')) widest = std::max(widest, columns_of(line));
  return widest;
}

std::string packed(const std::vector<std::pair<std::string, std::string>>& pairs, size_t indent, size_t width) {
  // The most columns whose text fits; one always does.
  std::string text;
  for (size_t columns = std::min<size_t>(3, pairs.size()); columns >= 1; --columns) {
    const size_t height = (pairs.size() + columns - 1) / columns;
    Rows rows(height);
    for (size_t i = 0; i < pairs.size(); ++i) {
      rows[i % height].push_back(pairs[i].first);
      rows[i % height].push_back(pairs[i].second + (i / height + 1 < columns ? "  " : ""));
    }
    text = aligned(rows, std::string(columns * 2, 'l'), indent);
    if (widest_line(text) <= width) break;
  }
  return text;
}

std::vector<std::string> short_names(const std::vector<std::filesystem::path>& directories) {
  std::vector<std::vector<std::string>> parts(directories.size());
  size_t longest = 1;
  for (size_t i = 0; i < directories.size(); ++i) {
    std::error_code ignored;
    for (const auto& part : std::filesystem::absolute(directories[i], ignored).lexically_normal()) {
      if (!part.empty() && part != "/") parts[i].push_back(part.string());
    }
    longest = std::max(longest, parts[i].size());
  }
  std::vector<std::string> names(directories.size());
  for (size_t count = 1; count <= longest; ++count) {
    for (size_t i = 0; i < names.size(); ++i) {
      std::filesystem::path name;
      for (size_t p = parts[i].size() - std::min(count, parts[i].size()); p < parts[i].size(); ++p) name /= parts[i][p];
      names[i] = printable(name.empty() ? "/" : name.string(), 40);
    }
    if (std::set<std::string>(names.begin(), names.end()).size() == names.size()) break;
  }
  return names;
}

}  // namespace fettle::inspect_artifact
