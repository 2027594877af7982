#include "dataset/dataset_id.h"

#include <catch2/catch.hpp>

#include "io/sha256.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

TEST_CASE("dataset id: a file is its contents") {
  TempDir dir;
  write_text(dir / "a", "abc");
  CHECK(dataset_id(dir / "a", false) == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(dataset_id(dir / "a", true) == dataset_id(dir / "a", false));
}

TEST_CASE("dataset id: a folder is its sorted paths and sizes, on request its contents") {
  TempDir dir;
  std::filesystem::create_directories(dir / "b/c");
  write_text(dir / "b/c/z", "abc");
  write_text(dir / "b.txt", "");
  write_text(dir / ".hidden", "12345");
  std::filesystem::create_directories(dir / "empty");
  CHECK(dataset_id(dir.path(), false) == "sha256:" + sha256_hex(".hidden, 5\nb.txt, 0\nb/c/z, 3\n"));
  CHECK(dataset_id(dir.path(), true) ==
        "sha256:" + sha256_hex(".hidden, 5, " + sha256_hex("12345") + "\nb.txt, 0, " + sha256_hex("") + "\nb/c/z, 3, " + sha256_hex("abc") + "\n"));
  CHECK(dataset_id(dir / "", false) == dataset_id(dir.path(), false));
  write_text(dir / "b/c/z", "xyz");
  CHECK(dataset_id(dir.path(), false) == "sha256:" + sha256_hex(".hidden, 5\nb.txt, 0\nb/c/z, 3\n"));
}

TEST_CASE("dataset id: links count as what they lead to, circles and dead ends are refused") {
  TempDir dir;
  TempDir elsewhere;
  std::filesystem::create_directory(elsewhere / "sub");
  write_text(elsewhere / "sub/f", "abc");
  std::filesystem::create_symlink(elsewhere / "sub", dir / "folder");
  std::filesystem::create_symlink(elsewhere / "sub/f", dir / "file");
  CHECK(dataset_id(dir.path(), false) == "sha256:" + sha256_hex("file, 3\nfolder/f, 3\n"));
  std::filesystem::create_symlink(dir.path(), elsewhere / "sub/back");
  expect_error(ExitCode::kInput, "leads back", [&] { dataset_id(dir.path(), false); });
  std::filesystem::remove(elsewhere / "sub/back");
  std::filesystem::create_symlink("nowhere", dir / "dead");
  expect_error(ExitCode::kInput, "dead' is a link that leads nowhere", [&] { dataset_id(dir.path(), false); });
}

TEST_CASE("dataset id: a line end in a name cannot pass for two files") {
  TempDir one;
  TempDir two;
  write_text(one / "a, 1\nb", "x");
  write_text(two / "a", "x");
  write_text(two / "b", "x");
  CHECK(dataset_id(one.path(), false) == "sha256:" + sha256_hex("a, 1\\nb, 1\n"));
  CHECK(dataset_id(one.path(), false) != dataset_id(two.path(), false));
}

TEST_CASE("dataset id: missing and empty are the input's fault") {
  TempDir dir;
  expect_error(ExitCode::kInput, "holds no files", [&] { dataset_id(dir.path(), false); });
  expect_error(ExitCode::kInput, "No such file", [&] { dataset_id(dir / "none", false); });
}
