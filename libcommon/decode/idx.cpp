#include "decode/idx.h"

#include "base/errors.h"
#include "io/gzip.h"
#include "io/mapped_file.h"

namespace fettle {
namespace {

constexpr uint64_t kMaxRank = 4;
constexpr uint64_t kMaxHeaderBytes = 4 + 4 * kMaxRank;
constexpr uint8_t kUnsignedByte = 0x08;

std::string_view type_name(uint8_t type) {
  switch (type) {
    case 0x09: return "signed bytes";
    case 0x0b: return "16-bit integers";
    case 0x0c: return "32-bit integers";
    case 0x0d: return "32-bit floats";
    case 0x0e: return "64-bit floats";
    default: return "no IDX type";
  }
}

struct Header {
  std::vector<int64_t> shape;
  uint64_t header_bytes = 0;
  uint64_t total_bytes = 0;  // header and values
};

// `bytes`: at least the first kMaxHeaderBytes of the unpacked file, or all of it.
Header parse_header(std::span<const uint8_t> bytes, std::string_view name, uint64_t max_bytes) {
  FT_REQUIRE(bytes.size() >= 4, "{} is truncated: {} bytes, an IDX header has at least 8", name, bytes.size());
  FT_REQUIRE(bytes[0] == 0 && bytes[1] == 0, "{} is no IDX file: it begins with {:02x} {:02x}, expected 00 00", name, bytes[0], bytes[1]);
  FT_REQUIRE(bytes[2] == kUnsignedByte,
             "{} holds values of type 0x{:02x} ({}), expected 0x08 (unsigned bytes)", name, bytes[2], type_name(bytes[2]));
  const uint64_t rank = bytes[3];
  FT_REQUIRE(rank >= 1 && rank <= kMaxRank, "{} has {} dimensions, expected 1 to {}", name, rank, kMaxRank);
  Header header;
  header.header_bytes = 4 + 4 * rank;
  FT_REQUIRE(bytes.size() >= header.header_bytes, "{} is truncated: {} bytes, its header has {}", name, bytes.size(), header.header_bytes);
  uint64_t num_values = 1;
  bool overflow = false;
  for (size_t i = 0; i < rank; ++i) {
    const uint8_t* field = bytes.data() + 4 + 4 * i;
    const uint64_t size = uint64_t{field[0]} << 24 | uint64_t{field[1]} << 16 | uint64_t{field[2]} << 8 | field[3];
    FT_REQUIRE(size > 0, "{} has a size of 0 in dimension {}", name, i);
    overflow = __builtin_mul_overflow(num_values, size, &num_values) || overflow;
    header.shape.push_back(static_cast<int64_t>(size));
  }
  overflow = __builtin_add_overflow(num_values, header.header_bytes, &header.total_bytes) || overflow;
  FT_REQUIRE(!overflow && header.total_bytes <= max_bytes,
             "{} claims {} values, more than the {} bytes that it may have",
             name, overflow ? "over 2^64" : std::to_string(num_values), max_bytes);
  return header;
}

}  // namespace

IdxArray read_idx(const std::filesystem::path& path, uint64_t max_bytes) {
  const MappedFile file(path);
  return decode_idx(file.bytes(), fmt::format("'{}'", path.string()), max_bytes);
}

IdxArray decode_idx(std::span<const uint8_t> bytes, std::string_view name, uint64_t max_bytes) {
  Header header;
  std::vector<uint8_t> unpacked;
  if (is_gzip(bytes)) {
    header = parse_header(gunzip_prefix(bytes, kMaxHeaderBytes, name), name, max_bytes);
    // One byte more than it should have: it shows what is oversized, and a bomb ends there.
    unpacked = gunzip_prefix(bytes, header.total_bytes + 1, name);
    bytes = unpacked;
  } else {
    header = parse_header(bytes, name, max_bytes);
  }
  FT_REQUIRE(bytes.size() >= header.total_bytes,
             "{} is truncated: {} bytes, its dimensions need {}", name, bytes.size(), header.total_bytes);
  FT_REQUIRE(bytes.size() == header.total_bytes,
             "{} is oversized: more than the {} bytes that its dimensions need", name, header.total_bytes);
  const auto values = bytes.subspan(static_cast<size_t>(header.header_bytes));
  IdxArray array;
  array.shape = std::move(header.shape);
  if (unpacked.empty()) {
    array.data.assign(values.begin(), values.end());
  } else {
    unpacked.erase(unpacked.begin(), unpacked.begin() + static_cast<std::ptrdiff_t>(header.header_bytes));
    array.data = std::move(unpacked);
  }
  return array;
}

}  // namespace fettle
