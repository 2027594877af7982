#pragma once
// The identity of raw data, which an artifact records for each input.

#include <filesystem>
#include <string>

namespace fettle {

// "sha256:<64 hex digits>".
//   A file: the hash of its contents.
//   A folder: the hash of one line "<relative path>, <bytes>\n" for each regular file below it, sorted by path bytewise;
//   with hash_contents "<relative path>, <bytes>, <sha256>\n". All regular files count, hidden ones too; symbolic links
//   count as what they lead to. In paths '\' and line ends are written "\\" and "\n".
// Errors (kInput): missing, unreadable, a folder without files, links that lead nowhere or in a circle.
std::string dataset_id(const std::filesystem::path& path, bool hash_contents);

}  // namespace fettle
