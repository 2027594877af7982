// Maps, hashes and gzip.
#include <catch2/catch.hpp>
#include <sys/stat.h>

#include <utility>

#include "io/gzip.h"
#include "io/mapped_file.h"
#include "io/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/gzip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

std::span<const uint8_t> as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
std::string as_text(std::span<const uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

TEST_CASE("mapped file: bytes of a file, none of an empty one, and it moves") {
  TempDir dir;
  write_text(dir / "a", "mapped");
  write_text(dir / "empty", "");
  MappedFile file(dir / "a");
  CHECK(as_text(file.bytes()) == "mapped");
  MappedFile moved(std::move(file));
  CHECK(as_text(moved.bytes()) == "mapped");
  CHECK(moved.path() == dir / "a");
  MappedFile other(dir / "empty");
  CHECK(other.bytes().empty());
  other = std::move(moved);
  CHECK(as_text(other.bytes()) == "mapped");
}

TEST_CASE("mapped file: only regular files") {
  TempDir dir;
  expect_error(ExitCode::kInput, "but a folder", [&] { MappedFile file(dir.path()); });
  expect_error(ExitCode::kInput, "No such file", [&] { MappedFile file(dir / "none"); });
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  expect_error(ExitCode::kInput, "not a regular file", [&] { MappedFile file(dir / "pipe"); });
}

TEST_CASE("sha256: the standard's examples, in pieces and from a file") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 hash;
  hash.update("a");
  CHECK(hash.hex() == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb");
  hash.update("bc");
  CHECK(hash.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  TempDir dir;
  write_text(dir / "million", std::string(1'000'000, 'a'));
  CHECK(sha256_file(dir / "million") == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  write_text(dir / "longer", std::string(3'000'000, 'a'));
  CHECK(sha256_file(dir / "longer") == sha256_hex(std::string(3'000'000, 'a')));
  expect_error(ExitCode::kInput, "not a regular file", [&] { sha256_file(dir.path()); });
  expect_error(ExitCode::kInput, "No such file", [&] { sha256_file(dir / "none"); });
}

TEST_CASE("gzip: one member, several, none of any length") {
  const std::string text(300'000, 'x');
  CHECK(as_text(gunzip(as_bytes(gzip("hello")), 5)) == "hello");
  CHECK(as_text(gunzip(as_bytes(gzip(text)), 300'000)) == text);
  CHECK(as_text(gunzip(as_bytes(gzip("hello ") + gzip("") + gzip("world")), 100)) == "hello world");
  CHECK(gunzip(as_bytes(gzip("")), 0).empty());
  CHECK(is_gzip(as_bytes(gzip(""))));
  CHECK_FALSE(is_gzip(as_bytes("\x1f")));
}

TEST_CASE("gzip: memory follows the size, and a last member that is smaller misleads nobody") {
  const std::string text(5'000'000, 'x');
  const std::vector<uint8_t> whole = gunzip(as_bytes(gzip(text)), 10'000'000);
  CHECK(as_text(whole) == text);
  CHECK(whole.capacity() <= text.size() + 1);
  CHECK(as_text(gunzip(as_bytes(gzip(text) + gzip("end")), 10'000'000)) == text + "end");
  CHECK(as_text(gunzip_prefix(as_bytes(gzip(text)), 1'500'000)) == text.substr(0, 1'500'000));
}

TEST_CASE("gzip: truncated at any byte is said so") {
  const std::string whole = gzip("the quick brown fox jumps over the lazy dog");
  for (size_t size = 2; size < whole.size(); ++size) {
    INFO("size " << size);
    expect_error(ExitCode::kInput, "x.gz is truncated", [&] { gunzip(as_bytes(std::string_view(whole).substr(0, size)), 1000, "x.gz"); });
  }
  expect_error(ExitCode::kInput, "not gzip", [&] { gunzip(as_bytes(std::string_view(whole).substr(0, 1)), 1000); });
  expect_error(ExitCode::kInput, "truncated", [&] { gunzip(as_bytes(whole + whole.substr(0, 12)), 1000); });
}

TEST_CASE("gzip: garbage, wrong checksums and bombs are refused") {
  std::string whole = gzip("the quick brown fox jumps over the lazy dog");
  expect_error(ExitCode::kInput, "7 bytes after its end", [&] { gunzip(as_bytes(whole + "garbage"), 1000); });
  expect_error(ExitCode::kInput, "1 bytes after its end", [&] { gunzip(as_bytes(whole + std::string(1, '\0')), 1000); });
  whole[whole.size() - 6] = static_cast<char>(whole[whole.size() - 6] ^ 1);
  expect_error(ExitCode::kInput, "corrupt: incorrect data check", [&] { gunzip(as_bytes(whole), 1000); });
  expect_error(ExitCode::kInput, "not gzip", [&] { gunzip(as_bytes("PK\x03\x04"), 1000); });
  expect_error(ExitCode::kInput, "more than the 999999 bytes", [&] { gunzip(as_bytes(gzip(std::string(1'000'000, 'x'))), 999'999); });
}

TEST_CASE("gzip: a prefix stops where it is told, and checks what it reads to the end") {
  const std::string whole = gzip("hello world");
  CHECK(as_text(gunzip_prefix(as_bytes(whole), 5)) == "hello");
  CHECK(as_text(gunzip_prefix(as_bytes(whole), 12)) == "hello world");
  expect_error(ExitCode::kInput, "after its end", [&] { gunzip_prefix(as_bytes(whole + "?"), 12); });
}
