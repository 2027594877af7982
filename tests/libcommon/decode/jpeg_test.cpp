#include <catch2/catch.hpp>

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include "decode/image.h"
#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"

using namespace fettle;
using namespace fettle::test;

namespace {

// libjpeg-turbo as everybody calls it.
Image plain_decode(const std::string& file) {
  jpeg_decompress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size());
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg_start_decompress(&jpeg);
  Image image{jpeg.output_height, jpeg.output_width, std::vector<uint8_t>(size_t{3} * jpeg.output_height * jpeg.output_width)};
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = image.pixels.data() + size_t{3} * jpeg.output_scanline * jpeg.output_width;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_decompress(&jpeg);
  jpeg_destroy_decompress(&jpeg);
  return image;
}

double mean_difference(const Image& a, const Image& b) {
  REQUIRE(a.pixels.size() == b.pixels.size());
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(int{a.pixels[i]} - int{b.pixels[i]});
  return sum / static_cast<double>(a.pixels.size());
}

// Every way to store a colour picture, by name.
std::vector<std::pair<std::string, JpegOptions>> variants() {
  return {{"4:2:0", {}},
          {"4:2:2", {.vertical = 1}},
          {"4:4:0", {.horizontal = 1}},
          {"4:4:4", {.horizontal = 1, .vertical = 1}},
          {"4:1:1", {.horizontal = 4, .vertical = 1}},
          {"4:1:0", {.horizontal = 4, .vertical = 2}},
          {"grey", {.grey = true}},
          {"rgb", {.horizontal = 1, .vertical = 1, .keep_rgb = true}},
          {"progressive 4:2:0", {.progressive = true}},
          {"progressive 4:4:4", {.horizontal = 1, .vertical = 1, .progressive = true}},
          {"scans", {.one_scan_each = true}},
          {"coarse", {.coarse = true}},
          {"coarse 4:4:4", {.horizontal = 1, .vertical = 1, .coarse = true}},
          {"restarts 4:2:0", {.restart_interval = 2}},
          {"restarts 4:4:4", {.horizontal = 1, .vertical = 1, .restart_interval = 3}},
          {"arithmetic", {.arithmetic = true}},
          {"progressive arithmetic", {.progressive = true, .arithmetic = true}},
          {"inks", {.horizontal = 1, .vertical = 1, .inks = true}},
          {"ycck", {.inks = true, .ycck = true}}};
}

// The pixels of `image` that lie in a box of `whole`, which must be those of `whole`.
int64_t count_differences(const Image& whole, const Box& box, const Image& image, const PlacedBox& placed) {
  const auto top = static_cast<int64_t>(placed.top), left = static_cast<int64_t>(placed.left);
  REQUIRE((placed.top == static_cast<double>(top) && placed.left == static_cast<double>(left)));
  REQUIRE((placed.height == static_cast<double>(box.height) && placed.width == static_cast<double>(box.width)));
  REQUIRE((top >= 0 && left >= 0 && top + box.height <= image.height && left + box.width <= image.width));
  int64_t count = 0;
  for (int64_t y = 0; y < box.height; ++y) {
    for (int64_t x = 0; x < box.width * 3; ++x) {
      count += image.pixels[static_cast<size_t>(3 * ((top + y) * image.width + left) + x)] != whole.pixels[static_cast<size_t>(3 * ((box.top + y) * whole.width + box.left) + x)];
    }
  }
  return count;
}

// The same of a whole and a part that are both shrunk.
int64_t shrunk_differences(const Image& whole, const Box& box, int64_t shrink, const Image& image, const PlacedBox& placed) {
  const int64_t top = box.top / shrink, left = box.left / shrink;
  const Box inside{top, left, (box.top + box.height + shrink - 1) / shrink - top, (box.left + box.width + shrink - 1) / shrink - left};
  return count_differences(whole, inside, image, {std::floor(placed.top), std::floor(placed.left), static_cast<double>(inside.height), static_cast<double>(inside.width)});
}

std::string without_end_marker(const std::string& file) { return file.substr(0, file.size() - 2); }

}  // namespace

TEST_CASE("jpeg: pixels are libjpeg-turbo's own, whatever the sampling, coding and size") {
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{48, 64}, {45, 59}, {1, 1}, {2, 3}, {17, 33}, {100, 7}, {7, 100}}) {
    const Image picture = test_picture(height, width);
    for (const auto& [name, options] : variants()) {
      if (options.inks) continue;
      INFO(name << " " << height << " x " << width);
      const std::string file = encode_jpeg(picture, options);
      const Image image = decode(file);
      CHECK(image.height == height);
      CHECK(image.width == width);
      CHECK(image.pixels == plain_decode(file).pixels);
    }
  }
}

