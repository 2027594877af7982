#pragma once
// Small text helpers for messages and names.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

std::vector<std::string> split(std::string_view text, char separator);       // "a,,b" -> {"a", "", "b"}; "" -> {}
std::string join(const std::vector<std::string>& parts, std::string_view separator);

// 'text' for a message: control characters as \x1b, at most `most` bytes (the rest is "..."). For names out of hostile files.
std::string quote(std::string_view text, size_t most = 100);
std::string quote_path(std::string_view path);  // as quote, whole up to the longest path that the system knows (4,096 bytes)

bool parse_number(std::string_view text, double& number);  // the whole text, as JSON and C write it; finite

// "512", "1.5GiB", "4G", "500MB": K, M, G, T and KiB to TiB are powers of 1024, KB to TB powers of 1000, as coreutils have it; in any
// case. Whole bytes, rounded down, from 0 to 2^62.
bool parse_bytes(std::string_view text, int64_t& bytes);

std::string to_lower(std::string text);  // of ASCII; other bytes stay

// Bytes of the well-formed UTF-8 sequence at the beginning of a text that is not empty, and its code point; 0 when there is none.
size_t decode_utf8(std::string_view text, uint32_t& point);
bool is_utf8(std::string_view text);

// The candidate with the smallest edit distance to `word`, or "" when none is within a third of its length (at least 1).
std::string nearest_word(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace fettle
