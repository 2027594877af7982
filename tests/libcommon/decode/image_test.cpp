#include "decode/image.h"

#include <catch2/catch.hpp>

#include <array>
#include <thread>

#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"

using namespace fettle;
using namespace fettle::test;

TEST_CASE("image: the format is told by the first bytes") {
  const Image picture = test_picture(6, 9);
  const std::string ppm = "P6 9 6 255\n" + std::string(picture.pixels.begin(), picture.pixels.end());
  ImageDecoder decoder;
  const auto format = [&](const std::string& file) { return image_format_name(decoder.open(as_bytes(file), "'f'").format); };
  CHECK(format(encode_jpeg(picture)) == "JPEG");
  CHECK(format(encode_png(6, 9, samples_of(picture), {})) == "PNG");
  CHECK(format(encode_webp(picture)) == "WebP");
  CHECK(format(encode_tiff(6, 9, samples_of(picture), {})) == "TIFF");
  CHECK(format(ppm) == "PNM");
}

TEST_CASE("image: what is none is refused in words") {
  refused("is empty", "");
  refused("no image that can be read: it begins with 74 68 69 73, expected JPEG, PNG", "this is not an image\n");
  refused("it begins with 00", std::string(1, '\0'));
  refused("begins with 00 00 00 00", std::string(4096, '\0'));
  refused("begins with ff d8", "\xff\xd8");
  refused("begins with 50 37", "P7\nWIDTH 1");
  refused("no image that can be read", "RIFF1234WAVEfmt ");
}

TEST_CASE("image: one decoder reads file after file into one image, also after errors and again without opening") {
  const Image a = test_picture(30, 41, 1), b = test_picture(8, 5, 2);
  const std::string jpeg = encode_jpeg(a), png = encode_png(8, 5, samples_of(b), {}), other = encode_jpeg(b, {.grey = true});
  const Image want_jpeg = decode(jpeg), want_other = decode(other);
  ImageDecoder decoder;
  Image image;
  for (int round = 0; round < 3; ++round) {
    const ImageInfo info = decoder.open(as_bytes(jpeg), "'f'");
    CHECK(info.height == 30);
    CHECK(info.width == 41);
    for (int again = 0; again < 2; ++again) {
      decoder.decode(image);
      CHECK(image.height == 30);
      CHECK(image.width == 41);
      CHECK(image.pixels == want_jpeg.pixels);
    }
    const size_t capacity = image.pixels.capacity();
    decoder.open(as_bytes(png), "'f'");
    decoder.decode(image);
    CHECK(image.pixels == b.pixels);
    CHECK(image.pixels.capacity() == capacity);
    const std::string cut = jpeg.substr(0, jpeg.size() * 9 / 10);
    decoder.open(as_bytes(cut), "'cut'");
    expect_error(ExitCode::kInput, "'cut' is damaged", [&] { decoder.decode(image); });
    expect_error(ExitCode::kInput, "'empty'", [&] { decoder.open({}, "'empty'"); });
    expect_error(ExitCode::kBug, "no image is open", [&] { decoder.decode(image); });
    decoder.open(as_bytes(other), "'f'");
    decoder.decode(image);
    CHECK(image.pixels == want_other.pixels);
  }
  ImageDecoder moved = std::move(decoder);
  moved.open(as_bytes(jpeg), "'f'");
  moved.decode(image);
  CHECK(image.pixels == want_jpeg.pixels);
}

