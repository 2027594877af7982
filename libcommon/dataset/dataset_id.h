#pragma once
// The identity of raw data, which an artifact records for each input.

#include <filesystem>
#include <string>

#include "dataset/file_list.h"

namespace fettle {

// "sha256:<64 hex digits>".
//   A file: the hash of its contents.
//   A folder: the hash of one line "<relative path>, <bytes>\n" for each regular file below it, sorted by path bytewise;
//   with hash_contents "<relative path>, <bytes>, <sha256>\n". All regular files count, hidden ones too; symbolic links
//   count as what they lead to. In paths '\' and line ends are written "\\" and "\n".
//   A pattern of shards (dataset/shards.h) where there is no file of that name: as a folder that holds these files alone,
//   paths relative to the last folder that the pattern names without a wildcard.
// Errors (kInput): missing, unreadable, a folder without files, links that lead nowhere or in a circle.
std::string dataset_id(const std::filesystem::path& path, bool hash_contents);

// The same, of a folder whose files have been listed. `folder` is where they lie.
std::string folder_id(const FileList& files, const std::string& folder, bool hash_contents);

}  // namespace fettle
