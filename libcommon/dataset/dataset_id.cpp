#include "dataset/dataset_id.h"

#include <cstdint>

#include "base/errors.h"
#include "base/text.h"
#include "dataset/shards.h"
#include "io/sha256.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

void append_escaped(std::string& out, std::string_view path) {
  for (const char c : path) {
    if (c == '\\') out += "\\\\";
    else if (c == '\n') out += "\\n";
    else out += c;
  }
}

}  // namespace

std::string folder_id(const FileList& files, const std::string& folder, bool hash_contents) {
  Sha256 hash;
  std::string lines;
  bool any = false;
  for (const FileEntry& entry : files.entries) {
    if (entry.kind != FileKind::kFile) continue;
    any = true;
    append_escaped(lines, files.path(entry));
    lines.append(", ").append(std::to_string(entry.size));
    if (hash_contents) lines.append(", ").append(sha256_file(fs::path(folder) / files.path(entry)));
    lines += '\n';
    if (lines.size() < 60'000) continue;
    hash.update(lines);
    lines.clear();
  }
  hash.update(lines);
  FT_REQUIRE(any, "the folder {} holds no files", quote_path(folder));
  return "sha256:" + hash.hex();
}

std::string dataset_id(const fs::path& path, bool hash_contents) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) {
    if (is_shard_pattern(path.string())) {
      const ShardFiles shards = expand_shard_pattern(path.string());
      return folder_id(shards.list, shards.folder, hash_contents);
    }
    throw_errno(ENOENT, fmt::format("read {}", quote_path(path.string())));
  }
  if (!fs::is_directory(status)) return "sha256:" + sha256_file(path);
  const OpenFolder folder(path.string());
  return folder_id(list_folder(folder), folder.path(), hash_contents);
}

}  // namespace fettle
