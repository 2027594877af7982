#include "dataset/class_tree.h"

#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"
#include "tests/support/tar_files.h"

using namespace fettle;
using namespace fettle::test;

namespace {

using Names = std::vector<std::string>;

FileList list_of(const std::string& archive) { return list_archive({reinterpret_cast<const uint8_t*>(archive.data()), archive.size()}, "'t'"); }

FileList list_of(const Names& paths) {
  std::vector<std::pair<std::string, std::string>> files;
  for (const std::string& path : paths) files.emplace_back(path, "");
  return list_of(tar::archive(files));
}

// Images as "label path".
struct Labelled {
  Names classes, images;
};

Labelled label(const FileList& list, const std::string& part = "") {
  const ClassFolders found = label_by_folder(list, part, "t");
  Labelled labelled{found.class_names, {}};
  for (const FileEntry& image : found.images) labelled.images.push_back(std::to_string(image.label) + " " + std::string(list.path(image)));
  return labelled;
}

Labelled label(const Names& paths, const std::string& part = "") { return label(list_of(paths), part); }

// "train | validation"
std::string parts(const Names& paths) {
  const TreeParts found = find_parts(list_of(paths), "t");
  return found.train + " | " + found.validation.value_or("-");
}

}  // namespace

TEST_CASE("class tree: images are known by how they end, in any case") {
  for (const char* name : {"a.jpg", "a.JPEG", "a.b.Png", "x/a.ppm", "a.bmp", "a.pgm", "a.tif", "a.TIFF", "a.webp", "a.gif", "a.tga"}) CHECK(is_image_name(name));
  for (const char* name : {"", "jpg", "a.jpg2", "a.jpg.txt", "a.", "a.svg", "a.jpeg2000", "a.jpg "}) CHECK_FALSE(is_image_name(name));
}

TEST_CASE("class tree: any visible file is a sample where that is asked for") {
  const FileList files = list_of({"train/yes/a.wav", "train/yes/b", "train/no/c.mp3", "train/no/.hidden", "test/yes/d.wav", "test/no/e.wav", "README.txt"});
  const TreeParts found = find_parts(files, "t", is_any_name);
  CHECK(found.train == "train/");
  CHECK(found.validation == "test/");
  const ClassFolders classes = label_by_folder(files, found.train, "t", is_any_name);
  CHECK(classes.class_names == Names{"no", "yes"});
  REQUIRE(classes.images.size() == 3);
  CHECK(files.path(classes.images[0]) == "train/no/c.mp3");
  CHECK(classes.images[2].label == 1);
}

TEST_CASE("class tree: hidden is what has a dot before any of its names") {
  for (const char* path : {"a", "a/b.c", "a./b", "a..b"}) CHECK(is_visible(path));
  for (const char* path : {".a", "a/.b", "a/.b/c", "..."}) CHECK_FALSE(is_visible(path));
}

TEST_CASE("class tree: classes and images are in the order of ImageFolder") {
  const Labelled labelled = label({"ant/b.jpg", "ant/a/2.jpg", "ant/Z.PNG", "ant/a-b/1.jpg", "ant/a.jpg", "ant/a/b/0.jpg", "ant/a/10.jpg", "a-b/x.jpg", "a/x.jpg", "Zebra/x.jpg", "\xc3\xa9/x.jpg",
                                   "gr\xc3\xb6\xc3\x9f" "e/x.jpg", "\xf0\x9f\x98\x80/x.jpg", "\xef\xbc\xa1/x.jpg"});
  CHECK(labelled.classes == Names{"Zebra", "a", "a-b", "ant", "gr\xc3\xb6\xc3\x9f" "e", "\xc3\xa9", "\xef\xbc\xa1", "\xf0\x9f\x98\x80"});
  CHECK(labelled.images == Names{"0 Zebra/x.jpg", "1 a/x.jpg", "2 a-b/x.jpg", "3 ant/Z.PNG", "3 ant/a.jpg", "3 ant/b.jpg", "3 ant/a/10.jpg", "3 ant/a/2.jpg", "3 ant/a-b/1.jpg",
                                 "3 ant/a/b/0.jpg", "4 gr\xc3\xb6\xc3\x9f" "e/x.jpg", "5 \xc3\xa9/x.jpg", "6 \xef\xbc\xa1/x.jpg", "7 \xf0\x9f\x98\x80/x.jpg"});
}

TEST_CASE("class tree: other files and hidden ones are left out") {
  CHECK(label({"LICENSE", "logo.png", ".git/x.jpg", "a/.x.jpg", "a/.thumbs/x.jpg", "a/notes.txt", "a/x.jpg", "a/line\nend.jpg"}).images == Names{"0 a/line\nend.jpg", "0 a/x.jpg"});
  CHECK(label({"a/+.jpg", "a/.x.jpg", "a/b/.y/1.jpg", "a/b/z.jpg"}).images == Names{"0 a/+.jpg", "0 a/b/z.jpg"});
  CHECK(label({"train/a/1.jpg", "train/b/1.jpg", "val/b/2.jpg"}, "val/").images == Names{"0 val/b/2.jpg"});
}

