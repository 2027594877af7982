#include "io/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/errors.h"

namespace fettle {
namespace {

constexpr size_t kMostAtOnce = size_t{1} << 30;  // zlib counts in 32 bits
constexpr uint64_t kStep = 1 << 20;
constexpr uint64_t kMostGrowth = 1032;  // of deflate

// The size that the last member says it has, where that is possible. Address space of that size is reserved, so that what comes out
// is not moved again and again; pages are only taken as it comes out.
uint64_t size_hint(std::span<const uint8_t> bytes) {
  if (bytes.size() < 4) return 0;
  const uint8_t* const field = bytes.data() + bytes.size() - 4;
  const uint64_t size = uint64_t{field[3]} << 24 | uint64_t{field[2]} << 16 | uint64_t{field[1]} << 8 | field[0];
  return size <= bytes.size() * kMostGrowth ? size : 0;
}

struct Inflater {
  z_stream stream{};
  Inflater() { FT_CHECK(inflateInit2(&stream, 15 + 16) == Z_OK, "zlib does not start"); }  // 16: gzip, not zlib
  ~Inflater() { inflateEnd(&stream); }
};

}  // namespace

bool is_gzip(std::span<const uint8_t> bytes) { return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b; }

std::vector<uint8_t> gunzip(std::span<const uint8_t> bytes, uint64_t max_bytes, std::string_view name) {
  FT_CHECK(max_bytes < std::numeric_limits<uint64_t>::max());
  std::vector<uint8_t> out = gunzip_prefix(bytes, max_bytes + 1, name);
  FT_REQUIRE(out.size() <= max_bytes, "{} unpacks to more than the {} bytes that it may have", name, max_bytes);
  return out;
}

std::vector<uint8_t> gunzip_prefix(std::span<const uint8_t> bytes, uint64_t max_bytes, std::string_view name) {
  FT_REQUIRE(is_gzip(bytes), "{} is not gzip: it does not begin with 1f 8b", name);
  Inflater inflater;
  z_stream& stream = inflater.stream;
  std::vector<uint8_t> out;
  out.reserve(static_cast<size_t>(std::min(size_hint(bytes) + 1, max_bytes)));
  size_t in_used = 0;
  size_t out_used = 0;
  while (out_used < max_bytes) {
    if (out_used == out.size()) {
      const uint64_t reserved = std::min<uint64_t>(out.capacity(), out.size() + kStep);
      const uint64_t wanted = reserved > out.size() ? reserved : std::max<uint64_t>(65536, out.size() * 2);
      out.resize(static_cast<size_t>(std::min(wanted, max_bytes)));
    }
    const size_t in_size = std::min(bytes.size() - in_used, kMostAtOnce);
    const size_t out_size = std::min(out.size() - out_used, kMostAtOnce);
    stream.next_in = const_cast<Bytef*>(bytes.data() + in_used);
    stream.avail_in = static_cast<uInt>(in_size);
    stream.next_out = out.data() + out_used;
    stream.avail_out = static_cast<uInt>(out_size);
    const int status = inflate(&stream, Z_NO_FLUSH);
    in_used += in_size - stream.avail_in;
    out_used += out_size - stream.avail_out;
    if (status == Z_STREAM_END) {
      if (in_used == bytes.size()) break;
      FT_REQUIRE(is_gzip(bytes.subspan(in_used)), "{} has {} bytes after its end that are no gzip member", name, bytes.size() - in_used);
      FT_CHECK(inflateReset(&stream) == Z_OK);
      continue;
    }
    if (status == Z_MEM_ERROR) throw Error(ExitCode::kMachine, fmt::format("not enough memory to unpack {}", name));
    FT_REQUIRE(status == Z_OK || status == Z_BUF_ERROR,
               "{} is corrupt: {} at byte {} of {}", name, stream.msg != nullptr ? stream.msg : "bad gzip data", in_used, bytes.size());
    FT_REQUIRE(in_used < bytes.size() || out_used == out.size(),
               "{} is truncated: it ends in the middle of a gzip stream, after {} bytes", name, bytes.size());
  }
  out.resize(out_used);
  return out;
}

}  // namespace fettle