TEST_CASE("image: threads with a decoder each do not meet") {
  const Image picture = test_picture(37, 50);
  const std::vector<std::string> files{encode_jpeg(picture), encode_jpeg(picture, {.progressive = true}), encode_png(37, 50, samples_of(picture), {}), encode_webp(picture),
                                       encode_tiff(37, 50, samples_of(picture), {.compression = 5}), encode_jpeg(picture).substr(0, 900), "no image"};
  const auto read_all = [&] {
    ImageDecoder decoder;
    Image image;
    std::string seen;
    for (const std::string& file : files) {
      try {
        decoder.open(as_bytes(file), "'f'");
        decoder.decode(image);
        seen.append(image.pixels.begin(), image.pixels.end());
      } catch (const Error& error) {
        seen += error.what();
      }
    }
    return seen;
  };
  const std::string want = read_all();
  std::array<bool, 4> same{};
  std::vector<std::thread> threads;
  for (bool& ok : same) {
    threads.emplace_back([&] {
      ok = true;
      for (int round = 0; round < 20; ++round) ok = read_all() == want && ok;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const bool ok : same) CHECK(ok);
}

TEST_CASE("image: max_pixels holds for every format, to the pixel") {
  const Image picture = test_picture(6, 9);
  const std::vector<uint16_t> samples = samples_of(picture);
  const std::string pixels(picture.pixels.begin(), picture.pixels.end());
  const std::string tga = std::string("\0\0\2\0\0\0\0\0\0\0\0\0\x09\0\x06\0\x18\0", 18) + pixels;
  const std::string bmp = "BM" + little_endian(0, 8) + little_endian(54, 4) + little_endian(40, 4) + little_endian(9, 4) + little_endian(6, 4) + little_endian(1, 2) +
                          little_endian(24, 2) + little_endian(0, 24) + std::string(28 * 6, 'x');
  const std::string gif = "GIF89a" + little_endian(9, 2) + little_endian(6, 2) + std::string(3, '\0') + "," + little_endian(0, 4) + little_endian(9, 2) +
                          little_endian(6, 2) + std::string("\0\2\1\0", 4);
  for (const std::string& file : {encode_jpeg(picture), encode_png(6, 9, samples, {}), encode_webp(picture), encode_webp(picture, 80), encode_tiff(6, 9, samples, {}),
                                  encode_tiff(6, 9, samples, {.tile = 16}), "P6 9 6 255\n" + pixels, tga, bmp, gif}) {
    ImageDecoder exact({.max_pixels = 16 * 16});
    INFO(image_format_name(exact.open(as_bytes(file), "'f'").format));
    // A tile may be larger than the image that it holds.
    const bool tiled = file == encode_tiff(6, 9, samples, {.tile = 16});
    ImageDecoder least({.max_pixels = tiled ? 256 : 54});
    CHECK(least.open(as_bytes(file), "'f'").height == 6);
    ImageDecoder less({.max_pixels = tiled ? 255 : 53});
    expect_error(ExitCode::kInput, tiled ? "'f' claims 16 x 16" : "'f' claims 6 x 9 pixels (height x width), more than the 53 allowed",
                 [&] { less.open(as_bytes(file), "'f'"); });
  }
  expect_error(ExitCode::kUsage, "max_pixels is 0", [] { ImageDecoder decoder({.max_pixels = 0}); });
}

TEST_CASE("image: every orientation turns the picture upright") {
  // 1 2 3      as EXIF draws it: the stored first row and first column are ... of the upright picture
  // 4 5 6
  const auto picture = [](int64_t height, int64_t width, const std::string& digits) {
    Image image{height, width, {}};
    for (const char digit : digits) image.pixels.insert(image.pixels.end(), 3, static_cast<uint8_t>(digit));
    return image;
  };
  const std::vector<std::pair<int64_t, std::string>> upright{{2, "123456"}, {2, "321654"}, {2, "654321"}, {2, "456123"},
                                                             {3, "142536"}, {3, "415263"}, {3, "635241"}, {3, "362514"}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    INFO(orientation);
    Image image = picture(2, 3, "123456");
    apply_orientation(image, orientation);
    const auto& [height, digits] = upright[static_cast<size_t>(orientation - 1)];
    CHECK(image.height == height);
    CHECK(image.width == 5 - height);
    CHECK(image.pixels == picture(height, 5 - height, digits).pixels);
  }
  Image image = picture(1, 1, "1");
  expect_error(ExitCode::kBug, "orientation 0", [&] { apply_orientation(image, 0); });
  expect_error(ExitCode::kBug, "orientation 9", [&] { apply_orientation(image, 9); });
}

TEST_CASE("image: the orientation is found in every format that has one, and ignored where it makes no sense") {
  const Image picture = test_picture(4, 6);
  const auto orientation = [](const std::string& file) {
    ImageDecoder decoder;
    return decoder.open(as_bytes(file), "'f'").orientation;
  };
  for (int o = 1; o <= 8; ++o) {
    CHECK(orientation(encode_jpeg(picture, {.orientation = o})) == o);
    CHECK(orientation(encode_png(4, 6, samples_of(picture), {.orientation = o})) == o);
    CHECK(orientation(encode_tiff(4, 6, samples_of(picture), {.orientation = o})) == o);
  }
  CHECK(orientation(encode_jpeg(picture)) == 1);
  CHECK(orientation(encode_jpeg(picture, {.orientation = 9})) == 1);

  const auto with_exif = [&](const std::string& data) {
    std::string jpeg = encode_jpeg(picture);
    const std::string segment = std::string("Exif\0\0", 6) + data;
    return jpeg.insert(2, "\xff\xe1" + big_endian(segment.size() + 2, 2) + segment);
  };
  CHECK(orientation(with_exif(exif(6, false))) == 6);
  CHECK(orientation(with_exif(exif(6, true))) == 6);
  for (size_t size = 0; size < exif(6).size(); ++size) {
    INFO(size);
    CHECK(orientation(with_exif(exif(6).substr(0, size))) == (size >= 22 ? 6 : 1));  // an entry has 12 bytes after 10
  }
  std::string far = exif(6);
  far.replace(4, 4, "\xff\xff\xff\xff");
  CHECK(orientation(with_exif(far)) == 1);
  std::string long_type = exif(6);
  long_type[12] = 4;
  CHECK(orientation(with_exif(long_type)) == 1);
  std::string mixed = exif(6);
  mixed[1] = 'M';
  CHECK(orientation(with_exif(mixed)) == 1);
}