TEST_CASE("class tree: folders that make no classes are named") {
  const auto refused = [](const std::string& part, const Names& paths, const std::string& prefix = "") { expect_error(ExitCode::kInput, part, [&] { label(paths, prefix); }); };
  refused("the class folder 'b' of 't' holds no images", {"a/1.jpg", "b/"});
  refused("the class folder 'b' of 't' holds no images", {"a/1.jpg", "b/notes.txt", "b/.hidden.jpg"});
  refused("the class folder 'b\\x0a' of 'val/' in 't' holds no images", {"val/a/1.jpg", "val/b\n/"}, "val/");
  refused("the classes 'CAT' and 'cat' of 't' differ only in case", {"CAT/1.jpg", "bird/1.jpg", "cat/1.jpg"});
  refused("'t' has 2 images but no folders, expected a folder of images for each class", {"1.jpg", "2.jpg", "x.txt"});
  refused("'t' has neither images nor folders", {"x.txt", ".a/1.jpg"});
  refused("'t' has neither images nor folders", {});
  refused("'t' has neither images nor folders, expected a folder of images for each class\narchives in a folder are read as shards", {"0.tar", "1.tar"});
  refused("'t' has the member 'a/1.jpg' twice", {"a/1.jpg", "b/1.jpg", "a/1.jpg"});
  using tar::header_block, tar::member;
  const std::string base = member({.name = "a/1.jpg"}, "x");
  for (const char type : {'1', '2'}) {
    expect_error(ExitCode::kInput, "the image 'a/2.jpg' in 't' is a link, which is not followed", [&] { label(list_of(base + header_block({.name = "a/2.jpg", .type = type, .link = "a/1.jpg"}))); });
    CHECK(label(list_of(base + header_block({.name = "a/latest", .type = type, .link = "1.jpg"}) + header_block({.name = "a/.2.jpg", .type = type, .link = "1.jpg"}))).images == Names{"0 a/1.jpg"});
  }
}

TEST_CASE("class tree: parts are found by name and by what they hold") {
  CHECK(parts({"a/1.jpg", "b/1.jpg"}) == " | -");
  CHECK(parts({"train/a/1.jpg", "val/a/1.jpg", "test/a/1.jpg", "validation/a/1.jpg", "valid/a/1.jpg"}) == "train/ | val/");
  CHECK(parts({"train/a/1.jpg", "test/a/1.jpg", "validation/a/1.jpg", "valid/a/1.jpg"}) == "train/ | validation/");
  CHECK(parts({"train/a/1.jpg", "test/a/1.jpg", "valid/a/1.jpg"}) == "train/ | valid/");
  CHECK(parts({"Train/a/1.jpg", "TEST/a/1.jpg", "README", "logo.jpg"}) == "Train/ | TEST/");
  CHECK(parts({"train/a/1.jpg"}) == "train/ | -");
  CHECK(parts({".train/a/1.jpg", "val/a/1.jpg"}) == "val/ | -");
  // Unlabelled test images are no part; training images as a class are none either.
  CHECK(parts({"train/a/1.jpg", "test/1.jpg"}) == "train/ | -");
  CHECK(parts({"train/1.jpg", "car/1.jpg", "test/1.jpg"}) == " | -");
  CHECK(parts({"train/1.jpg", "train/old/1.jpg", "car/1.jpg"}) == " | -");
  // A folder around it all, once or twice.
  CHECK(parts({"cifar/README", "cifar/train/a/1.jpg", "cifar/test/a/1.jpg"}) == "cifar/train/ | cifar/test/");
  CHECK(parts({"x/y/a/1.jpg", "x/y/b/1.jpg"}) == "x/y/ | -");
  CHECK(parts({"x/a/1.jpg", "x/b/1.jpg", "logo.png"}) == " | -");
  CHECK(parts({"cats/1.jpg", "cats/more/2.jpg"}) == " | -");
  CHECK(parts({"val/a/1.jpg", "val/b/1.jpg"}) == "val/ | -");
  CHECK(parts({}) == " | -");
}

TEST_CASE("class tree: parts that may as well be classes, or come twice, are asked about") {
  expect_error(ExitCode::kInput, "'t' has folders in 'train' and images in 'bus': is the first the training part or a class?\ngive the folder", [] { parts({"train/old/1.jpg", "bus/1.jpg"}); });
  CHECK(parts({"train/a/1.jpg", "extra/notes.txt"}) == "train/ | -");
  CHECK(parts({"train/a/1.jpg", "val/a/1.jpg", "samples/1.jpg"}) == "train/ | val/");
  expect_error(ExitCode::kInput, "'x/' in 't' has two folders for one part, 'TRAIN' and 'train'", [] { parts({"x/train/a/1.jpg", "x/TRAIN/a/1.jpg"}); });
  expect_error(ExitCode::kInput, "'t' has two folders for one part, 'Val' and 'val'", [] { parts({"train/a/1.jpg", "val/a/1.jpg", "Val/a/1.jpg"}); });
}
