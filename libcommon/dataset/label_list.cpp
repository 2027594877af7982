#include "dataset/label_list.h"

#include <charconv>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "dataset/file_list.h"

namespace fettle {
namespace {

// Takes rows off the beginning of a text and counts lines.
class Rows {
 public:
  Rows(std::string_view text, std::string_view name) : text_(text), name_(name) {
    if (text_.starts_with("\xef\xbb\xbf")) text_.remove_prefix(3);
  }

  // Skips empty lines; whether a row follows.
  bool next() {
    while (!text_.empty() && (text_[0] == '\n' || text_[0] == '\r')) {
      if (text_[0] == '\n') ++next_line_;
      text_.remove_prefix(1);
    }
    line_ = next_line_;
    return !text_.empty();
  }
  char first() const { return text_[0]; }
  int64_t line() const { return line_; }  // where the row begins

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> what, Args&&... args) const {
    throw Error(ExitCode::kInput, fmt::format("line {} of {} {}", line_, name_, fmt::format(what, std::forward<Args>(args)...)));
  }
  template <class... Args>
  void require(bool holds, fmt::format_string<Args...> what, Args&&... args) const {
    if (!holds) fail(what, std::forward<Args>(args)...);
  }

  std::string_view take_line() {
    const std::string_view window = text_.substr(0, kMaxRowBytes + 1);
    std::string_view row = window.substr(0, window.find('\n'));
    require(row.size() <= kMaxRowBytes, "is longer than {} bytes", kMaxRowBytes);
    require(row.find('\0') == std::string_view::npos, "holds a NUL byte");
    text_.remove_prefix(row.size());
    if (row.ends_with('\r')) row.remove_suffix(1);
    return row;
  }

  // Of a CSV row, which may span lines. The strings' memory is used again.
  void take_fields(std::vector<std::string>& fields) {
    size_t used = 0;
    const auto begin_field = [&] {
      if (used == fields.size()) fields.emplace_back();
      fields[used++].clear();
    };
    bool quoted = false;  // inside quotes
    bool closed = false;  // behind the closing quote of this field
    size_t i = 0;
    begin_field();
    for (; i < text_.size() && (quoted || text_[i] != '\n'); ++i) {
      const char c = text_[i];
      const char after = i + 1 < text_.size() ? text_[i + 1] : '\n';
      std::string& field = fields[used - 1];
      require(i < kMaxRowBytes, "is longer than {} bytes", kMaxRowBytes);
      require(c != '\0', "holds a NUL byte");
      if (quoted) {
        if (c == '\n') ++next_line_;
        if (c != '"') {
          field += c;
        } else if (i + 1 < text_.size() && after == '"') {
          field += c;
          ++i;
        } else {
          quoted = false;
          closed = true;
        }
      } else if (c == ',') {
        begin_field();
        closed = false;
      } else if (c != '\r' || after != '\n') {
        require(!closed, "has text behind a closing quote");
        require(c != '"' || field.empty(), "has a quote amid a field: a field with quotes is written \"...\", the quotes in it doubled");
        if (c == '"') quoted = true;
        else field += c;
      }
    }
    require(!quoted, "has a quote that is not closed");
    text_.remove_prefix(i);
    fields.resize(used);
  }

 private:
  std::string_view text_;
  std::string_view name_;
  int64_t line_ = 1, next_line_ = 1;
};

// Checks what all rows must keep, whatever their format.
class Checked {
 public:
  Checked(const Rows& rows, const std::function<void(const LabelRow&)>& visit) : rows_(rows), visit_(visit) {}

  void number(std::string_view path, int64_t label) { hand_out({path, {}, label, rows_.line()}, numbers_since_, names_since_, "a number", "names"); }

  void name(std::string_view path, std::string_view label) {
    rows_.require(!label.empty(), "has an empty label");
    rows_.require(label.size() <= kMaxClassNameBytes, "has a class name of {} bytes, more than the {} allowed", label.size(), kMaxClassNameBytes);
    if (is_blank(label.front()) || is_blank(label.back())) rows_.fail("has the label {}, with a blank at an end", quote(label));
    rows_.require(label.find('\0') == std::string_view::npos, "holds a NUL byte");
    hand_out({path, label, -1, rows_.line()}, names_since_, numbers_since_, "a class name", "numbers");
  }

 private:
  static bool is_blank(char c) { return c == ' ' || c == '\t'; }

