#pragma once
// IDX, the format of MNIST and its relatives (http://yann.lecun.com/exdb/mnist/): two zero bytes, a type byte, the rank, a
// big-endian 32-bit size a dimension, then the values. Plain or gzip, told apart by their first bytes, not their name.
//
// Errors (kInput, each starts with the file's name): not IDX, a type other than unsigned bytes, a rank other than 1..4, a
// dimension of 0, fewer bytes than the dimensions need ("truncated"), more ("oversized"), a broken gzip stream.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace fettle {

struct IdxArray {
  std::vector<int64_t> shape;  // 1 to 4 sizes, each > 0
  std::vector<uint8_t> data;   // row-major, exactly the product of the sizes
};

inline constexpr uint64_t kMaxIdxBytes = uint64_t{4} << 30;

// max_bytes bounds the unpacked file. Memory follows the bytes that are there, not the dimensions that are claimed.
IdxArray read_idx(const std::filesystem::path& path, uint64_t max_bytes = kMaxIdxBytes);
IdxArray decode_idx(std::span<const uint8_t> bytes, std::string_view name, uint64_t max_bytes = kMaxIdxBytes);

}  // namespace fettle