TEST_CASE("jpeg: a round trip keeps the picture") {
  const Image picture = test_picture(96, 80);
  for (const auto& [name, options] : variants()) {
    INFO(name);
    Image want = picture;
    for (size_t i = 0; i < want.pixels.size(); i += 3) {
      if (options.grey) want.pixels[i] = want.pixels[i + 2] = want.pixels[i + 1];
      if (options.inks) {
        // Black 64 leaves 191 of 255 to each colour.
        for (size_t c = 0; c < 3; ++c) want.pixels[i + c] = static_cast<uint8_t>(std::lround(want.pixels[i + c] * 191 / 255.0));
      }
    }
    JpegOptions fine = options;
    fine.quality = 100;
    const bool subsampled = options.horizontal * options.vertical > 1 && !options.grey;
    CHECK(mean_difference(decode(encode_jpeg(picture, fine)), want) < (options.coarse ? 30 : subsampled ? 14 : 1));
  }
}

TEST_CASE("jpeg: CMYK is what Pillow makes of it") {
  // One colour a file, coded without loss: 8 x 8 equal values of ink have a DC term alone.
  const auto expected = [](int stored, int stored_black) {
    const int ink = 255 - stored, white = 255 - (255 - stored_black);
    const int t = ink * white + 128;
    return white - ((t + (t >> 8)) >> 8);
  };
  Image picture{8, 8, {}};
  for (int i = 0; i < 64; ++i) picture.pixels.insert(picture.pixels.end(), {200, 96, 8});
  const Image image = decode(encode_jpeg(picture, {.quality = 100, .horizontal = 1, .vertical = 1, .inks = true}));
  CHECK(int{image.pixels[0]} == expected(200, 191));
  CHECK(int{image.pixels[1]} == expected(96, 191));
  CHECK(int{image.pixels[2]} == expected(8, 191));
}

TEST_CASE("jpeg: a file that is cut anywhere is refused, or all its pixels are right") {
  const Image picture = test_picture(80, 96);
  for (const auto& [name, options] : variants()) {
    const std::string file = encode_jpeg(picture, options);
    const Image whole = decode(file);
    ImageDecoder decoder;
    Image image;
    int right = 0;
    // Each percent, and each of the last bytes.
    std::vector<size_t> cuts;
    for (size_t percent = 0; percent < 100; ++percent) cuts.push_back(file.size() * percent / 100);
    for (size_t last = 1; last < 40; ++last) cuts.push_back(file.size() - last);
    for (const size_t cut : cuts) {
      INFO(name << " cut to " << cut << " of " << file.size() << " bytes");
      const std::string part = file.substr(0, cut);
      try {
        decoder.open(as_bytes(part), "'f'");
        decoder.decode(image);
        CHECK(cut + 2 >= file.size());
        CHECK(image.pixels == whole.pixels);
        ++right;
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::kInput);
        CHECK(std::string(error.what()).starts_with("'f' "));
      }
      // No crop hides it.
      try {
        decoder.open(as_bytes(part), "'f'");
        decoder.decode_box({0, 0, 8, 8}, 1, image);
        CHECK(cut + 2 >= file.size());
      } catch (const Error& error) {
        CHECK(error.code() == ExitCode::kInput);
      }
    }
    // A missing end marker is no damage where one scan has it all.
    const bool one_scan = !options.progressive && !options.one_scan_each && !options.coarse && !options.arithmetic;
    CHECK(right == (one_scan ? 2 : 0));
  }
}

TEST_CASE("jpeg: what everybody skips is skipped: bytes between segments, after the image, in unknown segments") {
  const Image picture = test_picture(40, 56);
  const std::string file = encode_jpeg(picture, {.restart_interval = 4});
  const Image whole = decode(file);
  CHECK(decode(file + std::string(1000, 'x')).pixels == whole.pixels);
  CHECK(decode(file + file).pixels == whole.pixels);
  CHECK(decode(without_end_marker(file) + std::string(5, '\0') + "\xff\xd9").pixels == whole.pixels);
  std::string junk = file;
  CHECK(decode(junk.insert(20, "between")).pixels == whole.pixels);
  std::string segments = file;
  const std::string comment = std::string("\xff\xfe\0\x08", 4) + "hello!", profile = std::string("\xff\xe2\0\x06", 4) + "ICC!", vendor = std::string("\xff\xed\0\x03", 4) + "x";
  CHECK(decode(segments.insert(2, comment + profile + vendor)).pixels == whole.pixels);
}

