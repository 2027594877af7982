#pragma once
// Gzip streams by zlib, whole in memory. Memory follows what really comes out, never a field that says how much would.
//
// Legal: several members after one another (as `cat a.gz b.gz` makes them). Errors (kInput, each starts with `name`): not
// gzip, truncated, corrupt (zlib's words, checksums included), bytes after the end that start no further member.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace fettle {

bool is_gzip(std::span<const uint8_t> bytes);  // by its first two bytes

// Everything; more than max_bytes is an error (a gzip bomb grows a thousandfold).
std::vector<uint8_t> gunzip(std::span<const uint8_t> bytes, uint64_t max_bytes, std::string_view name = "gzip data");

// The first max_bytes, without a look at what follows; all of it, checked to the end, when there is less.
std::vector<uint8_t> gunzip_prefix(std::span<const uint8_t> bytes, uint64_t max_bytes, std::string_view name = "gzip data");

}  // namespace fettle
