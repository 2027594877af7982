#include "dataset/file_list.h"

#include <catch2/catch.hpp>
#include <fmt/core.h>
#include <sys/stat.h>

#include "dataset/dataset_id.h"
#include "tests/support/expect_error.h"
#include "tests/support/tar_files.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

using Lines = std::vector<std::string>;

// "path size", and "path@offset size" for archives.
Lines lines_of(const FileList& list) {
  Lines lines;
  for (const FileEntry& entry : list.entries) {
    const char* const kind = entry.kind == FileKind::kLink ? " link" : "";
    const std::string place = entry.offset > 0 ? fmt::format("@{}", entry.offset) : "";
    lines.push_back(entry.kind == FileKind::kFolder ? std::string(list.path(entry)) : fmt::format("{}{} {}{}", list.path(entry), place, entry.size, kind));
    CHECK(list.text[entry.path + entry.path_bytes] == '\0');
  }
  return lines;
}

Lines list(const TempDir& dir) { return lines_of(list_folder(OpenFolder(dir.path().string()))); }

Lines list_tar(const std::string& archive) { return lines_of(list_archive({reinterpret_cast<const uint8_t*>(archive.data()), archive.size()}, "'t'")); }

}  // namespace

TEST_CASE("file list: a folder's files and folders come sorted by whole path, bytewise") {
  TempDir dir;
  write_tree(dir.path(), {{"b/2", "xx"}, {"b/1", ""}, {"b-c", "xxx"}, {"b/deep/er/f", "x"}, {"B", ""}, {".hidden/x", "1234"}, {"empty/", ""}, {"\xc3\xa4\n", "x"}, {"b.d/1", ""}});
  CHECK(list(dir) == Lines{".hidden/", ".hidden/x 4", "B 0", "b-c 3", "b.d/", "b.d/1 0", "b/", "b/1 0", "b/2 2", "b/deep/", "b/deep/er/", "b/deep/er/f 1", "empty/", "\xc3\xa4\n 1"});
}

TEST_CASE("file list: links count as what they lead to, pipes do not count") {
  TempDir dir;
  TempDir elsewhere;
  write_tree(elsewhere.path(), {{"sub/f", "abc"}});
  std::filesystem::create_symlink(elsewhere / "sub", dir / "folder");
  std::filesystem::create_symlink(elsewhere / "sub/f", dir / "file");
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK(list(dir) == Lines{"file 3", "folder/", "folder/f 3"});
}

TEST_CASE("file list: links in circles and to nowhere are named") {
  TempDir dir;
  write_tree(dir.path(), {{"a/b/f", ""}});
  std::filesystem::create_symlink("..", dir / "a/b/up");
  expect_error(ExitCode::kInput, dir.path().string() + "/a/b/up/' leads back to a folder that holds it", [&] { list(dir); });
  std::filesystem::remove(dir / "a/b/up");
  std::filesystem::create_symlink("self", dir / "self");
  expect_error(ExitCode::kInput, "/self' is a link that leads in a circle", [&] { list(dir); });
  std::filesystem::remove(dir / "self");
  std::filesystem::create_symlink("gone\n", dir / "a\n");
  expect_error(ExitCode::kInput, "/a\\x0a' is a link that leads nowhere", [&] { list(dir); });
}

TEST_CASE("file list: twice the same folder through links is no circle") {
  TempDir dir;
  write_tree(dir.path(), {{"a/f", ""}});
  std::filesystem::create_symlink("a", dir / "b");
  CHECK(list(dir) == Lines{"a/", "a/f 0", "b/", "b/f 0"});
}

TEST_CASE("file list: a folder must be one, and paths may be as long as the system allows") {
  TempDir dir;
  write_text(dir / "file", "");
  expect_error(ExitCode::kInput, "file': Not a directory", [&] { OpenFolder((dir / "file").string()); });
  expect_error(ExitCode::kInput, "none': No such file", [&] { OpenFolder((dir / "none").string()); });
  // 17 folders of 240 bytes are too many. Each is made from inside the last: no path to it is short enough.
  TempDir deep;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(deep.path());
  for (int i = 0; i < 18; ++i) {
    std::filesystem::create_directory(std::string(240, 'd'));
    std::filesystem::current_path(std::string(240, 'd'));
  }
  for (int i = 0; i < 18; ++i) std::filesystem::current_path("..");
  std::filesystem::current_path(before);
  expect_error(ExitCode::kInput, "is a path of more than 4095 bytes", [&] { list(deep); });
}

TEST_CASE("file list: joins paths for messages") {
  TempDir dir;
  const std::string path = dir.path().string();
  CHECK(OpenFolder(path).join("a/b") == path + "/a/b");
  CHECK(OpenFolder(path + "/").join("a") == path + "/a");
  CHECK(OpenFolder(path).join("/else/where") == "/else/where");
}

TEST_CASE("file list: an archive's members are sorted, their paths made plain") {
  using namespace tar;
  const std::string archive = member({.name = "./b/2"}, "xx") + member({.name = "./", .type = '5'}, "") + member({.name = "b//1"}, "") + header_block({.name = "b/l", .type = '2', .link = "/etc"}) +
                              header_block({.name = "b/h", .type = '1', .link = "b/2"}) + header_block({.name = "pipe", .type = '6'}) + member({.name = "b", .type = '5'}, "") +
                              member({.name = "a/./c/./d"}, "xyz") + kEnd;
  CHECK(list_tar(archive) == Lines{"a/c/d@4608 3", "b/", "b/1@2048 0", "b/2@512 2", "b/h@3072 0 link", "b/l@2560 0 link"});
  CHECK(list_tar(tar::archive({{"a", ""}, {"a", "x"}})) == Lines{"a@512 0", "a@1024 1"});
  for (const std::string path : {"../x", "/etc/x", "a/../../x\n"}) expect_error(ExitCode::kInput, "'t' has a member with the unsafe path " + std::string("'") + path.substr(0, 5), [&] { list_tar(tar::archive({{path, ""}})); });
  expect_error(ExitCode::kInput, "'t' is no tar archive", [&] { list_tar(std::string(512, 'x')); });
}

TEST_CASE("file list: an archive may lie about sizes, not beyond its end") {
  using namespace tar;
  expect_error(ExitCode::kInput, "'t' is truncated or corrupt: the member at offset 0 has 8589934591 bytes", [] { list_tar(header_block({.name = "a.jpg", .size = "77777777777"}) + kEnd); });
}

TEST_CASE("file list: the identity of a folder from its list is that from its path") {
  TempDir dir;
  write_tree(dir.path(), {{"b/c/z", "abc"}, {"b.txt", ""}, {".hidden", "12345"}, {"empty/", ""}});
  const OpenFolder folder(dir.path().string());
  for (const bool hash_contents : {false, true}) CHECK(folder_id(list_folder(folder), folder.path(), hash_contents) == dataset_id(dir.path(), hash_contents));
}