TEST_CASE("jpeg: damage inside is refused") {
  const Image picture = test_picture(80, 96);
  const std::string file = encode_jpeg(picture), restarts = encode_jpeg(picture, {.restart_interval = 1});
  const size_t scan = file.find("\xff\xda");
  std::string missing = file;
  missing.erase(scan + 300, 400);
  refused("'f' is damaged or no valid JPEG: Corrupt JPEG data", missing);
  std::string early = file;
  early.replace(scan + 300, 2, "\xff\xd9");
  refused("premature end of data segment", early);
  std::string lost = restarts;
  const size_t third = lost.find("\xff\xd2");
  lost.erase(third, lost.find("\xff\xd3") - third);
  refused("is damaged", lost);
  std::string wrong_number = restarts;
  wrong_number[third + 1] = '\xd6';
  refused("instead of RST2", wrong_number);
  std::string no_tables = file;
  no_tables[file.find("\xff\xdb") + 1] = '\xfe';
  refused("is damaged", no_tables);
  refused("is damaged", file.substr(0, 2) + file.substr(scan));
  refused("the file ends before its end marker", "\xff\xd8\xff");
  refused("the file ends inside a segment", "\xff\xd8\xff\xe1");
  refused("the file ends inside a segment", std::string("\xff\xd8\xff\xe1\x7f\xffxxx"));
  refused("the file ends inside a segment", std::string("\xff\xd8\xff\xe2\x7f\xffxxx"));
}

TEST_CASE("jpeg: tables of one file do not serve the next") {
  const Image picture = test_picture(40, 56);
  const std::string file = encode_jpeg(picture);
  std::string no_tables = file;
  for (size_t at; (at = no_tables.find("\xff\xdb")) != std::string::npos;) no_tables.replace(at, 2, "\xff\xe5");
  ImageDecoder decoder;
  Image image;
  decoder.open(as_bytes(file), "'f'");
  decoder.decode(image);
  expect_error(ExitCode::kInput, "Quantization table", [&] {
    decoder.open(as_bytes(no_tables), "'f'");
    decoder.decode(image);
  });
}

TEST_CASE("jpeg: headers that lie cost nothing") {
  const std::string file = encode_jpeg(test_picture(40, 56));
  const size_t frame = file.find("\xff\xc0");
  const auto claim = [&](uint64_t height, uint64_t width) {
    std::string changed = file;
    changed.replace(frame + 5, 4, big_endian(height, 2) + big_endian(width, 2));
    return changed;
  };
  refused("claims 65500 x 65500 pixels (height x width), more than the 178956970 allowed", claim(65500, 65500));
  refused("cannot hold the pixels", claim(12000, 12000));
  refused("'f' is ", claim(0, 0));
  refused("'f' is ", claim(0, 56));
  refused("'f' is ", claim(40, 0));
  refused("Maximum supported image dimension", claim(65535, 1));
  std::string deep = file;
  deep[frame + 4] = 12;
  refused("Unsupported JPEG data precision", deep);
  std::string lossless = file;
  lossless[frame + 1] = '\xc3';
  refused("Unsupported JPEG process", lossless);
}

TEST_CASE("jpeg: scans that repeat without end are refused") {
  const std::string file = encode_jpeg(test_picture(40, 56), {.one_scan_each = true});
  const Image whole = decode(file);
  const std::string head = without_end_marker(file), scan = head.substr(head.rfind("\xff\xda"));
  const auto repeated = [&](int times) {
    std::string out = head;
    for (int i = 0; i < times; ++i) out += scan;
    return out + "\xff\xd9";
  };
  CHECK(decode(repeated(97)).pixels == whole.pixels);
  refused("it has more than 100 scans", repeated(98));
  // Refining what was refined already is damage.
  const std::string progressive = without_end_marker(encode_jpeg(test_picture(40, 56), {.progressive = true}));
  refused("Inconsistent progression", progressive + progressive.substr(progressive.rfind("\xff\xda")) + "\xff\xd9");
}

