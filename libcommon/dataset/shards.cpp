#include "dataset/shards.h"

#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "dataset/class_tree.h"
#include "dataset/label_list.h"

namespace fettle {
namespace {

constexpr uint64_t kMaxClsBytes = 64;
constexpr uint64_t kMaxJsonBytes = 1 << 20;

// ---- patterns --------------------------------------------------------------------------------------------------------

struct Range {
  int64_t first, last;
  size_t width;      // of the numbers, padded with zeros; 0 for none
  size_t end;        // in the pattern, behind the '}'
};

// "{000..127}" at `begin`, where a '{' is.
std::optional<Range> parse_range(std::string_view pattern, size_t begin) {
  const size_t close = pattern.find('}', begin);
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view inside = pattern.substr(begin + 1, close - begin - 1);
  const size_t dots = inside.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const std::string_view ends[] = {inside.substr(0, dots), inside.substr(dots + 2)};
  Range range{0, 0, 0, close + 1};
  for (const std::string_view end : ends) {
    int64_t& number = end.data() == ends[0].data() ? range.first : range.last;
    const auto [after, error] = std::from_chars(end.data(), end.data() + end.size(), number);
    if (end.empty() || end[0] == '-' || error != std::errc() || after != end.data() + end.size()) return std::nullopt;
    if (end.size() > 1 && end[0] == '0') range.width = std::max(ends[0].size(), ends[1].size());
  }
  return range;
}

std::vector<std::string> expand_ranges(const std::string& pattern, const std::string& whole) {
  const size_t open = pattern.find('{');
  if (open == std::string::npos) return {pattern};
  const auto range = parse_range(pattern, open);
  FT_REQUIRE(range, "{} has braces without a range: expected numbers, such as {{000..127}}", quote_path(whole));
  FT_REQUIRE(range->first <= range->last, "{} has the empty range {}", quote_path(whole), quote(pattern.substr(open, range->end - open)));
  const std::vector<std::string> tails = expand_ranges(pattern.substr(range->end), whole);
  const bool few = range->last - range->first < kMaxShards && (range->last - range->first + 1) * static_cast<int64_t>(tails.size()) <= kMaxShards;
  FT_REQUIRE(few, "{} means more than the {} files allowed", quote_path(whole), kMaxShards);
  std::vector<std::string> expanded;
  for (int64_t number = range->first; number <= range->last; ++number) {
    for (const std::string& tail : tails) expanded.push_back(fmt::format("{}{:0{}}{}", pattern.substr(0, open), number, range->width, tail));
  }
  return expanded;
}

std::vector<std::string> expand_wildcards(const std::string& pattern) {
  std::string escaped;
  for (const char c : pattern) escaped += c == '[' ? "[[]" : std::string(1, c);  // '*' and '?' are all the wildcards there are
  glob_t found{};
  const int status = glob(escaped.c_str(), GLOB_NOSORT | GLOB_NOESCAPE | GLOB_ERR, nullptr, &found);
  const std::unique_ptr<glob_t, decltype(&globfree)> owner(&found, globfree);
  if (status == GLOB_NOSPACE) throw Error(ExitCode::kMachine, fmt::format("not enough memory to list {}", quote_path(pattern)));
  FT_REQUIRE(status == 0 || status == GLOB_NOMATCH, "cannot list the folder of {}", quote_path(pattern));
  return {found.gl_pathv, found.gl_pathv + found.gl_pathc};
}

// ---- keys ------------------------------------------------------------------------------------------------------------

struct Split {
  std::string_view key, extension;  // without the dot; empty where there is none
};

Split split_key(std::string_view path) {
  const size_t slash = path.rfind('/');
  const size_t dot = path.find('.', slash == std::string_view::npos ? 0 : slash + 1);
  if (dot == std::string_view::npos) return {path, {}};
  return {path.substr(0, dot), path.substr(dot + 1)};
}

enum class Role { kNone, kImage, kCls, kJson };

Role role_of(std::string_view path) {
  const Split split = split_key(path);
  if (split.extension.empty() || split.extension.size() > 5 || !is_visible(path)) return Role::kNone;
  const std::string extension = to_lower(std::string(split.extension));
  return is_image_extension(extension) ? Role::kImage : extension == "cls" ? Role::kCls : extension == "json" ? Role::kJson : Role::kNone;
}

std::string_view data_of(const FileEntry& entry, std::span<const uint8_t> bytes) {
  const auto data = bytes.subspan(static_cast<size_t>(entry.offset), static_cast<size_t>(entry.size));
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

std::optional<int64_t> json_label(const FileEntry& entry, std::span<const uint8_t> bytes) {
  if (entry.size > kMaxJsonBytes) return std::nullopt;
  const auto object = nlohmann::json::parse(data_of(entry, bytes), nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return std::nullopt;
  for (const char* key : {"label", "cls"}) {
    const auto value = object.find(key);
    if (value != object.end() && value->is_number_unsigned() && value->get<uint64_t>() <= kMaxLabel) return value->get<int64_t>();
  }
  return std::nullopt;
}

int64_t cls_label(const FileEntry& entry, std::string_view path, std::span<const uint8_t> bytes, std::string_view name) {
  FT_REQUIRE(entry.size <= kMaxClsBytes, "{}: the label {} has {} bytes, expected an integer", name, quote_path(path), entry.size);
  const std::string_view data = data_of(entry, bytes);
  const size_t begin = std::min(data.find_first_not_of(" \t\r\n"), data.size());
  const std::string_view text = data.substr(begin, data.find_last_not_of(" \t\r\n") + 1 - begin);
  int64_t label = 0;
  FT_REQUIRE(parse_label(text, label), "{}: the label {} is {}, expected an integer from 0 to {}", name, quote_path(path), quote(text), kMaxLabel);
  return label;
}

}  // namespace

bool is_shard_pattern(std::string_view text) {
  if (text.find_first_of("*?") != std::string_view::npos) return true;
  for (size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1)) {
    if (parse_range(text, open)) return true;
  }
  return false;
}

ShardFiles expand_shard_pattern(const std::string& pattern) {
  const size_t special = pattern.find_first_of("*?{");
  const size_t slash = special == std::string::npos ? std::string::npos : pattern.rfind('/', special);
  const std::string folder = slash == std::string::npos ? "" : pattern.substr(0, slash + 1);

  std::vector<std::string> paths;
  std::string first_missing;
  int64_t num_missing = 0;
  for (const std::string& path : expand_ranges(pattern, pattern)) {
    if (path.find_first_of("*?") != std::string::npos) {
      const std::vector<std::string> found = expand_wildcards(path);
      FT_REQUIRE(!found.empty(), "no file matches {}", quote_path(path));
      paths.insert(paths.end(), found.begin(), found.end());
      FT_REQUIRE(paths.size() <= static_cast<size_t>(kMaxShards), "{} means more than the {} files allowed", quote_path(pattern), kMaxShards);
      continue;
    }
    struct stat info {};
    if (::stat(path.c_str(), &info) == 0) {
      paths.push_back(path);
    } else {
      if (errno != ENOENT) throw_errno(errno, fmt::format("read {}", quote_path(path)));
      if (num_missing++ == 0) first_missing = path;
    }
  }
  FT_REQUIRE(num_missing == 0, "{} does not exist, nor do {} others of {}", quote_path(first_missing), num_missing - 1, quote_path(pattern));
  std::sort(paths.begin(), paths.end());
  paths.erase(std::unique(paths.begin(), paths.end()), paths.end());

  ShardFiles shards;
  shards.folder = folder.empty() ? "." : folder;
  for (const std::string& path : paths) {
    struct stat info {};
    if (::stat(path.c_str(), &info) != 0) throw_errno(errno, fmt::format("read {}", quote_path(path)));
    FT_REQUIRE(S_ISREG(info.st_mode), "{} is not a regular file", quote_path(path));
    shards.list.add("", std::string_view(path).substr(folder.size()), FileKind::kFile).size = static_cast<uint64_t>(info.st_size);
  }
  return shards;
}

std::string_view key_of(std::string_view path) { return split_key(path).key; }

bool has_keyed_samples(const FileList& members, std::span<const uint8_t> bytes) {
  const FileEntry* first_image = nullptr;
  for (const FileEntry& entry : members.entries) {
    if (entry.kind != FileKind::kFile) continue;
    const Role role = role_of(members.path(entry));
    if (role == Role::kCls) return true;
    if (role == Role::kImage && (first_image == nullptr || entry.offset < first_image->offset)) first_image = &entry;
  }
  if (first_image == nullptr) return false;
  const std::string wanted = std::string(key_of(members.path(*first_image))) + ".json";
  const auto found = std::lower_bound(members.entries.begin(), members.entries.end(), wanted,
                                      [&](const FileEntry& entry, const std::string& path) { return members.path(entry) < path; });
  return found != members.entries.end() && members.path(*found) == wanted && found->kind == FileKind::kFile && json_label(*found, bytes).has_value();
}

std::vector<FileEntry> label_by_key(const FileList& members, std::span<const uint8_t> bytes, std::string_view name) {
  std::vector<uint32_t> order;  // of the members that matter, by key
  for (size_t i = 0; i < members.entries.size(); ++i) {
    if (members.entries[i].kind != FileKind::kFolder && role_of(members.path(members.entries[i])) != Role::kNone) order.push_back(static_cast<uint32_t>(i));
  }
  const auto key_at = [&](uint32_t i) { return key_of(members.path(members.entries[i])); };
  const auto before = [&](uint32_t a, uint32_t b) { return key_at(a) < key_at(b); };
  if (!std::is_sorted(order.begin(), order.end(), before)) std::stable_sort(order.begin(), order.end(), before);

  std::vector<FileEntry> images;
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const std::string_view key = key_at(order[begin]);
    const FileEntry* image = nullptr;
    const FileEntry* cls = nullptr;
    const FileEntry* json = nullptr;
    for (; end < order.size() && key_at(order[end]) == key; ++end) {
      const FileEntry& entry = members.entries[order[end]];
      const std::string_view path = members.path(entry);
      const Role role = role_of(path);
      const FileEntry*& place = role == Role::kImage ? image : role == Role::kCls ? cls : json;
      if (place != nullptr) {
        FT_REQUIRE(members.path(*place) != path, "{} has the member {} twice", name, quote_path(path));
        FT_FAIL(ExitCode::kInput, "{} has two {} of one key: {} and {}", name, role == Role::kImage ? "images" : "labels", quote_path(members.path(*place)), quote_path(path));
      }
      FT_REQUIRE(entry.kind == FileKind::kFile, "{}: the member {} is a link, which is not followed", name, quote_path(path));
      place = &entry;
    }
    if (image == nullptr) {
      FT_REQUIRE(cls == nullptr, "{} has the label {} but no image of that key", name, quote_path(members.path(*cls)));
      continue;  // a .json about something else
    }
    std::optional<int64_t> label;
    if (cls != nullptr) label = cls_label(*cls, members.path(*cls), bytes, name);
    else if (json != nullptr) label = json_label(*json, bytes);
    FT_REQUIRE(label, "{} has the image {} without a label: expected {}.cls with an integer, or {}.json with an integer \"label\" or \"cls\"", name,
               quote_path(members.path(*image)), quote_path(key), quote_path(key));
    images.push_back(*image);
    images.back().label = static_cast<int32_t>(*label);
  }
  std::sort(images.begin(), images.end(), [](const FileEntry& a, const FileEntry& b) { return a.offset < b.offset; });
  return images;
}

}  // namespace fettle
