#pragma once
// Lists of images with labels. Line ends may be "\n" or "\r\n", empty lines are skipped, so is a byte order mark.
//
//   CSV (RFC 4180)   a header that names the columns `path` and `label` (in any place and case, others are ignored), or no
//                    header and two columns; "..." quotes commas, line ends and, doubled, quotes
//   JSON Lines       an object a line, {"path": "...", "label": 3 or "name"}, other keys are ignored; known by its first '{'
//
// A CSV label of digits alone is a number, any other a class name (but other numbers, such as -1 and 2.0, are errors).

#include <cstdint>
#include <functional>
#include <string_view>

namespace fettle {

inline constexpr int64_t kMaxLabel = (1 << 24) - 1;

bool parse_label(std::string_view text, int64_t& label);  // ASCII digits alone, at most kMaxLabel

struct LabelRow {
  std::string_view path;        // not empty, no NUL, at most kMaxPathBytes
  std::string_view class_name;  // empty where the label is a number
  int64_t label = -1;           // 0..kMaxLabel, -1 where it is a name
  int64_t line = 0;             // where the row begins, from 1
};

// The views live as long as the call. Errors (kInput, each names `name` and the line): a wrong number of columns, quotes that
// are not closed or stand amid a field, invalid JSON, missing or mistyped keys, an empty path or label, a label out of range
// or with a blank at an end, names and numbers mixed, a NUL, a row of more than kMaxRowBytes.
void read_label_list(std::string_view text, std::string_view name, const std::function<void(const LabelRow&)>& visit);

inline constexpr size_t kMaxRowBytes = 65'536;
inline constexpr size_t kMaxClassNameBytes = 255;

}  // namespace fettle