TEST_CASE("jpeg: a box at full size holds the pixels of the whole, bit for bit") {
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{96, 128}, {77, 101}, {35, 37}, {16, 16}, {3, 5}}) {
    const Image picture = test_picture(height, width);
    for (const auto& [name, options] : variants()) {
      const std::string file = encode_jpeg(picture, options);
      ImageDecoder decoder;
      Image whole, image;
      decoder.open(as_bytes(file), "'f'");
      decoder.decode(whole);
      int64_t differing = 0, boxes = 0, cut = 0;
      // At and around block boundaries, of all positions modulo 16, down to single pixels; sizes take turns.
      static constexpr int64_t kSizes[][2] = {{1, 1}, {2, 9}, {17, 16}, {40, 31}, {1000, 1000}};
      for (int64_t top = 0, row = 0; top < height; top += top < 20 ? 3 : 7, ++row) {
        for (int64_t left = 0; left < width; left += left < 20 ? 1 : 11) {
          const auto& [rows, columns] = kSizes[(boxes + row) % 5];
          const Box box{top, left, std::min(rows, height - top), std::min(columns, width - left)};
          decoder.open(as_bytes(file), "'f'");
          const PlacedBox placed = decoder.decode_box(box, 1, image);
          differing += count_differences(whole, box, image, placed) != 0;
          cut += image.height * image.width < height * width;
          ++boxes;
        }
      }
      INFO(name << " " << height << " x " << width << ", boxes " << boxes);
      CHECK(differing == 0);
      CHECK((cut > boxes / 2 || height * width < 1000 || options.coarse));
    }
  }
}

TEST_CASE("jpeg: a box is read at the largest shrink that the target allows") {
  const std::string two_by_two = encode_jpeg(test_picture(256, 320));
  const auto height_in = [](const std::string& file, const Box& box, int64_t target_height, int64_t target_width) {
    ImageDecoder decoder;
    Image image;
    decoder.open(as_bytes(file), "'f'");
    return decoder.decode_box(box, decoder.denominator(box.height, box.width, target_height, target_width), image).height;
  };
  const auto height_of = [&](const Box& box, int64_t target_height, int64_t target_width) { return height_in(two_by_two, box, target_height, target_width); };
  const Box whole{0, 0, 256, 320};
  CHECK(height_of(whole, 256, 320) == 256);
  CHECK(height_of(whole, 129, 160) == 256);
  CHECK(height_of(whole, 128, 161) == 256);
  CHECK(height_of(whole, 128, 160) == 128);
  CHECK(height_of(whole, 65, 80) == 128);
  CHECK(height_of(whole, 64, 80) == 64);
  CHECK(height_of(whole, 33, 40) == 64);
  CHECK(height_of(whole, 32, 40) == 32);
  CHECK(height_of(whole, 1, 1) == 32);
  CHECK(height_of({10, 20, 99, 200}, 49, 100) == 49.5);
  CHECK(height_of({10, 20, 99, 200}, 50, 100) == 99);
  CHECK(height_of({0, 0, 1, 1}, 200, 200) == 1);
  // Chroma of 4:4:4 and 4:2:0 comes at the size of luminance. That of 4:2:2 stays half as wide: it has 160 columns, 80 at 1/2.
  CHECK(height_in(encode_jpeg(test_picture(256, 320), {.horizontal = 1, .vertical = 1}), whole, 128, 160) == 128);
  const std::string wide = encode_jpeg(test_picture(256, 320), {.vertical = 1});
  CHECK(height_in(wide, whole, 128, 160) == 256);
  CHECK(height_in(wide, whole, 128, 81) == 256);
  CHECK(height_in(wide, whole, 128, 80) == 128);
  CHECK(height_in(wide, whole, 32, 20) == 32);
}

