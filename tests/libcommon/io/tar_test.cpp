#include "io/tar.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "tests/support/expect_error.h"
#include "tests/support/skip.h"
#include "tests/support/tar_files.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;
using namespace fettle::test::tar;

namespace {

std::span<const uint8_t> as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

std::vector<TarMember> index(const std::string& archive) { return index_tar(as_bytes(archive), "'t'"); }

void refused(const std::string& part, const std::string& archive) {
  expect_error(ExitCode::kInput, part, [&] { index(archive); });
}

std::string data_of(const std::string& archive, const TarMember& m) { return archive.substr(m.data_offset, m.size); }

}  // namespace

TEST_CASE("tar: every format that GNU tar writes is indexed as it was packed") {
  if (std::system("tar --version > /dev/null 2>&1") != 0) return skip("no tar here");
  TempDir dir;
  const std::string long_name(90, 'n');
  const std::string longer_name = std::string(120, 'd') + "/" + std::string(150, 'f');
  std::filesystem::create_directories(dir / "in/sub");
  write_text(dir / "in/sub/file", "contents");
  write_text(dir / "in/sub/empty", "");
  write_text(dir / ("in/" + long_name), std::string(512, 'b'));
  std::filesystem::create_symlink("sub/file", dir / "in/link");
  std::filesystem::create_hard_link(dir / "in/sub/file", dir / "in/zhard");
  for (const std::string format : {"v7", "ustar", "gnu", "pax"}) {
    INFO(format);
    const bool knows_long_names = format == "gnu" || format == "pax";
    if (knows_long_names) {
      std::filesystem::create_directories((dir / "in" / longer_name).parent_path());
      write_text(dir / "in" / longer_name, "far away");
      std::error_code exists;
      std::filesystem::create_symlink(longer_name, dir / "in/longlink", exists);
    }
    REQUIRE(std::system(("cd '" + dir.path().string() + "' && tar --sort=name --format=" + format + " -cf out.tar in").c_str()) == 0);
    const std::string archive = read_text(dir / "out.tar");
    const auto members = index(archive);
    const auto find = [&](const std::string& path) {
      for (const auto& m : members) {
        if (m.path == path) return m;
      }
      FAIL("no member " << path);
      return TarMember{};
    };
    CHECK(members.size() == (knows_long_names ? 10 : 7));
    CHECK(find("in/sub/").type == TarType::kDirectory);
    CHECK(find("in/sub/file").type == TarType::kFile);
    CHECK(data_of(archive, find("in/sub/file")) == "contents");
    CHECK(find("in/sub/empty").size == 0);
    CHECK(data_of(archive, find("in/" + long_name)) == std::string(512, 'b'));
    CHECK(find("in/link").type == TarType::kSymlink);
    CHECK(find("in/link").link_target == "sub/file");
    CHECK(find("in/zhard").type == TarType::kHardlink);
    CHECK(find("in/zhard").link_target == "in/sub/file");
    CHECK(find("in/zhard").size == 0);
    if (knows_long_names) {
      CHECK(data_of(archive, find("in/" + longer_name)) == "far away");
      CHECK(find("in/longlink").link_target == longer_name);
    }
    for (const auto& m : members) CHECK(m.safe_path);
  }
}

TEST_CASE("tar: POSIX's prefix belongs to the name, GNU's does not") {
  const std::string posix = member({.name = "file", .prefix = "deep/folder"}, "x");
  CHECK(index(posix + kEnd).at(0).path == "deep/folder/file");
  const std::string gnu = member({.name = "file", .magic = std::string("ustar  \0", 8), .prefix = "1234"}, "x");
  CHECK(index(gnu + kEnd).at(0).path == "file");
}

TEST_CASE("tar: a v7 directory is known by its slash") {
  CHECK(index(header_block({.name = "d/", .type = '\0', .magic = ""}) + kEnd).at(0).type == TarType::kDirectory);
  CHECK(index(member({.name = "f", .type = '\0', .magic = ""}, "x") + kEnd).at(0).type == TarType::kFile);
}

