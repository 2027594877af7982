#include "dataset/image_files.h"

#include <catch2/catch.hpp>
#include <fmt/core.h>
#include <sys/stat.h>

#include <atomic>
#include <set>
#include <thread>

#include "dataset/dataset_id.h"
#include "io/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/gzip.h"
#include "tests/support/idx_files.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"
#include "tests/support/tar_files.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;
using Tree = std::vector<std::pair<std::string, std::string>>;

std::string text_of(std::span<const uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// "label relative-path contents"
Names samples(const ImageFiles& images) {
  Names found;
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < images.size(); ++i) {
    found.push_back(fmt::format("{} {} {}", images.label(i), images.relative_path(i), text_of(images.read(i, buffer))));
    CHECK(images.file_bytes(i) == images.read(i, buffer).size());
  }
  return found;
}

ImageFileDataset open(const fs::path& data, const DataSource& more = {}) {
  DataSource source = more;
  source.data = data.string();
  return open_image_files(source);
}

void refused(const std::string& part, const fs::path& data, const DataSource& more = {.val_fraction = 0.5}, ExitCode code = ExitCode::kInput) {
  INFO(part);
  expect_error(code, part, [&] { open(data, more); });
}

const Tree kParts{{"train/cat/1.jpg", "c1"}, {"train/cat/2.jpg", "c2"}, {"train/dog/1.jpg", "d1"}, {"train/emu/1.png", "e1"}, {"test/dog/9.jpg", "d9"}, {"test/emu/8.jpg", "e8"}, {"README", "x"}};
const Names kTrain{"0 cat/1.jpg c1", "0 cat/2.jpg c2", "1 dog/1.jpg d1", "2 emu/1.png e1"};
const Names kTest{"1 dog/9.jpg d9", "2 emu/8.jpg e8"};

}  // namespace

TEST_CASE("image files: a tree is the same in a folder, a tar and a tar.gz") {
  TempDir dir;
  write_tree(dir / "photos", kParts);
  write_text(dir / "photos.tar", tar::archive(kParts));
  write_text(dir / "photos.tgz", gzip(tar::archive(kParts)));
  Tree wrapped;
  for (const auto& [path, data] : kParts) wrapped.emplace_back("./photos/" + path, data);
  write_text(dir / "wrapped.tar", tar::archive(wrapped));
  for (const std::string name : {"photos", "photos.tar", "photos.tgz", "wrapped.tar"}) {
    INFO(name);
    const ImageFileDataset data = open(dir / name);
    CHECK(samples(data.train) == kTrain);
    CHECK(samples(data.validation) == kTest);
    CHECK(data.class_names == Names{"cat", "dog", "emu"});
    CHECK(data.num_classes == 3);
    CHECK(data.skipped_files == 1);
    CHECK(data.bytes == 12);
    REQUIRE(data.inputs.size() == 1);
    CHECK(data.inputs[0].path == (dir / name).string());
    CHECK(data.inputs[0].format == (name == "photos" ? DataFormat::kFolder : DataFormat::kTar));
    CHECK(data.inputs[0].id == (name == "photos" ? dataset_id(dir / name, false) : ""));
    CHECK(image_data_id(data.inputs[0].path, data.inputs[0].format, false) == dataset_id(dir / name, false));
    const std::string part = name == "wrapped.tar" ? "photos/test/" : "test/";
    CHECK(describe(data) == fmt::format("'{}': {}, 3 classes, 4 training and 2 validation images ('{}' in '{}'), 12 B, 1 other file left out", (dir / name).string(),
                                        name == "photos" ? "folder" : "tar", part, (dir / name).string()));
  }
  CHECK(open(dir / "photos").train.name(1) == "'" + (dir / "photos/train/cat/2.jpg").string() + "'");
  CHECK(open(dir / "photos" / "").train.name(1) == "'" + (dir / "photos/train/cat/2.jpg").string() + "'");
  CHECK(open(dir / "wrapped.tar").validation.name(0) == "'" + (dir / "wrapped.tar").string() + ": photos/test/dog/9.jpg'");
}

TEST_CASE("image files: what lies in an archive is read in place") {
  TempDir dir;
  write_text(dir / "a.tar", tar::archive({{"x/1.jpg", "one"}, {"y/2.jpg", "two"}, {"y/3.jpg", ""}}));
  const ImageFileDataset data = open(dir / "a.tar", {.val_data = (dir / "a.tar").string()});
  std::vector<uint8_t> buffer;
  const auto first = data.train.read(0, buffer);
  const auto second = data.train.read(1, buffer);
  CHECK(text_of(first) == "one");
  CHECK(text_of(second) == "two");
  CHECK(data.train.read(2, buffer).empty());
  CHECK(second.data() - first.data() == 1024);
  CHECK(buffer.empty());
}