  void hand_out(const LabelRow& row, int64_t& since, int64_t others_since, const char* what, const char* others) {
    rows_.require(!row.path.empty(), "has an empty path");
    rows_.require(row.path.size() <= kMaxPathBytes, "has a path of {} bytes, more than the {} allowed", row.path.size(), kMaxPathBytes);
    rows_.require(row.path.find('\0') == std::string_view::npos, "holds a NUL byte");
    rows_.require(others_since == 0, "has {} as its label, expected {} as from line {} on", what, others, others_since);
    if (since == 0) since = row.line;
    visit_(row);
  }

  const Rows& rows_;
  const std::function<void(const LabelRow&)>& visit_;
  int64_t numbers_since_ = 0, names_since_ = 0;  // the line of the first, 0 for none
};

void read_csv(Rows& rows, Checked& checked) {
  std::vector<std::string> fields;
  size_t num_columns = 2, path_column = 0, label_column = 1;
  for (bool first = true; rows.next(); first = false) {
    rows.take_fields(fields);
    if (first) {
      size_t found[2] = {0, 0};
      for (size_t i = 0; i < fields.size(); ++i) {
        const std::string title = to_lower(fields[i]);
        if (title != "path" && title != "label") continue;
        ++found[title == "label"];
        (title == "label" ? label_column : path_column) = i;
      }
      rows.require(found[0] <= 1 && found[1] <= 1, "is a header that names a column twice");
      rows.require(found[0] == found[1], "is a header without the column '{}'", found[0] == 0 ? "path" : "label");
      rows.require(found[0] == 1 || fields.size() == 2, "has {} column{}: expected two, or a header that names 'path' and 'label'", fields.size(),
                   fields.size() == 1 ? "" : "s");
      num_columns = fields.size();
      if (found[0] == 1) continue;
    }
    rows.require(fields.size() == num_columns, "has {} column{}, expected {}", fields.size(), fields.size() == 1 ? "" : "s", num_columns);
    const std::string& label = fields[label_column];
    int64_t number = -1;
    if (parse_label(label, number)) {
      checked.number(fields[path_column], number);
      continue;
    }
    // What looks like a number but is none that counts classes would make a strange name.
    double value = 0;
    const char* const end = label.data() + label.size();
    const bool numeric = !label.empty() && std::string_view("+-.0123456789").find(label[0]) != std::string_view::npos &&
                         std::from_chars(label.data() + (label[0] == '+' ? 1 : 0), end, value).ptr == end && label != "+";
    if (numeric) rows.fail("has the label {}, expected an integer from 0 to {} or a class name", quote(label), kMaxLabel);
    checked.name(fields[path_column], label);
  }
}

void read_json_lines(Rows& rows, Checked& checked) {
  while (rows.next()) {
    const auto object = nlohmann::json::parse(rows.take_line(), nullptr, /*allow_exceptions=*/false);
    rows.require(!object.is_discarded(), "is not valid JSON");
    rows.require(object.is_object(), "holds {}, expected an object with \"path\" and \"label\"", object.type_name());
    const auto path = object.find("path");
    const auto label = object.find("label");
    rows.require(path != object.end(), "has no \"path\"");
    rows.require(label != object.end(), "has no \"label\"");
    rows.require(path->is_string(), "has a \"path\" that is {}, expected a string", path->type_name());
    rows.require(label->is_string() || label->is_number_integer(), "has a \"label\" that is {}, expected an integer or a string",
                 label->is_number_float() ? "a fraction" : label->type_name());
    const std::string& text = path->get_ref<const std::string&>();
    if (label->is_string()) {
      checked.name(text, label->get_ref<const std::string&>());
      continue;
    }
    const bool fits = label->is_number_unsigned() && label->get<uint64_t>() <= kMaxLabel;
    if (!fits) rows.fail("has the label {}, expected an integer from 0 to {}", label->dump(), kMaxLabel);
    checked.number(text, label->get<int64_t>());
  }
}

}  // namespace

bool parse_label(std::string_view text, int64_t& label) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  const auto [after, error] = std::from_chars(text.data(), text.data() + text.size(), label);
  return error == std::errc() && label <= kMaxLabel;
}

void read_label_list(std::string_view text, std::string_view name, const std::function<void(const LabelRow&)>& visit) {
  Rows rows(text, name);
  Checked checked(rows, visit);
  if (!rows.next()) return;
  rows.require(rows.first() != '[', "begins a JSON array: expected an object a line");
  if (rows.first() == '{') read_json_lines(rows, checked);
  else read_csv(rows, checked);
}

}  // namespace fettle