TEST_CASE("tar: sizes in octal with blanks, empty and in base 256") {
  const std::string data = "abc" + std::string(509, '\0');
  CHECK(index(header_block({.size = "         3 "}) + data + kEnd).at(0).size == 3);
  CHECK(index(header_block({.size = ""}) + kEnd).at(0).size == 0);
  std::string base256(12, '\0');
  base256[0] = static_cast<char>(0x80);
  base256[11] = 3;
  CHECK(index(header_block({.size = base256}) + data + kEnd).at(0).size == 3);
  base256[3] = 1;
  refused("has no valid size", header_block({.size = base256}) + data + kEnd);
  refused("has no valid size", header_block({.size = std::string(12, '\xff')}) + data + kEnd);
  refused("has no valid size", header_block({.size = "0000000000x"}) + data + kEnd);
  refused("has no valid size", header_block({.size = "-1"}) + data + kEnd);
}

TEST_CASE("tar: pax records rename, relink and resize the next member only") {
  const std::string three = header_block({.name = "short", .size = "00000000777"}) + "abc" + std::string(509, '\0');
  const auto members = index(pax(record("comment", "only for you") + record("path", "dir/\xc3\xa4 long name") + record("size", "3") + record("mtime", "1.5e99")) + three +
                             member({.name = "next"}, "x") + pax(record("linkpath", "a/b/c/d")) + member({.name = "l", .type = '2', .link = "old"}, "") + kEnd);
  REQUIRE(members.size() == 3);
  CHECK(members[0].path == "dir/\xc3\xa4 long name");
  CHECK(members[0].size == 3);
  CHECK(members[1].path == "next");
  CHECK(members[1].size == 1);
  CHECK(members[2].path == "l");
  CHECK(members[2].link_target == "a/b/c/d");
}

TEST_CASE("tar: pax wins over GNU's long name, and an empty value takes it back") {
  const std::string gnu_long = member({.name = "././@LongLink", .type = 'L'}, std::string("from-gnu\0", 9));
  CHECK(index(gnu_long + member({.name = "a"}, "") + kEnd).at(0).path == "from-gnu");
  CHECK(index(pax(record("path", "from-pax")) + gnu_long + member({.name = "a"}, "") + kEnd).at(0).path == "from-pax");
  CHECK(index(gnu_long + pax(record("path", "from-pax")) + member({.name = "a"}, "") + kEnd).at(0).path == "from-pax");
  CHECK(index(pax(record("path", "from-pax") + record("path", "")) + member({.name = "a"}, "") + kEnd).at(0).path == "a");
}

TEST_CASE("tar: malformed pax records are refused") {
  for (const std::string bad : {"path=x\n", "8 path=xy\n", "99 path=x\n", "0 path=x\n", "9path=xy\n", " 9 path=x\n", "3 \n", "18446744073709551616 path=x\n", "9 path=xy"}) {
    INFO(bad);
    refused("pax record", pax(bad) + member({}, "") + kEnd);
  }
  refused("pax size '3x'", pax(record("size", "3x")) + member({}, "") + kEnd);
  refused("pax size '-3'", pax(record("size", "-3")) + member({}, "") + kEnd);
  refused("sparse", pax(record("GNU.sparse.major", "1")) + member({}, "") + kEnd);
  refused("is a sparse file", member({.type = 'S'}, "") + kEnd);
}

TEST_CASE("tar: global headers are read over unless they would rename everything") {
  CHECK(index(pax(record("comment", "abcd"), 'g') + member({.name = "a"}, "x") + kEnd).at(0).path == "a");
  refused("sets 'path' for every member", pax(record("path", "x"), 'g') + member({}, "") + kEnd);
}

TEST_CASE("tar: paths that leave the folder are marked") {
  for (const std::string path : {"../x", "a/../../x", "/etc/passwd", "..", "a/..", "..a/../b", ""}) {
    INFO(path);
    CHECK_FALSE(index(member({.name = path}, "x") + kEnd).at(0).safe_path);
  }
  for (const std::string path : {"a", "./a", "a/b/", "..a/b..", "a//b", "...", "a/.../b", "a../b"}) {
    INFO(path);
    CHECK(index(member({.name = path}, "x") + kEnd).at(0).safe_path);
  }
  CHECK_FALSE(index(pax(record("path", std::string("a\0b", 3))) + member({}, "") + kEnd).at(0).safe_path);
}

