// Times the JPEG decoder on one thread, against libjpeg-turbo alone writing into a warm buffer, and per box: images a second, the
// median of the rounds and their range. All sides take turns in every round. Seconds are the thread's own, so that other processes
// disturb less; ratios are to libjpeg-turbo alone in the same round.
//
//   bench-decode FOLDER IMAGES ROUNDS      IMAGES files, evenly spaced among the .jpg and .jpeg files below FOLDER, read beforehand
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "base/errors.h"
#include "decode/image.h"
#include "io/mapped_file.h"

namespace {

using namespace fettle;

using File = std::vector<uint8_t>;

double thread_s() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

std::vector<File> read_files(const std::filesystem::path& folder, size_t count) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && (extension == ".jpg" || extension == ".jpeg")) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  FT_REQUIRE(!paths.empty(), "no JPEG files below '{}'", folder.string());
  count = std::min(count, paths.size());
  std::vector<File> files;
  for (size_t i = 0; i < count; ++i) {
    const MappedFile file(paths[i * paths.size() / count]);
    files.emplace_back(file.bytes().begin(), file.bytes().end());
  }
  return files;
}

// libjpeg-turbo alone: one object for all files, as many rows a call as our decoder asks for.
class Bare {
 public:
  Bare() {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_create_decompress(&jpeg_);
  }
  ~Bare() { jpeg_destroy_decompress(&jpeg_); }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  void decode(const File& file, std::vector<uint8_t>& pixels) {
    jpeg_mem_src(&jpeg_, file.data(), file.size());
    jpeg_read_header(&jpeg_, TRUE);
    jpeg_.out_color_space = JCS_RGB;
    jpeg_start_decompress(&jpeg_);
    const size_t row_bytes = size_t{3} * jpeg_.output_width;
    pixels.resize(row_bytes * jpeg_.output_height);
    while (jpeg_.output_scanline < jpeg_.output_height) {
      JSAMPROW rows[16];
      const JDIMENSION count = std::min<JDIMENSION>(16, jpeg_.output_height - jpeg_.output_scanline);
      for (JDIMENSION i = 0; i < count; ++i) rows[i] = pixels.data() + row_bytes * (jpeg_.output_scanline + i);
      jpeg_read_scanlines(&jpeg_, rows, count);
    }
    jpeg_finish_decompress(&jpeg_);
  }

 private:
  jpeg_decompress_struct jpeg_;
  jpeg_error_mgr errors_;
};

struct Crop {
  const char* name;
  double top, left, height, width;  // shares of the image
  int64_t target;                   // rows and columns
};

constexpr Crop kCrops[] = {
    {"box: whole, to 224", 0, 0, 1, 1, 224},
    {"box: centre 1/2 x 1/2, to 224", 0.25, 0.25, 0.5, 0.5, 224},
    {"box: upper left 0.6 x 0.6, to 224", 0, 0, 0.6, 0.6, 224},
    {"box: lower right 0.6 x 0.6, to 224", 0.4, 0.4, 0.6, 0.6, 224},
    {"box: whole, to 160", 0, 0, 1, 1, 160},
    {"box: centre 0.7 x 0.7, to 128", 0.15, 0.15, 0.7, 0.7, 128},
    {"box: whole, to 96", 0, 0, 1, 1, 96},
};

struct Side {
  std::string name;
  std::function<void(const File&)> run;
  std::vector<double> images_per_s;
};

void run(char** argv) {
  const std::vector<File> files = read_files(argv[1], std::strtoull(argv[2], nullptr, 10));
  const int rounds = std::atoi(argv[3]);
  FT_REQUIRE_USAGE(rounds > 0, "ROUNDS is {}, expected at least 1", rounds);

  Bare bare;
  ImageDecoder decoder;
  std::vector<uint8_t> pixels;
  Image image;
  for (const File& file : files) {
    bare.decode(file, pixels);
    decoder.open(file, "file");
    decoder.decode(image);
    FT_CHECK(image.pixels == pixels, "the two sides decode to other pixels");
  }

  std::vector<Side> sides;
  sides.push_back({"libjpeg-turbo alone", [&](const File& file) { bare.decode(file, pixels); }, {}});
  sides.push_back({"decode()", [&](const File& file) {
                     decoder.open(file, "file");
                     decoder.decode(image);
                   }, {}});
  for (const Crop& crop : kCrops) {
    sides.push_back({crop.name, [&](const File& file) {
                       const ImageInfo info = decoder.open(file, "file");
                       const auto part = [](double share, int64_t whole) { return static_cast<int64_t>(share * static_cast<double>(whole)); };
                       const Box box{part(crop.top, info.height), part(crop.left, info.width), part(crop.height, info.height), part(crop.width, info.width)};
                       decoder.decode_box(box, decoder.denominator(box.height, box.width, crop.target, crop.target), image);
                     }, {}});
  }
  for (int round = 0; round < rounds; ++round) {
    for (Side& side : sides) {
      const double began = thread_s();
      for (const File& file : files) side.run(file);
      side.images_per_s.push_back(static_cast<double>(files.size()) / (thread_s() - began));
    }
  }
  const auto summary = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return std::array<double, 3>{values[values.size() / 2], values.front(), values.back()};
  };
  fmt::print("{} images, {} rounds, one thread, commit {}\n{:<36}{:>10}{:>18}{:>8}{:>16}\n", files.size(), rounds, build_info().commit, "", "images/s", "range", "ratio", "range");
  for (const Side& side : sides) {
    std::vector<double> ratios;  // to the first side's in the same round
    for (size_t i = 0; i < side.images_per_s.size(); ++i) ratios.push_back(side.images_per_s[i] / sides[0].images_per_s[i]);
    const auto [median, least, most] = summary(side.images_per_s);
    const auto [ratio, least_ratio, most_ratio] = summary(ratios);
    fmt::print("{:<36}{:>10.1f}{:>9.1f}{:>9.1f}{:>8.2f}{:>8.2f}{:>8.2f}\n", side.name, median, least, most, ratio, least_ratio, most_ratio);
  }
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "FOLDER IMAGES ROUNDS", run); }