TEST_CASE("jpeg: a shrunk box is close to the mean of the pixels that it stands for") {
  // Smooth enough for the coarsest chroma, one sample for 32 columns; a place that is off by one at 1/8 differs by 10 and more.
  const int64_t height = 203, width = 251;
  Image picture{height, width, {}};
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      const double wave = std::sin(0.04 * static_cast<double>(x)) + std::cos(0.05 * static_cast<double>(y));
      picture.pixels.insert(picture.pixels.end(), {static_cast<uint8_t>(128 + 60 * wave), static_cast<uint8_t>(100 + 50 * wave), static_cast<uint8_t>(x)});
    }
  }
  for (const auto& [name, options] : variants()) {
    const std::string file = encode_jpeg(picture, options);
    ImageDecoder decoder;
    Image whole, image;
    decoder.open(as_bytes(file), "'f'");
    decoder.decode(whole);
    for (const int64_t wanted : {2, 4, 8}) {
      for (const Box& box : {Box{0, 0, height, width}, Box{40, 64, 120, 96}, Box{33, 51, 97, 155}, Box{107, 143, 96, 108}}) {
        INFO(name << " 1/" << wanted << ", box at " << box.top << ", " << box.left << " of " << box.height << " x " << box.width);
        decoder.open(as_bytes(file), "'f'");
        const int64_t shrink = decoder.denominator(box.height, box.width, box.height / wanted, box.width / wanted);
        Image all;
        decoder.decode_box({0, 0, height, width}, shrink, all);
        decoder.open(as_bytes(file), "'f'");
        const PlacedBox placed = decoder.decode_box(box, shrink, image);
        CHECK(shrunk_differences(all, box, shrink, image, placed) == 0);
        REQUIRE(placed.height == static_cast<double>(box.height) / static_cast<double>(shrink));
        REQUIRE((shrink == wanted || (options.horizontal * options.vertical == 2 && shrink == wanted / 2) || options.horizontal == 4 || options.ycck));
        REQUIRE(placed.width == static_cast<double>(box.width) / static_cast<double>(shrink));
        CHECK((placed.top >= 0 && placed.left >= 0 && placed.top + placed.height <= static_cast<double>(image.height) && placed.left + placed.width <= static_cast<double>(image.width)));
        // image(x) covers whole(first_column + x * shrink ...).
        const double first_row = static_cast<double>(box.top) - placed.top * static_cast<double>(shrink);
        const double first_column = static_cast<double>(box.left) - placed.left * static_cast<double>(shrink);
        REQUIRE(std::fmod(first_row, static_cast<double>(shrink)) == 0);
        REQUIRE(std::fmod(first_column, static_cast<double>(shrink)) == 0);
        double difference = 0;
        int64_t count = 0;
        for (auto y = static_cast<int64_t>(placed.top); y < static_cast<int64_t>(placed.top + placed.height); ++y) {
          for (auto x = static_cast<int64_t>(placed.left); x < static_cast<int64_t>(placed.left + placed.width); ++x) {
            for (int64_t c = 0; c < 3; ++c) {
              double sum = 0;
              int64_t pixels = 0;
              for (int64_t dy = 0; dy < shrink; ++dy) {
                for (int64_t dx = 0; dx < shrink; ++dx) {
                  const int64_t row = static_cast<int64_t>(first_row) + y * shrink + dy, column = static_cast<int64_t>(first_column) + x * shrink + dx;
                  if (row >= height || column >= width) continue;
                  sum += whole.pixels[static_cast<size_t>(3 * (row * width + column) + c)];
                  ++pixels;
                }
              }
              difference += std::abs(sum / static_cast<double>(pixels) - image.pixels[static_cast<size_t>(3 * (y * image.width + x) + c)]);
              ++count;
            }
          }
        }
        CHECK(difference / static_cast<double>(count) < 2);
      }
    }
  }
}

TEST_CASE("jpeg: a box of a file without an end marker is read to the end, and with junk behind it as well") {
  const Image picture = test_picture(160, 96);
  const std::string file = encode_jpeg(picture);
  const Image whole = decode(file);
  const Box box{3, 5, 20, 30};
  ImageDecoder decoder;
  Image image;
  for (const std::string& good : {file, without_end_marker(file), file + std::string(500, 'x'), file + std::string(10, '\0')}) {
    decoder.open(as_bytes(good), "'f'");
    CHECK(count_differences(whole, box, image, decoder.decode_box(box, 1, image)) == 0);
  }
  const std::string cut = file.substr(0, file.size() * 9 / 10);
  decoder.open(as_bytes(cut), "'f'");
  expect_error(ExitCode::kInput, "the file ends inside the pixels", [&] { decoder.decode_box(box, 1, image); });
  // With an end marker put behind the cut the box is read without a look at the rest, as the header says.
  decoder.open(as_bytes(file), "'f'");
  expect_error(ExitCode::kBug, "a box of", [&] { decoder.decode_box({0, 0, 161, 10}, 1, image); });
  expect_error(ExitCode::kBug, "a box of", [&] { decoder.decode_box({0, 90, 10, 7}, 1, image); });
  expect_error(ExitCode::kBug, "a box of", [&] { decoder.decode_box({-1, 0, 10, 7}, 1, image); });
  expect_error(ExitCode::kBug, "a target of", [&] { decoder.denominator(10, 7, 0, 1); });
  expect_error(ExitCode::kBug, "denominator 3", [&] { decoder.decode_box({0, 0, 10, 7}, 3, image); });
}