TEST_CASE("tar: links, devices and pipes bring no data, unknown types do") {
  CHECK(index(header_block({.name = "l", .type = '2', .size = "00000001000"}) + member({.name = "b"}, "x") + kEnd).size() == 2);
  CHECK(index(header_block({.name = "dev", .type = '3', .size = "00000001000"}) + kEnd).at(0).type == TarType::kOther);
  const auto members = index(member({.name = "v", .type = 'V'}, "label") + member({.name = "b"}, "x") + kEnd);
  CHECK(members.at(0).type == TarType::kOther);
  CHECK(members.at(1).path == "b");
}

TEST_CASE("tar: missing end blocks are legal at the end of the file only") {
  const std::string one = member({}, "x");
  CHECK(index(one).size() == 1);
  CHECK(index(one + std::string(512, '\0')).size() == 1);
  CHECK(index(one + std::string(10240, '\0')).size() == 1);
  CHECK(index("").empty());
  refused("data after its end", one + kEnd + one);
  refused("data after its end", one + std::string(512, '\0') + one);
  refused("truncated: 511 bytes", one + std::string(511, '\0'));
  refused("ends after an extended header", one + pax(record("path", "x")));
  refused("ends after an extended header", pax(record("path", "x")) + kEnd);
}

TEST_CASE("tar: truncated anywhere inside is refused") {
  const std::string whole = member({.name = "a"}, "x") + member({.name = "b"}, std::string(600, 'y'));
  REQUIRE(whole.size() == 2560);
  for (size_t size = 1; size < whole.size(); ++size) {
    if (size == 1024) continue;  // the end of the first member
    INFO(size);
    expect_error(ExitCode::kInput, "truncated", [&] { index(whole.substr(0, size)); });
  }
  refused("the member at offset 0 has 8589934591 bytes", header_block({.size = "77777777777"}) + kEnd);
}

TEST_CASE("tar: a wrong checksum is refused, a signed one is not") {
  std::string archive = member({}, "x") + kEnd;
  archive[0] = 'b';
  refused("wrong header checksum at offset 0", archive);
  refused("no tar archive", std::string(512, 'x'));

  std::string block = header_block({.name = "\xc3\xa4"});
  put(block, 148, "        ");
  int sum = 0;
  for (const char c : block) sum += static_cast<signed char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", static_cast<unsigned>(sum));
  put(block, 148, std::string(text, 6) + std::string("\0 ", 2));
  CHECK(index(block).size() == 1);
}

TEST_CASE("tar: limits bound what an archive can ask for") {
  const std::string archive = member({.name = "aaaa"}, "") + member({.name = "b"}, "");
  expect_error(ExitCode::kInput, "more than the 1 members", [&] { index_tar(as_bytes(archive), "'t'", {.max_members = 1}); });
  expect_error(ExitCode::kInput, "a path of more than 3 bytes", [&] { index_tar(as_bytes(archive), "'t'", {.max_path_bytes = 3}); });
  expect_error(ExitCode::kInput, "more than the 8 allowed", [&] { index_tar(as_bytes(pax(record("path", "x")) + archive), "'t'", {.max_pax_bytes = 8}); });
}

TEST_CASE("tar: an archive is known by its first header") {
  CHECK(is_tar(as_bytes(member({}, "x"))));
  CHECK_FALSE(is_tar(as_bytes("")));
  CHECK_FALSE(is_tar(as_bytes(member({}, "").substr(0, 511))));
  CHECK_FALSE(is_tar(as_bytes(kEnd)));
  std::string wrong = member({}, "x");
  wrong[0] = 'b';
  CHECK_FALSE(is_tar(as_bytes(wrong)));
}

TEST_CASE("tar: members are handed out one by one, up to what is wrong") {
  std::string archive = member({.name = "a"}, "x") + member({.name = "b"}, "y");
  std::vector<std::string> paths;
  const auto visit = [&](TarMember&& found) { paths.push_back(std::move(found.path)); };
  visit_tar(as_bytes(archive + kEnd), "'t'", visit);
  CHECK(paths == std::vector<std::string>{"a", "b"});
  paths.clear();
  expect_error(ExitCode::kInput, "'t' is truncated", [&] { visit_tar(as_bytes(archive + "z"), "'t'", visit); });
  CHECK(paths == std::vector<std::string>{"a", "b"});
  CHECK_THROWS_WITH(visit_tar(as_bytes(archive), "'t'", [](TarMember&&) { throw std::runtime_error("enough"); }), "enough");
}
