#include "dataset/shards.h"

#include <catch2/catch.hpp>

#include "dataset/dataset_id.h"
#include "dataset/label_list.h"
#include "io/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/tar_files.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

using Names = std::vector<std::string>;

Names expand(const std::string& pattern) {
  const ShardFiles shards = expand_shard_pattern(pattern);
  Names names;
  for (const FileEntry& entry : shards.list.entries) names.emplace_back(shards.list.path(entry));
  return names;
}

std::span<const uint8_t> as_bytes(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

// "path=label"
Names label(const std::string& archive) {
  const FileList members = list_archive(as_bytes(archive), "'t'");
  Names names;
  for (const FileEntry& image : label_by_key(members, as_bytes(archive), "'t'")) {
    CHECK(archive.substr(image.offset, image.size) == "img");
    names.push_back(std::string(members.path(image)) + "=" + std::to_string(image.label));
  }
  return names;
}

bool keyed(const std::string& archive) { return has_keyed_samples(list_archive(as_bytes(archive), "'t'"), as_bytes(archive)); }

void refused(const std::string& part, const std::vector<std::pair<std::string, std::string>>& members) {
  expect_error(ExitCode::kInput, part, [&] { label(tar::archive(members)); });
}

}  // namespace

TEST_CASE("shards: what is a pattern") {
  for (const char* pattern : {"a*.tar", "?", "s-{0..9}.tar", "{x}{000..127}"}) CHECK(is_shard_pattern(pattern));
  for (const char* path : {"a.tar", "", "{}", "{a,b}", "{1..}", "{..1}", "{a..b}", "{-1..2}", "{1.2}", "{1..2", "[ab]"}) CHECK_FALSE(is_shard_pattern(path));
}

TEST_CASE("shards: ranges are padded as they are written") {
  TempDir dir;
  for (const char* name : {"s-8", "s-9", "s-10", "s-08", "s-09", "s-008", "s-009", "s-010", "t-1-1", "t-1-2", "t-2-1", "t-2-2"}) write_text(dir / name, name);
  const std::string root = dir.path().string() + "/";
  CHECK(expand(root + "s-{8..10}") == Names{"s-10", "s-8", "s-9"});
  CHECK(expand(root + "s-{08..10}") == Names{"s-08", "s-09", "s-10"});
  CHECK(expand(root + "s-{008..10}") == Names{"s-008", "s-009", "s-010"});
  CHECK(expand(root + "s-{8..010}") == Names{"s-008", "s-009", "s-010"});
  CHECK(expand(root + "t-{1..2}-{1..2}") == Names{"t-1-1", "t-1-2", "t-2-1", "t-2-2"});
  CHECK(expand(root + "s-{9..9}") == Names{"s-9"});
}

TEST_CASE("shards: wildcards match within a component, and no hidden file") {
  TempDir dir;
  write_tree(dir.path(), {{"a1.tar", "x"}, {"a2.tar", "xx"}, {"a22.tar", ""}, {".a3.tar", ""}, {"b/a1.tar", "xxx"}, {"[x]/a1.tar", ""}, {"[x]/a9.tar", ""}, {"x/a7.tar", ""}});
  const std::string root = dir.path().string() + "/";
  CHECK(expand(root + "a*.tar") == Names{"a1.tar", "a2.tar", "a22.tar"});
  CHECK(expand(root + "a?.tar") == Names{"a1.tar", "a2.tar"});
  CHECK(expand(root + "*.tar") == Names{"a1.tar", "a2.tar", "a22.tar"});
  CHECK(expand(root + "?/a1.tar") == Names{"b/a1.tar"});
  CHECK(expand(root + "[x]/a*.tar") == Names{"a1.tar", "a9.tar"});
  CHECK(expand(root + "a{1..2}*.tar") == Names{"a1.tar", "a2.tar", "a22.tar"});
  CHECK(expand(root + "a{2..2}{2..2}*") == Names{"a22.tar"});
  const ShardFiles shards = expand_shard_pattern(root + "a?.tar");
  CHECK(shards.folder == root);
  CHECK(shards.list.entries.at(1).size == 2);
  CHECK(dataset_id(root + "a?.tar", false) == "sha256:" + sha256_hex("a1.tar, 1\na2.tar, 2\n"));
  CHECK(dataset_id(root + "?/a1.tar", true) == "sha256:" + sha256_hex("b/a1.tar, 3, " + sha256_hex("xxx") + "\n"));
  write_text(dir / "a*.tar", "literal");
  CHECK(dataset_id(root + "a*.tar", false) == "sha256:" + sha256_hex("literal"));  // a file of that name is meant by it
}

TEST_CASE("shards: patterns that are empty or lead nowhere") {
  TempDir dir;
  write_tree(dir.path(), {{"s-1.tar", ""}, {"s-4.tar/", ""}});
  const std::string root = dir.path().string() + "/";
  const auto rejected = [&](const std::string& part, const std::string& pattern) { expect_error(ExitCode::kInput, part, [&] { expand(root + pattern); }); };
  rejected("no file matches '" + root + "x*.tar'", "x*.tar");
  rejected("no file matches '" + root + "s-2*.tar'", "s-{1..2}*.tar");
  rejected("has the empty range '{3..1}'", "s-{3..1}.tar");
  rejected("'" + root + "s-2.tar' does not exist, nor do 1 others of '" + root + "s-{1..3}.tar'", "s-{1..3}.tar");
  rejected("has braces without a range: expected numbers, such as {000..127}", "s-{1..2}{a,b}.tar");
  rejected("has braces without a range", "s-{0..99999999999999999999}.tar");
  rejected("means more than the 20000 files allowed", "s-{0..20000}.tar");
  rejected("means more than the 20000 files allowed", "s-{0..999999999999999999}.tar");
  rejected("means more than the 20000 files allowed", "s-{0..999}{0..999}.tar");
  rejected("s-4.tar' is not a regular file", "s-{4..4}.tar");
  rejected("cannot read '" + root + "s-1.tar/1': Not a directory", "s-1.tar/{1..1}");
}