TEST_CASE("image files: files are read into a buffer that only grows") {
  TempDir dir;
  write_tree(dir.path(), {{"a/1.jpg", std::string(100'000, 'x')}, {"a/2.jpg", "yy"}, {"a/3.jpg", ""}});
  const ImageFileDataset data = open(dir.path(), {.val_data = dir.path().string()});
  std::vector<uint8_t> buffer;
  CHECK(text_of(data.train.read(0, buffer)) == std::string(100'000, 'x'));
  const uint8_t* const place = buffer.data();
  CHECK(text_of(data.train.read(1, buffer)) == "yy");
  CHECK(data.train.read(2, buffer).empty());
  CHECK(buffer.data() == place);
  CHECK(buffer.size() == 100'000);
}

TEST_CASE("image files: links are followed in folders, names may hold anything") {
  TempDir dir;
  TempDir elsewhere;
  const std::string odd = "d\xc3\xb6g\n\x1b[2J/\xff 1.jpg";
  write_tree(elsewhere.path(), {{"more/7.jpg", "seven"}, {"8.jpg", "eight"}});
  write_tree(dir.path(), {{"cat/1.jpg", "one"}, {odd, "odd"}});
  fs::create_symlink(elsewhere / "more", dir / "cat/more");
  fs::create_symlink(elsewhere / "8.jpg", dir / "cat/0.jpg");
  const ImageFileDataset data = open(dir.path(), {.val_data = dir.path().string()});
  CHECK(samples(data.train) == Names{"0 cat/0.jpg eight", "0 cat/1.jpg one", "0 cat/more/7.jpg seven", "1 " + odd + " odd"});
  CHECK(data.class_names[1] == "d\xc3\xb6g\n\x1b[2J");
  CHECK_THAT(data.train.name(3), Catch::EndsWith("/d\xc3\xb6g\\x0a\\x1b[2J/\xff 1.jpg'"));
  fs::create_symlink("..", dir / "cat/more/up");
  refused("leads back to a folder that holds it", dir.path());

  write_text(dir / "a.tar", tar::archive({{"cat/1.jpg", "one"}, {odd, "odd"}, {"cat/" + std::string(200, 'l') + ".jpg", "long"}}));
  CHECK(samples(open(dir / "a.tar", {.val_data = (dir / "a.tar").string()}).train) == Names{"0 cat/1.jpg one", "0 cat/" + std::string(200, 'l') + ".jpg long", "1 " + odd + " odd"});
}

TEST_CASE("image files: a file that vanishes or changes after indexing is named") {
  TempDir dir;
  write_tree(dir.path(), {{"a/1.jpg", "one"}, {"a/2.jpg", "two"}, {"a/3.jpg", "three"}, {"a/4.jpg", "four"}, {"a/5.jpg", ""}});
  const ImageFileDataset data = open(dir.path(), {.val_data = dir.path().string()});
  std::vector<uint8_t> buffer;
  const auto fails = [&](int64_t index, const std::string& part) { expect_error(ExitCode::kInput, part, [&] { data.train.read(index, buffer); }); };
  fs::remove(dir / "a/1.jpg");
  fails(0, "cannot read '" + (dir / "a/1.jpg").string() + "': No such file");
  write_text(dir / "a/2.jpg", "longer");
  fails(1, "2.jpg' has 6 bytes, but had 3 when the data were opened");
  fs::remove(dir / "a/3.jpg");
  fs::create_directory(dir / "a/3.jpg");
  fails(2, "3.jpg' is not a regular file any more");
  fs::remove(dir / "a/5.jpg");
  REQUIRE(mkfifo((dir / "a/5.jpg").c_str(), 0600) == 0);
  fails(4, "5.jpg' is not a regular file any more");
  CHECK(text_of(data.train.read(3, buffer)) == "four");
  write_text(dir / "a/4.jpg", "4");
  fails(3, "4.jpg' has 1 bytes, but had 4");
}

TEST_CASE("image files: a relative path stays what it was when the process goes elsewhere") {
  TempDir dir;
  write_tree(dir / "photos", kParts);
  const fs::path before = fs::current_path();
  fs::current_path(dir.path());
  const ImageFileDataset data = open("photos");
  fs::current_path(before);
  CHECK(samples(data.train) == kTrain);
  CHECK(data.train.name(0) == "'photos/train/cat/1.jpg'");
}

TEST_CASE("image files: seven threads read the same files") {
  TempDir dir;
  Tree files;
  for (int i = 0; i < 40; ++i) files.emplace_back(fmt::format("{}/{:02}.jpg", i % 3, i), std::string(static_cast<size_t>(i * 300), static_cast<char>('a' + i % 26)));
  write_tree(dir / "f", files);
  write_text(dir / "f.tar", tar::archive(files));
  for (const std::string name : {"f", "f.tar"}) {
    const ImageFileDataset data = open(dir / name, {.val_data = (dir / name).string()});
    const Names expected = samples(data.train);
    REQUIRE(expected.size() == 40);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int64_t t = 0; t < 7; ++t) {
      threads.emplace_back([&, t] {
        std::vector<uint8_t> buffer;
        for (int64_t k = 0; k < 400; ++k) {
          const int64_t i = (k * 7 + t * 11) % 40;
          const ImageFiles& images = k % 2 == 0 ? data.train : data.validation;
          if (fmt::format("{} {} {}", images.label(i), images.relative_path(i), text_of(images.read(i, buffer))) != expected[static_cast<size_t>(i)]) ++wrong;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
  }
}

TEST_CASE("image files: shards by pattern, plain and gzipped, in order of their names") {
  TempDir dir;
  write_text(dir / "s-01.tar", tar::archive({{"b.jpg", "b"}, {"b.cls", "1"}, {"a.jpg", "a"}, {"a.cls", "0"}, {"a.txt", "caption"}}));
  write_text(dir / "s-00.tar", gzip(tar::archive({{"c.png", "cc"}, {"c.json", "{\"label\": 2}"}})));
  write_text(dir / "val.tar", tar::archive({{"v.png", "v"}, {"v.cls", "1"}}));
  for (const std::string pattern : {"s-{00..01}.tar", "s-*.tar"}) {
    const ImageFileDataset data = open(dir / pattern, {.val_data = (dir / "val.tar").string()});
    CHECK(samples(data.train) == Names{"2 c.png cc", "1 b.jpg b", "0 a.jpg a"});
    CHECK(samples(data.validation) == Names{"1 v.png v"});
    CHECK(data.class_names.empty());
    CHECK(data.num_classes == 3);
    CHECK(data.skipped_files == 1);
    REQUIRE(data.inputs.size() == 2);
    CHECK(data.inputs[0].format == DataFormat::kShards);
    CHECK(data.inputs[1].format == DataFormat::kShards);
    CHECK(data.inputs[0].id == "sha256:" + sha256_hex(fmt::format("s-00.tar, {}\ns-01.tar, {}\n", fs::file_size(dir / "s-00.tar"), fs::file_size(dir / "s-01.tar"))));
    CHECK(data.inputs[0].id == image_data_id((dir / pattern).string(), DataFormat::kShards, false));
    CHECK(image_data_id((dir / pattern).string(), DataFormat::kShards, true) == dataset_id(dir / pattern, true));
    CHECK(data.inputs[1].id.empty());
    CHECK(image_data_id(data.inputs[1].path, data.inputs[1].format, false) == "sha256:" + sha256_file(dir / "val.tar"));
    CHECK(data.train.name(1) == "'" + (dir / "s-01.tar").string() + ": b.jpg'");
  }
  CHECK(samples(open(dir / "s-01.tar", {.val_data = (dir / "val.tar").string()}).train) == Names{"1 b.jpg b", "0 a.jpg a"});
}

TEST_CASE("image files: shards that are wrong are named") {
  TempDir dir;
  const std::string one = tar::archive({{"d/a.jpg", "a"}, {"d/a.cls", "0"}});
  write_text(dir / "s-0.tar", one);
  write_text(dir / "s-1.tar", tar::archive({{"d/a.png", "a"}, {"d/a.cls", "1"}}));
  refused("the key 'd/a' is in '" + (dir / "s-0.tar").string() + "' and in '" + (dir / "s-1.tar").string() + "'", dir / "s-{0..1}.tar");
  write_text(dir / "s-1.tar", one.substr(0, 700));
  refused("'" + (dir / "s-1.tar").string() + "' is truncated", dir / "s-*.tar");
  write_text(dir / "s-1.tar", tar::archive({{"b.jpg", "b"}, {"b.cls", "2"}}));
  refused("s-*.tar' has labels up to 2 but none is 1: expected 0 to C-1 without a gap\n--num-classes 3 if some classes", dir / "s-*.tar");
  refused("s-*.tar' has the label 2 at position 1 ('" + (dir / "s-1.tar").string() + ": b.jpg'), expected 0 to 1", dir / "s-*.tar", {.val_fraction = 0.5, .num_classes = 2});
  CHECK(open(dir / "s-*.tar", {.val_data = (dir / "s-0.tar").string(), .num_classes = 9}).num_classes == 9);
  refused("s-1.tar' has the label 2 at position 0", dir / "s-0.tar", {.val_data = (dir / "s-1.tar").string()});
  refused("no file matches", dir / "x-*.tar");
  write_text(dir / "empty.tar", tar::member({.name = "README"}, "x") + tar::kEnd);
  refused("empty.tar' holds no labelled images", dir / "empty.tar", {.format = DataFormat::kShards, .val_fraction = 0.5});
}

TEST_CASE("image files: a list names files beside it, with numbers or class names") {
  TempDir dir;
  write_tree(dir / "l", {{"a.jpg", "aa"}, {"sub/b, c.jpg", "b"}, {"d.jpg", "ddd"}});
  write_text(dir / "up.jpg", "up");
  const Names rows{"1 d.jpg ddd", "0 ../up.jpg up", "0 " + (dir / "up.jpg").string() + " up", "2 sub/b, c.jpg b"};
  write_text(dir / "l/list.csv", fmt::format("path,label\nd.jpg,1\n../up.jpg,0\n{},0\n\"sub/b, c.jpg\",2\n", (dir / "up.jpg").string()));
  write_text(dir / "l/list.jsonl", fmt::format("{{\"path\": \"d.jpg\", \"label\": 1}}\n{{\"path\": \"../up.jpg\", \"label\": 0}}\n{{\"path\": \"{}\", \"label\": 0}}\n{{\"path\": \"sub/b, c.jpg\", \"label\": 2}}",
                                               (dir / "up.jpg").string()));
  write_text(dir / "l/names.csv", fmt::format("d.jpg,dog\n../up.jpg,cat\n{},cat\n\"sub/b, c.jpg\",zebra\n", (dir / "up.jpg").string()));
  write_text(dir / "l/val.csv", "a.jpg,zebra\n");
  for (const std::string name : {"l/list.csv", "l/list.jsonl", "l/names.csv"}) {
    INFO(name);
    const bool named = name == "l/names.csv";
    const ImageFileDataset data = open(dir / name, {.val_data = (dir / (named ? "l/val.csv" : name)).string()});
    CHECK(samples(data.train) == rows);
    CHECK(samples(data.validation) == (named ? Names{"2 a.jpg aa"} : rows));
    CHECK(data.class_names == (named ? Names{"cat", "dog", "zebra"} : Names{}));
    CHECK(data.num_classes == 3);
    CHECK(data.train.name(1) == "'" + (dir / "l/../up.jpg").string() + "'");
    CHECK(data.inputs[0].format == DataFormat::kList);
    CHECK(data.inputs[0].id == "sha256:" + sha256_hex(sha256_file(dir / name) + "\n3\n2\n2\n1\n"));
    CHECK(image_data_id((dir / name).string(), DataFormat::kList, false) == data.inputs[0].id);
    CHECK(image_data_id((dir / name).string(), DataFormat::kList, true) ==
          "sha256:" + sha256_hex(fmt::format("{}\n3, {}\n2, {}\n2, {}\n1, {}\n", sha256_file(dir / name), sha256_hex("ddd"), sha256_hex("up"), sha256_hex("up"), sha256_hex("b"))));
  }
  const fs::path before = fs::current_path();
  fs::current_path(dir / "l");
  const ImageFileDataset data = open("names.csv", {.val_data = "val.csv"});
  fs::current_path(before);
  CHECK(samples(data.train) == rows);
}

TEST_CASE("image files: a list is checked when it is opened") {
  TempDir dir;
  write_tree(dir.path(), {{"a.jpg", "a"}, {"folder/", ""}});
  const auto list = [&](const std::string& text) {
    write_text(dir / "l.csv", text);
    return dir / "l.csv";
  };
  const std::string name = "'" + (dir / "l.csv").string() + "'";
  refused("line 3 of " + name + " names '" + (dir / "b.jpg").string() + "', which does not exist; 2 files are missing in all", list("a.jpg,0\n\nb.jpg,0\na.jpg,1\na.jpg/c,1\n"));
  refused("line 2 of " + name + " names '" + (dir / "b.jpg").string() + "', which does not exist", list("a.jpg,0\nb.jpg,1\n"));
  refused("line 1 of " + name + " names '" + (dir / "image").string() + "', which does not exist (a header must name the columns 'path' and 'label'); 2 files", list("image,class\nb.jpg,x\n"));
  refused("line 2 of " + name + " names '" + (dir / "folder").string() + "', which is not a regular file", list("a.jpg,0\nfolder,1\n"));
  refused("line 2 of " + name + " has 1 column, expected 2", list("a.jpg,0\nb\n"));
  refused("': File name too long", list(std::string(300, 'x') + ",0\n"));
  refused(name + " holds no labelled images", list("path,label\n"));
  refused(name + " has labels up to 3 but none is 1", list("a.jpg,0\na.jpg,3\n"));
  refused("the classes 'Cat' and 'cat' of " + name + " differ only in case", list("a.jpg,cat\na.jpg,dog\na.jpg,Cat\n"));
  refused("num_classes is 3, but " + name + " has 2 classes by name", list("a.jpg,cat\na.jpg,dog\n"), {.val_fraction = 0.5, .num_classes = 3}, ExitCode::kUsage);
  refused("num_classes is 0, expected at least 1", list("a.jpg,0\na.jpg,1\n"), {.val_fraction = 0.5, .num_classes = 0}, ExitCode::kUsage);
}

TEST_CASE("image files: a validation part of its own must fit") {
  TempDir dir;
  write_tree(dir / "t", {{"cat/1.jpg", "c"}, {"dog/1.jpg", "d"}});
  write_tree(dir / "v", {{"dog/2.jpg", "x"}});
  write_tree(dir / "w", {{"dog/2.jpg", "x"}, {"eel\n/2.jpg", "x"}});
  write_tree(dir / "p", kParts);
  write_text(dir / "v.csv", "t/dog/1.jpg,dog\n");
  write_text(dir / "n.csv", "t/dog/1.jpg,1\n");
  const ImageFileDataset data = open(dir / "t", {.val_data = (dir / "v").string(), .val_fraction = 0.5});
  CHECK(samples(data.validation) == Names{"1 dog/2.jpg x"});
  CHECK(data.validation_from == "'" + (dir / "v").string() + "'");
  CHECK(data.inputs.at(1).id == dataset_id(dir / "v", false));
  CHECK(samples(open(dir / "t", {.val_data = (dir / "v.csv").string()}).validation) == Names{"1 t/dog/1.jpg d"});
  refused("'" + (dir / "w").string() + "' has the class 'eel\\x0a', which '" + (dir / "t").string() + "' does not have", dir / "t", {.val_data = (dir / "w").string()});
  refused("'" + (dir / "n.csv").string() + "' has numbers as labels, expected names as in '", dir / "t", {.val_data = (dir / "n.csv").string()});
  refused("'" + (dir / "p").string() + "' has parts of its own, 'train/' in", dir / "t", {.val_data = (dir / "p").string()}, ExitCode::kUsage);
  // val_data comes before a part, which then counts as left out.
  const ImageFileDataset other = open(dir / "p", {.val_data = (dir / "v").string()});
  CHECK(samples(other.validation) == Names{"1 dog/2.jpg x"});
  CHECK(other.skipped_files == 3);
  write_tree(dir / "q", {{"train/cat/1.jpg", "c"}, {"val/dog/1.jpg", "d"}});
  refused("'val/' in '" + (dir / "q").string() + "' has the class 'dog', which 'train/' in '" + (dir / "q").string() + "' does not have", dir / "q");
}

TEST_CASE("image files: a share for validation is drawn by each path alone") {
  // FNV-1a and splitmix64's finaliser, worked out elsewhere: the shares from which on each path is in.
  const std::vector<std::pair<std::string, double>> shares{{"", 0.9576734252420561},          {"a", 0.010753497314070604},         {"cat/1.jpg", 0.24737290083364938},
                                                           {"cat/2.jpg", 0.338711882293083},  {"cat/3.jpg", 0.7321611755586167},   {"dog/1.jpg", 0.6851896280825155},
                                                           {"dog/2.jpg", 0.23575151436989938}, {"dog/3.jpg", 0.9223984471794777},  {"gr\xc3\xb6\xc3\x9f" "e/\xc3\xbc.png", 0.05926206990471172},
                                                           {"a\nb/x.jpg", 0.1305175137934549}, {"n01440764/n01440764_10026.JPEG", 0.6525453847606587}};
  for (const auto& [path, share] : shares) {
    CHECK_FALSE(in_validation(path, share));
    CHECK(in_validation(path, share + 1e-15));
  }
  int chosen = 0;
  for (int i = 0; i < 10'000; ++i) chosen += in_validation(fmt::format("class/{:05}.jpg", i), 0.1);
  CHECK(chosen == 971);

  TempDir dir;
  Tree tree{{"cat/1.jpg", "1"}, {"cat/2.jpg", "2"}, {"cat/3.jpg", "3"}, {"dog/1.jpg", "4"}, {"dog/2.jpg", "5"}, {"dog/3.jpg", "6"}};
  const Names validation{"0 cat/1.jpg 1", "1 dog/2.jpg 5"};
  write_tree(dir / "f", tree);
  write_tree(dir / "g/train", tree);
  write_text(dir / "f.tar", tar::archive(tree));
  write_text(dir / "f/list.csv", "cat/1.jpg,0\ndog/1.jpg,1\ndog/2.jpg,1\ncat/2.jpg,0\ncat/3.jpg,0\ndog/3.jpg,1\n");
  for (const std::string name : {"f", "f.tar", "g", "g/train", "f/list.csv"}) {
    INFO(name);
    const ImageFileDataset data = open(dir / name, {.val_fraction = 0.3});
    CHECK(samples(data.validation) == validation);
    CHECK(data.train.size() == 4);
    CHECK(data.validation_from == "a share of 0.3, by path");
    CHECK(data.num_classes == 2);
  }
  write_tree(dir / "f", {{"cat/0.jpg", ""}, {"eel/5.jpg", ""}});
  const Names more = samples(open(dir / "f", {.val_fraction = 0.3}).validation);
  for (const std::string& sample : validation) CHECK(std::count(more.begin(), more.end(), sample) == 1);
}

TEST_CASE("image files: without any validation the error says what to type") {
  TempDir dir;
  write_tree(dir.path(), {{"cat/1.jpg", "c"}, {"dog/1.jpg", "d"}});
  refused("has no part for validation\n--val-data PATH, or --val-fraction 0.1", dir.path(), {}, ExitCode::kUsage);
  for (const double share : {0.0, 1.0, -0.5, std::nan("")}) refused("expected a share between 0 and 1", dir.path(), {.val_fraction = share}, ExitCode::kUsage);
  refused("a validation share of 0.1 leaves none of the 2 images of '" + dir.path().string() + "' for validation", dir.path(), {.val_fraction = 0.1});
  refused("a validation share of 0.9 leaves none of the 2 images of '" + dir.path().string() + "' for training", dir.path(), {.val_fraction = 0.9});
}

TEST_CASE("image files: the format is found by looking, whatever the name says") {
  TempDir dir;
  const auto is = [&](const std::string& name, DataFormat format) {
    INFO(name);
    CHECK(data_format_name(find_data_format((dir / name).string())) == data_format_name(format));
  };
  write_tree(dir / "folder.tar", {{"a/1.jpg", "x"}});
  is("folder.tar", DataFormat::kFolder);
  write_idx_dataset(dir / "idx", {0, 1}, {1}, 2, 2);
  is("idx", DataFormat::kIdx);
  CHECK(find_data_format("fashion-mnist") == DataFormat::kIdx);
  // A file of the name alone is none, beside class folders; without any, the reader of IDX says what is wrong.
  write_tree(dir / "like-idx", {{"t10k-labels-idx1-ubyte", "x"}});
  is("like-idx", DataFormat::kIdx);
  write_tree(dir / "like-idx", {{"a/1.jpg", "x"}});
  is("like-idx", DataFormat::kFolder);
  write_text(dir / "like-idx/train-images-idx3-ubyte.gz", gzip("x"));
  is("like-idx", DataFormat::kIdx);
  write_text(dir / "archive.csv", tar::archive({{"a/1.jpg", "x"}}));
  is("archive.csv", DataFormat::kTar);
  write_text(dir / "archive", gzip(tar::archive({{"a/1.jpg", "x"}})));
  is("archive", DataFormat::kTar);
  write_text(dir / "list.tar", "a.jpg,1\n");
  is("list.tar", DataFormat::kList);
  write_text(dir / "list-{0..1}.tar", "{}");
  is("list-{0..1}.tar", DataFormat::kList);
  is("s-{0..1}.tar", DataFormat::kShards);
  is("s-*", DataFormat::kShards);

  const auto unknown = [&](const std::string& name, const std::string& data) {
    write_text(dir / name, data);
    expect_error(ExitCode::kInput, name + "' is none of the data that are known", [&] { find_data_format((dir / name).string()); });
  };
  unknown("empty.csv", "");
  unknown("photo.jpg", std::string("\xff\xd8\xff\xe0\0\x10JFIF", 10));
  unknown("text.gz", gzip("a.jpg,1\n"));
  unknown("zeros.tar", tar::kEnd);
  expect_error(ExitCode::kInput, "none' do not exist\ndata are a folder, a .tar or .tar.gz archive", [&] { find_data_format((dir / "none").string()); });
  expect_error(ExitCode::kInput, "'' do not exist", [] { find_data_format(""); });
  expect_error(ExitCode::kInput, "': File name too long", [] { find_data_format(std::string(300, 'x')); });
  expect_error(ExitCode::kInput, "is not a regular file", [] { find_data_format("/dev/null"); });
  CHECK(data_format_names() == Names{"idx", "folder", "tar", "shards", "list"});
}

TEST_CASE("image files: a format that is given is not looked for") {
  TempDir dir;
  write_text(dir / "a.tar", tar::archive({{"x/1.jpg", "a"}, {"x/1.cls", "1"}, {"y/2.jpg", "b"}, {"y/2.cls", "0"}}));
  const std::string path = (dir / "a.tar").string();
  CHECK(samples(open(path, {.val_data = path}).train) == Names{"1 x/1.jpg a", "0 y/2.jpg b"});
  CHECK(samples(open(path, {.val_data = path, .format = DataFormat::kShards}).train) == Names{"1 x/1.jpg a", "0 y/2.jpg b"});
  const ImageFileDataset tree = open(path, {.val_data = path, .format = DataFormat::kTar});
  CHECK(samples(tree.train) == Names{"0 x/1.jpg a", "1 y/2.jpg b"});
  CHECK(tree.skipped_files == 4);
  refused("Not a directory", path, {.format = DataFormat::kFolder, .val_fraction = 0.5});
  refused("holds a NUL byte", path, {.format = DataFormat::kList, .val_fraction = 0.5});
  write_text(dir / "l.csv", "a.tar,0\n");
  refused("is truncated", dir / "l.csv", {.format = DataFormat::kTar, .val_fraction = 0.5});
  expect_error(ExitCode::kBug, "is IDX, which load_image_dataset() reads", [&] { open(dir.path(), {.format = DataFormat::kIdx}); });
}

TEST_CASE("image files: limits bound one image and what is unpacked") {
  TempDir dir;
  write_tree(dir / "f", {{"a/1.jpg", "123"}, {"a/2.jpg", "1234"}, {"a/big.txt", std::string(100, 'x')}});
  const std::string folder = (dir / "f").string();
  refused("2.jpg' has 4 bytes, a file may have 3", folder, {.val_data = folder, .limits = {.max_file_bytes = 3}});
  CHECK(open(folder, {.val_data = folder, .limits = {.max_file_bytes = 4}}).train.size() == 2);
  const std::string packed = gzip(tar::archive({{"a/1.jpg", "123"}}));
  write_text(dir / "a.tgz", packed);
  refused("a.tgz' unpacks to more than the 2047 bytes that it may have", dir / "a.tgz", {.val_data = folder, .limits = {.max_unpacked_bytes = 2047}});
  CHECK(open(dir / "a.tgz", {.val_data = (dir / "a.tgz").string(), .limits = {.max_unpacked_bytes = 2048}}).train.size() == 1);
  // All archives of a part share what they may unpack.
  for (const int i : {0, 1}) write_text(dir / fmt::format("s{}.tgz", i), gzip(tar::archive({{fmt::format("{}.jpg", i), "x"}, {fmt::format("{}.cls", i), "0"}})));
  refused("s1.tgz' unpacks to more than the 3071 bytes", dir / "s*.tgz", {.val_fraction = 0.5, .limits = {.max_unpacked_bytes = 2 * 3072 - 1}});
}

TEST_CASE("image files: archives that lie are refused when they are opened") {
  TempDir dir;
  write_text(dir / "a.tar", tar::header_block({.name = "a/1.jpg", .size = "77777777777"}) + tar::kEnd);
  refused("a.tar' is truncated or corrupt: the member at offset 0 has 8589934591 bytes", dir / "a.tar");
  write_text(dir / "a.tar", tar::archive({{"a/1.jpg", "x"}, {"../../etc/1.jpg", "x"}}));
  refused("a.tar' has a member with the unsafe path '../../etc/1.jpg'", dir / "a.tar");
  write_text(dir / "a.tgz", gzip(tar::archive({{"a/1.jpg", "x"}})).substr(0, 80));
  refused("a.tgz' is truncated", dir / "a.tgz", {.format = DataFormat::kTar, .val_fraction = 0.5});
}

TEST_CASE("image files: photographs in class folders") {
  const fs::path folder = data_folder() / "trashnet";
  if (!fs::exists(folder)) return skip("no trashnet here");
  const ImageFileDataset data = open(folder, {.val_fraction = 0.2});
  CHECK(data.class_names == Names{"cardboard", "glass", "metal", "paper", "plastic", "trash"});
  CHECK(data.train.size() + data.validation.size() == 360);
  CHECK(data.skipped_files == 1);  // the licence
  CHECK(data.inputs[0].id == dataset_id(folder, false));
  std::vector<uint8_t> buffer;
  uint64_t bytes = 0;
  for (const ImageFiles* images : {&data.train, &data.validation}) {
    for (int64_t i = 0; i < images->size(); ++i) {
      const auto image = images->read(i, buffer);
      REQUIRE(image.size() > 2);
      CHECK((image[0] == 0xff && image[1] == 0xd8));
      CHECK_THAT(std::string(images->relative_path(i)), Catch::StartsWith(data.class_names[static_cast<size_t>(images->label(i))] + "/"));
      bytes += image.size();
    }
  }
  CHECK(bytes == data.bytes);
}

TEST_CASE("image files: a classifier's test images get its labels by name") {
  const TempDir dir;
  write_tree(dir / "d", kParts);
  const Names classes{"dog", "cat", "fox", "emu"};  // in its own order, one more than the data have
  DataSource source;
  source.data = (dir / "d").string();
  const TestImages test = open_test_images(source, classes, 4);
  CHECK(samples(test.images) == Names{"0 dog/9.jpg d9", "3 emu/8.jpg e8"});
  CHECK(test.class_names == classes);
  CHECK(test.from == "'test/' in '" + source.data + "'");
  source.data = (dir / "d/train").string();  // no parts: all of it
  CHECK(samples(open_test_images(source, classes, 4).images) == Names{"1 cat/1.jpg c1", "1 cat/2.jpg c2", "0 dog/1.jpg d1", "3 emu/1.png e1"});
  CHECK(open_test_images(source, {}, 3).class_names == Names{"cat", "dog", "emu"});
  expect_error(ExitCode::kInput, "3 classes by name, but the network has 10 without names", [&] { open_test_images(source, {}, 10); });
  expect_error(ExitCode::kInput, "the class 'cat', which the network does not know", [&] { open_test_images(source, {"cats", "dog", "emu"}, 3); });
}

TEST_CASE("image files: images without labels are files as they are and folders by path") {
  const TempDir dir;
  write_tree(dir / "d", {{"b/2.jpg", "x"}, {"a.png", "y"}, {"b/.hidden.jpg", "z"}, {"notes.txt", "n"}, {"b/1.JPG", "w"}});
  write_tree(dir / "f", {{"odd.name", "q"}});
  const std::string folder = (dir / "d").string(), file = (dir / "f/odd.name").string();
  const ImageFiles images = open_unlabelled_images({file, folder});
  CHECK(samples(images) == Names{"-1 " + file + " q", "-1 " + folder + "/a.png y", "-1 " + folder + "/b/1.JPG w", "-1 " + folder + "/b/2.jpg x"});
  expect_error(ExitCode::kInput, "does not exist", [&] { open_unlabelled_images({folder + "x"}); });
  expect_error(ExitCode::kInput, "holds no images", [&] { open_unlabelled_images({(dir / "f").string()}); });
}

TEST_CASE("image files: sixty thousand images in a tar.gz") {
  const fs::path archive = data_folder() / "cifar10_jpg.tar.gz";
  if (!fs::exists(archive)) return skip("no cifar10_jpg.tar.gz here");
  const ImageFileDataset data = open(archive);
  CHECK(data.train.size() == 50'000);
  CHECK(data.validation.size() == 10'000);
  CHECK(data.class_names == Names{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"});
  CHECK(data.skipped_files == 1);
  CHECK_THAT(data.validation_from, Catch::StartsWith("'cifar10_jpg/test/'"));
  CHECK(data.validation.relative_path(0) == "airplane/0000.jpg");
  std::vector<int64_t> counts(10);
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < data.train.size(); ++i) {
    ++counts[static_cast<size_t>(data.train.label(i))];
    const auto image = data.train.read(i, buffer);
    if (image.size() < 2 || image[0] != 0xff || image[1] != 0xd8) FAIL(data.train.name(i) << " is no JPEG");
  }
  CHECK(counts == std::vector<int64_t>(10, 5'000));
  CHECK(buffer.empty());
}
