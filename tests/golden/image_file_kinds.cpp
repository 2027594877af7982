// Golden kinds of image files: pixels that Pillow finds in them, and files that must be refused. No LibTorch.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/errors.h"
#include "decode/image.h"
#include "io/mapped_file.h"
#include "tests/golden/golden.h"
#include "tests/support/shared_files.h"

namespace fettle::golden {
namespace {

using nlohmann::json;

// The largest difference between an image and a tensor [3, H, W].
void check_pixels(const Case& test, const std::string& tensor, const Image& image, double atol) {
  INFO("tensor " << tensor);
  const TensorInfo* info = test.tensors.find(tensor);
  REQUIRE(info != nullptr);
  REQUIRE(info->shape == std::vector<int64_t>{3, image.height, image.width});
  const std::vector<int64_t> want = read_integers(test, tensor);
  const int64_t plane = image.height * image.width;
  int64_t worst = 0;
  for (int64_t i = 0; i < plane; ++i) {
    for (int64_t c = 0; c < 3; ++c) worst = std::max(worst, std::abs(want[static_cast<size_t>(c * plane + i)] - image.pixels[static_cast<size_t>(3 * i + c)]));
  }
  CHECK(static_cast<double>(worst) <= atol);
}

Image decode_file(const std::filesystem::path& path, ImageInfo& info) {
  const MappedFile file(path);
  ImageDecoder decoder;
  info = decoder.open(file.bytes(), fmt::format("'{}'", path.string()));
  Image image;
  decoder.decode(image);
  CHECK(info.height == image.height);
  CHECK(info.width == image.width);
  return image;
}

void check_refused(const std::filesystem::path& path) {
  ImageInfo info;
  try {
    decode_file(path, info);
  } catch (const Error& error) {
    INFO(error.what());
    CHECK(error.code() == ExitCode::kInput);
    CHECK(std::string(error.what()).starts_with("'" + path.string() + "'"));
    return;
  }
  FAIL_CHECK("was taken");
}

void run_image_files(const Case& test) {
  const double default_atol = test.json.at("tolerance").at("default").at("atol");
  for (const json& row : test.json.at("files")) {
    const std::string name = row.at("file"), expect = row.at("expect");
    INFO("file " << name << ", expected: " << expect);
    const std::filesystem::path path = test.directory / name;
    const std::string either = "error or pixels of ";
    ImageInfo info;
    if (expect == "pixels") {
      const double atol = row.contains("tolerance") ? row["tolerance"].at("atol").get<double>() : default_atol;
      Image image = decode_file(path, info);
      CHECK(std::vector<int64_t>{image.height, image.width} == row.at("height_width").get<std::vector<int64_t>>());
      check_pixels(test, name, image, atol);
      if (test.tensors.find(name + ".oriented") != nullptr) {
        apply_orientation(image, info.orientation);
        check_pixels(test, name + ".oriented", image, atol);
      }
    } else if (expect == "error") {
      check_refused(path);
    } else if (expect.starts_with(either)) {
      // Ours does not need the end marker.
      check_pixels(test, expect.substr(either.size()), decode_file(path, info), default_atol);
    } else {
      throw Skip{fmt::format("expect '{}' is not known", expect)};
    }
  }
}

void run_image_source(const Case& test) {
  const std::vector<std::filesystem::path> files = test::files_below(test.directory, ".png");
  REQUIRE(files.size() == 1);
  ImageInfo info;
  check_pixels(test, "image", decode_file(files[0], info), test.json.at("tolerance").at("atol"));
}

}  // namespace

std::vector<Kind> image_file_kinds() { return {{"vision/image_files", run_image_files}, {"vision/image_source", run_image_source}}; }

}  // namespace fettle::golden
