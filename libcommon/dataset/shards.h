#pragma once
// Samples in archives as WebDataset keeps them: members that share a key (the path up to the first dot of the base name)
// make one sample, what follows that dot says which part of it a member is.
//
//   000017.jpg    the encoded image
//   000017.cls    its class, an ASCII integer
//   000017.json   in the place of .cls: an object with an integer "label" or "cls"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/file_list.h"

namespace fettle {

// Whether a path that does not exist means several files: it has a '*', a '?' or a range in braces ("{000..127}").
bool is_shard_pattern(std::string_view text);

struct ShardFiles {
  std::string folder;  // the last that the pattern names without a wildcard, "." for none
  FileList list;       // the files below it, sorted by path
};

// Ranges in braces are padded with zeros to the wider end where one end begins with a zero; each number must lead to a
// file. '*' and '?' match within one component, no leading dot. At most kMaxShards files.
// Errors (kInput): an empty or backward range, braces that hold none, missing files (the first and their number), nothing
// that matches, what is not a regular file.
ShardFiles expand_shard_pattern(const std::string& pattern);
inline constexpr int64_t kMaxShards = 20'000;

// "a/17" of "a/17.seg.png"; the whole path where the base name has no dot.
std::string_view key_of(std::string_view path);

// Whether an archive holds samples of this form rather than class folders: it has a visible member "<key>.cls", or the first
// of its images has a .json with a label beside it.
bool has_keyed_samples(const FileList& members, std::span<const uint8_t> bytes);

// The images of an archive with their labels, in the order of the archive. Hidden members, those without an extension and
// those of other kinds are left out.
// Errors (kInput, each starts with `name`): a member that occurs twice, two images of one key, an image without a label, a
// .cls without an image, a label that is no integer in 0..kMaxLabel, an image that is a link.
std::vector<FileEntry> label_by_key(const FileList& members, std::span<const uint8_t> bytes, std::string_view name);

}  // namespace fettle
