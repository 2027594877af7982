#include "dataset/image_set.h"

#include <catch2/catch.hpp>

#include <numeric>

#include "tests/support/expect_error.h"
#include "tests/support/gzip.h"
#include "tests/support/idx_files.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

void refused(const std::string& part, const TempDir& dir, std::optional<int64_t> num_classes = std::nullopt, ExitCode code = ExitCode::kInput) {
  INFO(part);
  expect_error(code, part, [&] { load_image_dataset(dir.path().string(), num_classes); });
}

}  // namespace

TEST_CASE("image set: four IDX files in a folder, plain or .gz, become two sets") {
  TempDir dir;
  write_idx_dataset(dir.path(), {0, 1, 2, 1}, {2, 0}, 2, 3);
  const auto check = [&] {
    const ImageDataset data = load_image_dataset(dir.path().string());
    CHECK(data.train.num_images == 4);
    CHECK(data.train.height == 2);
    CHECK(data.train.width == 3);
    CHECK(data.train.channels == 1);
    CHECK(data.train.num_classes == 3);
    CHECK(data.test.num_classes == 3);
    CHECK(data.train.labels == std::vector<int64_t>{0, 1, 2, 1});
    CHECK(data.test.labels == std::vector<int64_t>{2, 0});
    CHECK(data.test.num_images == 2);
    CHECK(data.train.pixels.size() == 24);
    CHECK(data.train.image(1).size() == 6);
    CHECK(data.train.image(1)[0] == 6);
    CHECK(data.class_names.empty());
    CHECK(data.folder == dir.path());
  };
  check();
  write_text(dir / "train-labels-idx1-ubyte.gz", "not read: plain wins");
  check();
  for (const std::string name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"}) {
    write_text(dir / (name + ".gz"), gzip(read_text(dir / name)));
    std::filesystem::remove(dir / name);
  }
  check();
}

TEST_CASE("image set: missing files and folders are named") {
  TempDir dir;
  write_idx_dataset(dir.path(), {0, 1}, {1}, 2, 2);
  std::filesystem::remove(dir / "t10k-labels-idx1-ubyte");
  refused("'" + dir.path().string() + "' has no 't10k-labels-idx1-ubyte' (nor that with .gz)", dir);
  expect_error(ExitCode::kInput, "/no/such/folder' does not exist\n--data takes 'fashion-mnist' or a folder", [] { load_image_dataset("/no/such/folder"); });
  expect_error(ExitCode::kInput, "is no folder", [&] { load_image_dataset((dir / "train-labels-idx1-ubyte").string()); });
}

TEST_CASE("image set: counts, ranks and sizes that disagree are refused") {
  TempDir dir;
  write_idx_dataset(dir.path(), {0, 1}, {1}, 2, 2);
  write_text(dir / "train-labels-idx1-ubyte", idx_file({3}, std::string("\0\1\1", 3)));
  refused("train-labels-idx1-ubyte' has 3 labels, expected 2, one for each image of 'train-images-idx3-ubyte'", dir);
  write_text(dir / "train-labels-idx1-ubyte", idx_file({2, 1}, std::string("\0\1", 2)));
  refused("train-labels-idx1-ubyte' has 2 dimensions, expected 1", dir);
  write_text(dir / "train-images-idx3-ubyte", idx_file({2, 4}, "abcdefgh"));
  refused("train-images-idx3-ubyte' has 2 dimensions, expected 3", dir);
  write_idx_dataset(dir.path(), {0, 1}, {1}, 2, 2);
  write_text(dir / "t10k-images-idx3-ubyte", idx_file({1, 2, 3}, "abcdef"));
  refused("are 2x3, expected 2x2 as for training", dir);
  write_text(dir / "t10k-images-idx3-ubyte", idx_file({1, 2, 2}, "abc"));
  refused("t10k-images-idx3-ubyte' is truncated", dir);
}

TEST_CASE("image set: labels are 0 to C-1 without a gap, unless the number of classes is given") {
  TempDir dir;
  write_idx_dataset(dir.path(), {0, 1, 4, 3}, {1}, 2, 2);
  refused("train-labels-idx1-ubyte' has labels up to 4 but none is 2", dir);
  refused("--num-classes 5", dir);
  CHECK(load_image_dataset(dir.path().string(), 5).train.num_classes == 5);
  CHECK(load_image_dataset(dir.path().string(), 9).test.num_classes == 9);
  refused("train-labels-idx1-ubyte' has the label 4 at position 2, expected 0 to 3", dir, 4);
  refused("num_classes is 0, expected at least 1", dir, 0, ExitCode::kUsage);
  write_idx_dataset(dir.path(), {1, 2}, {1}, 2, 2);
  refused("but none is 0", dir);
  write_idx_dataset(dir.path(), {0, 1, 2}, {0, 3}, 2, 2);
  refused("t10k-labels-idx1-ubyte' has the label 3 at position 1, expected 0 to 2", dir);
  write_idx_dataset(dir.path(), {0, 1, 2}, {0}, 2, 2);
  CHECK(load_image_dataset(dir.path().string()).test.num_classes == 3);
}

TEST_CASE("image set: fashion-mnist is Debian's package, with its names") {
  const auto folder = image_dataset_folder("fashion-mnist");
  CHECK(folder == "/usr/share/datasets/fashion-mnist");
  CHECK(image_dataset_folder("some/folder") == "some/folder");
  if (!std::filesystem::exists(folder)) {
    expect_error(ExitCode::kInput, "does not exist\napt-get install dataset-fashion-mnist", [] { load_image_dataset("fashion-mnist"); });
    return skip("the package dataset-fashion-mnist is not installed");
  }
  const ImageDataset data = load_image_dataset("fashion-mnist");
  CHECK(data.train.num_images == 60'000);
  CHECK(data.test.num_images == 10'000);
  CHECK(data.train.height == 28);
  CHECK(data.train.width == 28);
  CHECK(data.train.num_classes == 10);
  REQUIRE(data.class_names.size() == 10);
  CHECK(data.class_names[9] == "ankle boot");
  CHECK(data.train.labels[0] == 9);  // the first picture is a boot
  // The published mean of the training pixels, 0.2860 of 255.
  const double mean = std::accumulate(data.train.pixels.begin(), data.train.pixels.end(), 0.0) / static_cast<double>(data.train.pixels.size()) / 255;
  CHECK(mean == Approx(0.2860).margin(5e-5));
}