TEST_CASE("shards: members of one key make a sample, in the archive's order") {
  CHECK(label(tar::archive({{"b.jpg", "img"}, {"b.cls", "3"}, {"a.cls", " 12\n"}, {"a.png", "img"}, {"d/a.JPEG", "img"}, {"d/a.txt", "a caption"}, {"d/a.cls", "0"}})) ==
        Names{"b.jpg=3", "a.png=12", "d/a.JPEG=0"});
  // Far apart, and with folders whose names come between.
  CHECK(label(tar::archive({{"a.jpg", "img"}, {"a.d/c.jpg", "img"}, {"a.d/c.cls", "1"}, {"a-1.jpg", "img"}, {"a-1.cls", "2"}, {"a.cls", "7"}})) == Names{"a.jpg=7", "a.d/c.jpg=1", "a-1.jpg=2"});
  CHECK(label(tar::archive({{"a.jpg", "img"}, {"a.json", "{\"label\": 4}"}, {"b.jpg", "img"}, {"b.json", "{\"cls\": 5, \"label\": \"x\"}"}})) == Names{"a.jpg=4", "b.jpg=5"});
  CHECK(label(tar::archive({{"a.jpg", "img"}, {"a.json", "{\"label\": 4}"}, {"a.cls", "1"}})) == Names{"a.jpg=1"});  // .cls comes first
  // Hidden, without an extension, of another kind (after the first dot), and a .json about something else.
  CHECK(label(tar::archive({{".x.jpg", ""}, {"h/.x.jpg", ""}, {"README", ""}, {"a.seg.png", ""}, {"a.jpg", "img"}, {"a.cls", "1"}, {"meta.json", "{}"}, {"a.txt", ""}})) == Names{"a.jpg=1"});
  CHECK(label(tar::archive({})).empty());
}

TEST_CASE("shards: keys that do not make a sample are named") {
  refused("'t' has the image 'a/b.jpg' without a label: expected 'a/b'.cls with an integer, or 'a/b'.json", {{"a/b.jpg", "img"}, {"a/c.cls", "1"}, {"a/c.jpg", "img"}});
  refused("'t' has the label 'b.cls' but no image of that key", {{"a.jpg", "img"}, {"a.cls", "1"}, {"b.cls", "1"}});
  refused("'t' has the member 'a.jpg' twice", {{"a.jpg", "img"}, {"a.cls", "1"}, {"a.jpg", "img"}});
  refused("'t' has the member 'a.cls' twice", {{"a.jpg", "img"}, {"a.cls", "1"}, {"a.cls", "1"}});
  refused("'t' has two images of one key: 'a.jpg' and 'a.png'", {{"a.jpg", "img"}, {"a.png", "img"}, {"a.cls", "1"}});
  refused("'t' has two labels of one key: 'a.CLS' and 'a.cls'", {{"a.jpg", "img"}, {"a.CLS", "1"}, {"a.cls", "1"}});
  for (const std::string cls : {"", "x", "-1", "1.0", "1 2", "16777216", "99999999999999999999"}) {
    refused("'t': the label 'a.cls' is '" + cls + "', expected an integer from 0 to 16777215", {{"a.jpg", "img"}, {"a.cls", cls}});
  }
  refused("'t': the label 'a.cls' has 65 bytes, expected an integer", {{"a.jpg", "img"}, {"a.cls", std::string(64, ' ') + "1"}});
  for (const std::string json : {"", "{", "[1]", "{}", "{\"label\": \"1\"}", "{\"label\": -1}", "{\"label\": 1.0}", "{\"cls\": 16777216}", "3"}) {
    refused("without a label", {{"a.jpg", "img"}, {"a.json", json}});
  }
  refused("without a label", {{"a.jpg", "img"}, {"a.json", "{\"label\": 1}" + std::string(1 << 20, ' ')}});
  const std::string linked = tar::header_block({.name = "a.jpg", .type = '2', .link = "b.jpg"}) + tar::archive({{"a.cls", "1"}});
  expect_error(ExitCode::kInput, "'t': the member 'a.jpg' is a link, which is not followed", [&] { label(linked); });
}

TEST_CASE("shards: an archive is of this form when labels lie beside its images") {
  CHECK(keyed(tar::archive({{"a.jpg", "img"}, {"a.cls", "x"}})));
  CHECK(keyed(tar::archive({{"d/a.jpg", "img"}, {"d/a.json", "{\"cls\": 1}"}})));
  CHECK_FALSE(keyed(tar::archive({{"d/a.jpg", "img"}, {"d/a.json", "{\"width\": 1}"}})));
  CHECK_FALSE(keyed(tar::archive({{"d/a.jpg", "img"}, {"d/b.jpg", "img"}, {"e/.a.cls", "1"}})));
  CHECK_FALSE(keyed(tar::archive({})));
}
