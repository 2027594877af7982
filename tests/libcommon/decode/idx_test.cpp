#include "decode/idx.h"

#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/gzip.h"
#include "tests/support/idx_files.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

IdxArray decode(const std::string& file, uint64_t max_bytes = kMaxIdxBytes) {
  return decode_idx({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "'f'", max_bytes);
}

// Plain and gzipped files fail in the same words.
void refused(const std::string& part, const std::string& file, uint64_t max_bytes = kMaxIdxBytes) {
  INFO(part);
  expect_error(ExitCode::kInput, part, [&] { decode(file, max_bytes); });
  expect_error(ExitCode::kInput, part, [&] { decode(gzip(file), max_bytes); });
}

}  // namespace

TEST_CASE("idx: ranks 1 to 4, plain and gzip") {
  for (const auto& shape : std::vector<std::vector<uint32_t>>{{6}, {2, 3}, {1, 2, 3}, {3, 1, 2, 1}}) {
    const std::string file = idx_file(shape, "abcdef");
    for (const IdxArray& array : {decode(file), decode(gzip(file)), decode(gzip(file.substr(0, 7)) + gzip(file.substr(7)))}) {
      CHECK(array.shape == std::vector<int64_t>(shape.begin(), shape.end()));
      CHECK(std::string(array.data.begin(), array.data.end()) == "abcdef");
    }
  }
}

TEST_CASE("idx: a file is told by its bytes, not its name, and errors name it") {
  TempDir dir;
  write_text(dir / "a.gz", idx_file({2}, "ab"));
  write_text(dir / "b", gzip(idx_file({2}, "cd")));
  CHECK(read_idx(dir / "a.gz").data == std::vector<uint8_t>{'a', 'b'});
  CHECK(read_idx(dir / "b").data == std::vector<uint8_t>{'c', 'd'});
  write_text(dir / "bad", "xx");
  expect_error(ExitCode::kInput, "'" + (dir / "bad").string() + "'", [&] { read_idx(dir / "bad"); });
  expect_error(ExitCode::kInput, "No such file", [&] { read_idx(dir / "none"); });
  write_text(dir / "empty", "");
  expect_error(ExitCode::kInput, "truncated: 0 bytes", [&] { read_idx(dir / "empty"); });
}

TEST_CASE("idx: wrong magic, type, rank and sizes are refused by name") {
  refused("begins with 50 4b, expected 00 00", "PK\3\4aaaaaaaa");
  refused("begins with 00 01", std::string("\0\1\x08\1\0\0\0\1x", 9));
  refused("type 0x0d (32-bit floats), expected 0x08", idx_file({1}, "abcd", 0x0d));
  refused("type 0x0b (16-bit integers)", idx_file({1}, "ab", 0x0b));
  refused("type 0x0c (32-bit integers)", idx_file({1}, "abcd", 0x0c));
  refused("type 0x09 (signed bytes)", idx_file({1}, "a", 0x09));
  refused("type 0x0e (64-bit floats)", idx_file({1}, "abcdefgh", 0x0e));
  refused("type 0xff (no IDX type)", idx_file({1}, "a", 0xff));
  refused("has 0 dimensions", idx_file({}, "abcdefgh"));
  refused("has 5 dimensions", idx_file({1, 1, 1, 1, 1}, "a"));
  refused("a size of 0 in dimension 1", idx_file({3, 0}, ""));
}

TEST_CASE("idx: truncated and oversized are told apart") {
  const std::string whole = idx_file({2, 3}, "abcdef");
  for (size_t size = 0; size < whole.size(); ++size) refused("truncated", whole.substr(0, size));
  refused("17 bytes, its dimensions need 18", whole.substr(0, 17));
  refused("oversized: more than the 18 bytes", whole + "g");
  refused("oversized", whole + std::string(1'000'000, 'g'));
}

TEST_CASE("idx: sizes that lie cost neither memory nor sense") {
  refused("claims 4294967295 values, more than the 4294967296 bytes", idx_file({0xffffffff}, "abc"));
  refused("claims over 2^64 values", idx_file({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, "abc"));
  refused("claims 18446744065119617025 values", idx_file({0xffffffff, 0xffffffff}, "abc"));
  refused("truncated: 15 bytes, its dimensions need 4294966296", idx_file({4'294'966'284, 1}, "abc"));
  refused("more than the 17 bytes that it may have", idx_file({2, 3}, "abcdef"), 17);
  CHECK(decode(idx_file({2, 3}, "abcdef"), 18).data.size() == 6);
}

TEST_CASE("idx: gzip errors come through with the file's name") {
  const std::string packed = gzip(idx_file({2, 3}, "abcdef"));
  expect_error(ExitCode::kInput, "'f' is truncated", [&] { decode(packed.substr(0, packed.size() - 1)); });
  expect_error(ExitCode::kInput, "'f' is truncated", [&] { decode(packed.substr(0, 12)); });
  expect_error(ExitCode::kInput, "'f' has 4 bytes after its end", [&] { decode(packed + "junk"); });
  std::string corrupt = packed;
  corrupt[corrupt.size() - 6] = static_cast<char>(corrupt[corrupt.size() - 6] ^ 1);
  expect_error(ExitCode::kInput, "'f' is corrupt", [&] { decode(corrupt); });
  // A bomb is not unpacked further than the dimensions allow.
  expect_error(ExitCode::kInput, "oversized", [&] { decode(gzip(idx_file({1}, std::string(100'000'000, 'x')))); });
}
