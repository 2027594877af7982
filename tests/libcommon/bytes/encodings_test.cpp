#include "bytes/encodings.h"

#include <catch2/catch.hpp>
#include <zlib.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "bytes/png_writer.h"
#include "decode/image.h"
#include "decode/sound.h"
#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"
#include "tests/support/sound_files.h"

using namespace fettle;
using namespace fettle::byteformer;
using fettle::test::expect_error;

namespace {

using Bytes = std::vector<uint8_t>;

ImageView view(const Image& image) { return {image.pixels.data(), image.height, image.width, 3}; }

Image grey_of(const Image& image, Bytes& grey) {
  Image spread = image;
  grey.clear();
  for (size_t i = 0; i < image.pixels.size(); i += 3) {
    grey.push_back(image.pixels[i]);
    spread.pixels[i + 1] = spread.pixels[i + 2] = image.pixels[i];
  }
  return spread;
}

Bytes encode(const EncodingOptions& options, const ImageView& image) {
  Bytes bytes(17, 99);
  Encoder(options).encode_image(image, bytes);
  return bytes;
}

Bytes encode(Encoding encoding, const std::vector<float>& mono, int64_t rate = 16000) {
  Bytes bytes(17, 99);
  Encoder({.encoding = encoding}).encode_sound(mono, rate, bytes);
  return bytes;
}

uint32_t little(const Bytes& bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = count; i-- > 0;) value = value << 8 | bytes.at(at + static_cast<size_t>(i));
  return value;
}

struct Chunk {
  std::string type;
  Bytes data;
};

std::vector<Chunk> png_chunks(const Bytes& bytes) {
  std::vector<Chunk> chunks;
  for (size_t at = 8; at < bytes.size();) {
    const size_t size = size_t{bytes.at(at)} << 24 | size_t{bytes.at(at + 1)} << 16 | size_t{bytes.at(at + 2)} << 8 | bytes.at(at + 3);
    const auto begin = bytes.begin() + static_cast<int64_t>(at);
    chunks.push_back({std::string(begin + 4, begin + 8), Bytes(begin + 8, begin + 8 + static_cast<int64_t>(size))});
    at += 12 + size;
  }
  return chunks;
}

// The rows with their filters' numbers, from all IDAT chunks.
Bytes png_rows(const Bytes& bytes, size_t size) {
  Bytes packed;
  for (const Chunk& chunk : png_chunks(bytes)) {
    if (chunk.type == "IDAT") packed.insert(packed.end(), chunk.data.begin(), chunk.data.end());
  }
  Bytes rows(size);
  uLongf got = size;
  REQUIRE(uncompress(rows.data(), &got, packed.data(), packed.size()) == Z_OK);
  REQUIRE(got == size);
  return rows;
}

const std::pair<int64_t, int64_t> kSizes[] = {{1, 1}, {1, 2}, {2, 1}, {3, 5}, {7, 16}, {17, 23}, {64, 64}, {1, 300}, {300, 1}, {224, 224}, {333, 517}};

}  // namespace

TEST_CASE("encodings: names are found back") {
  for (int i = 0; i <= static_cast<int>(Encoding::kMp3); ++i) {
    const auto encoding = static_cast<Encoding>(i);
    CHECK(find_encoding(encoding_name(encoding)) == encoding);
    CHECK(is_of_images(encoding) == (i < 5));
  }
  CHECK(encoding_name(Encoding::kWavInt16) == "wav-int16");
  CHECK(!find_encoding("gif"));
}

TEST_CASE("encodings: options go to JSON and back, and what is wrong in it is named") {
  for (const EncodingOptions& options : {EncodingOptions{}, EncodingOptions{.encoding = Encoding::kJpeg, .jpeg_quality = 60}, EncodingOptions{.encoding = Encoding::kPng, .png_level = 6},
                                         EncodingOptions{.encoding = Encoding::kMp3}}) {
    CHECK(encoding_from_json(to_json(options), "x") == options);
  }
  CHECK(to_json(EncodingOptions{}) == Json{{"encoding", "tiff"}});
  const auto refused = [](const std::string& part, const char* text) { expect_error(ExitCode::kInput, part, [&] { encoding_from_json(Json::parse(text), "manifest"); }); };
  refused("manifest: expected an object with 'encoding'", "[]");
  refused("manifest: encoding 'gif' is not known, expected one of fhwc, fchw, tiff", R"({"encoding": "gif"})");
  refused("'png_level' is no setting of jpeg", R"({"encoding": "jpeg", "png_level": 3})");
  refused("'color' is no setting of png", R"({"encoding": "png", "color": 3})");
  refused("jpeg_quality is '101', expected 1 to 100", R"({"encoding": "jpeg", "jpeg_quality": 101})");
  refused("png_level is '1.5', expected 0 to 9", R"({"encoding": "png", "png_level": 1.5})");
}

TEST_CASE("encodings: TIFF, PNG and raw bytes hold the pixels at all sizes, in colour and grey") {
  for (const auto& [height, width] : kSizes) {
    INFO(height << " x " << width);
    const Image image = test::test_picture(height, width);
    Bytes grey;
    const Image spread = grey_of(image, grey);
    const ImageView grey_view{grey.data(), height, width, 1};
    for (const EncodingOptions& options : {EncodingOptions{.encoding = Encoding::kTiff}, EncodingOptions{.encoding = Encoding::kPng}, EncodingOptions{.encoding = Encoding::kPng, .png_level = 1},
                                           EncodingOptions{.encoding = Encoding::kPng, .png_level = 9}}) {
      INFO(encoding_name(options.encoding) << ", level " << options.png_level);
      const Bytes bytes = encode(options, view(image)), grey_bytes = encode(options, grey_view);
      CHECK(decode_image(bytes, "f").pixels == image.pixels);
      CHECK(decode_image(bytes, "f").width == width);
      CHECK(decode_image(grey_bytes, "f").pixels == spread.pixels);
      if (options.png_level == 0) {
        CHECK(encoded_image_bytes(options, height, width) == static_cast<int64_t>(bytes.size()));
        CHECK(encoded_image_bytes(options, height, width, 1) == static_cast<int64_t>(grey_bytes.size()));
      }
    }
    CHECK(encode({.encoding = Encoding::kFhwc}, view(image)) == image.pixels);
    CHECK(encode({.encoding = Encoding::kFchw}, grey_view) == grey);
    const Bytes planes = encode({.encoding = Encoding::kFchw}, view(image));
    const size_t plane = static_cast<size_t>(height * width);
    REQUIRE(planes.size() == 3 * plane);
    int wrong = 0;
    for (size_t i = 0; i < planes.size(); ++i) wrong += planes[i] != image.pixels[i % plane * 3 + i / plane];
    CHECK(wrong == 0);
  }
}

TEST_CASE("encodings: sizes and layouts of 224 x 224") {
  const Image image = test::test_picture(224, 224);
  CHECK(encoded_image_bytes({.encoding = Encoding::kFhwc}, 224, 224) == 150528);
  CHECK(encoded_image_bytes({.encoding = Encoding::kTiff}, 224, 224) == 150668);
  CHECK(encoded_image_bytes({.encoding = Encoding::kPng}, 224, 224) == 150864);
  CHECK(encoded_image_bytes({.encoding = Encoding::kTiff}, 12, 12) == 572);
  CHECK(encoded_image_bytes({.encoding = Encoding::kPng}, 12, 12) == 512);
  CHECK(!encoded_image_bytes({.encoding = Encoding::kJpeg}, 12, 12));
  CHECK(!encoded_image_bytes({.encoding = Encoding::kPng, .png_level = 1}, 12, 12));
  CHECK(encode({.encoding = Encoding::kPng}, view(image)).size() == 150864);

  const std::vector<Chunk> chunks = png_chunks(encode({.encoding = Encoding::kPng}, view(image)));
  REQUIRE(chunks.size() == 5);
  const std::pair<const char*, size_t> expected[] = {{"IHDR", 13}, {"IDAT", 65536}, {"IDAT", 65536}, {"IDAT", 19711}, {"IEND", 0}};
  for (size_t i = 0; i < 5; ++i) {
    CHECK(chunks[i].type == expected[i].first);
    CHECK(chunks[i].data.size() == expected[i].second);
  }
  CHECK(chunks[1].data[0] == 0x78);
  CHECK(chunks[1].data[1] == 0x01);

  // Tag, type, count, value; the values of shorts fill the lower half.
  const Bytes tiff = encode({.encoding = Encoding::kTiff}, {image.pixels.data(), 224, 100, 3});
  const uint32_t entries[][4] = {{256, 4, 1, 100}, {257, 4, 1, 224},  {258, 3, 3, 134}, {259, 3, 1, 1},          {262, 3, 1, 2},
                                 {273, 4, 1, 140}, {277, 3, 1, 3}, {278, 4, 1, 224}, {279, 4, 1, 3 * 100 * 224}, {284, 3, 1, 1}};
  CHECK(little(tiff, 0, 4) == 0x002A4949);
  CHECK(little(tiff, 4, 4) == 8);
  CHECK(little(tiff, 8, 2) == 10);
  for (size_t i = 0; i < 10; ++i) {
    CHECK(little(tiff, 10 + 12 * i, 2) == entries[i][0]);
    CHECK(little(tiff, 12 + 12 * i, 2) == entries[i][1]);
    CHECK(little(tiff, 14 + 12 * i, 4) == entries[i][2]);
    CHECK(little(tiff, 18 + 12 * i, 4) == entries[i][3]);
  }
  CHECK(little(tiff, 130, 4) == 0);
  CHECK(little(tiff, 134, 2) == 8);
  CHECK(Bytes(tiff.begin() + 140, tiff.end()) == Bytes(image.pixels.begin(), image.pixels.begin() + 3 * 100 * 224));
}

TEST_CASE("encodings: chunks of a wide PNG hold four bytes a pixel of its width") {
  const Image image = test::test_picture(2, 20'000);
  const std::vector<Chunk> chunks = png_chunks(encode({.encoding = Encoding::kPng}, view(image)));
  REQUIRE(chunks.size() == 4);
  CHECK(chunks[1].data.size() == 80'000);
  CHECK(chunks[2].data.size() == 40'023);
}

TEST_CASE("encodings: PNG rows have the filter with the least residuals, None before Up before Sub before Paeth") {
  const auto magnitude = [](int value) { return (value & 255) < 128 ? value & 255 : 256 - (value & 255); };
  for (const int bpp : {1, 3}) {
    for (const int64_t width : {1, 2, 5, 6, 16, 17, 100, 333}) {
      for (uint32_t seed = 1; seed < 12; ++seed) {
        INFO("bpp " << bpp << ", width " << width << ", seed " << seed);
        // Rows of extremes, of noise of several strengths, of a row and its like.
        uint32_t state = seed;
        const auto next = [&] { return (state = state * 1664525 + 1013904223) >> 24; };
        const size_t size = static_cast<size_t>(width * bpp);
        Bytes above(size), row(size);
        for (size_t i = 0; i < size; ++i) {
          above[i] = static_cast<uint8_t>(seed % 3 == 0 ? (next() & 1) * 255 : seed % 3 == 1 ? next() : 3 * i + next() % 8);
          row[i] = static_cast<uint8_t>(seed % 4 == 0 ? above[i] : seed % 4 == 1 ? next() : seed % 4 == 2 ? above[i] + next() % 5 : 2 * i + (next() & 1) * 128);
        }
        Bytes expected;
        int64_t least = std::numeric_limits<int64_t>::max();
        for (const int filter : {0, 2, 1, 4}) {
          Bytes filtered{static_cast<uint8_t>(filter)};
          int64_t sum = 0;
          for (size_t i = 0; i < size; ++i) {
            const bool first = i < static_cast<size_t>(bpp);
            const int left = first ? 0 : row[i - static_cast<size_t>(bpp)], up = above[i], corner = first ? 0 : above[i - static_cast<size_t>(bpp)];
            const int p = left + up - corner, to_left = std::abs(p - left), to_up = std::abs(p - up), to_corner = std::abs(p - corner);
            const int paeth = to_left <= to_up && to_left <= to_corner ? left : to_up <= to_corner ? up : corner;
            const int prediction = filter == 0 ? 0 : filter == 1 ? left : filter == 2 ? up : paeth;
            filtered.push_back(static_cast<uint8_t>(row[i] - prediction));
            sum += magnitude(row[i] - prediction);
          }
          if (sum < least) {
            least = sum;
            expected = filtered;
          }
        }
        Bytes candidates(4 * (1 + size));
        const uint8_t* const best = filter_row(row.data(), above.data(), static_cast<int64_t>(size), bpp, candidates.data());
        CHECK(Bytes(best, best + 1 + size) == expected);
      }
    }
  }
}

TEST_CASE("encodings: PNG levels differ in size alone") {
  const Image image = test::test_picture(100, 120);
  const size_t rows = 100 * 361;
  const Bytes stored = encode({.encoding = Encoding::kPng}, view(image));
  size_t before = stored.size();
  for (const int level : {1, 6, 9}) {
    const Bytes bytes = encode({.encoding = Encoding::kPng, .png_level = level}, view(image));
    CHECK(bytes.size() <= before);
    CHECK(png_rows(bytes, rows) == png_rows(stored, rows));
    before = bytes.size();
  }
}

TEST_CASE("encodings: JPEG follows the quality, in colour and grey") {
  const Image image = test::test_picture(33, 47);
  Bytes grey;
  const Image spread = grey_of(image, grey);
  const Bytes best = encode({.encoding = Encoding::kJpeg, .jpeg_quality = 100}, {grey.data(), 33, 47, 1});
  const Image back = decode_image(best, "f");
  int64_t worst = 0;
  for (size_t i = 0; i < back.pixels.size(); ++i) worst = std::max<int64_t>(worst, std::abs(back.pixels[i] - spread.pixels[i]));
  CHECK(worst <= 2);  // at quality 100 coefficients are rounded to integers, and there is no chroma to lose
  size_t before = std::numeric_limits<size_t>::max();
  for (const int quality : {100, 75, 30, 1}) {
    const Bytes bytes = encode({.encoding = Encoding::kJpeg, .jpeg_quality = quality}, view(image));
    CHECK(bytes.size() < before);
    CHECK(decode_image(bytes, "f").height == 33);
    before = bytes.size();
  }
}

TEST_CASE("encodings: one encoder writes large and small in any order") {
  for (const EncodingOptions& options : {EncodingOptions{.encoding = Encoding::kJpeg}, EncodingOptions{.encoding = Encoding::kPng, .png_level = 3}, EncodingOptions{.encoding = Encoding::kPng},
                                         EncodingOptions{.encoding = Encoding::kTiff}}) {
    Encoder encoder(options);
    Bytes bytes;
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{200, 300}, {3, 4}, {1, 1}, {400, 90}, {200, 300}}) {
      const Image image = test::test_picture(height, width);
      encoder.encode_image(view(image), bytes);
      CHECK(bytes == encode(options, view(image)));
    }
  }
}

TEST_CASE("encodings: pictures that a format cannot hold are refused") {
  const Bytes pixels(3 * 65536);
  expect_error(ExitCode::kInput, "0 x 5 pixels as tiff: expected sides from 1 to 65535", [&] { encode({}, {pixels.data(), 0, 5, 3}); });
  expect_error(ExitCode::kInput, "1 x 65536 pixels as png", [&] { encode({.encoding = Encoding::kPng}, {pixels.data(), 1, 65536, 3}); });
  expect_error(ExitCode::kInput, "1 x 65501 pixels as jpeg: expected sides from 1 to 65500", [&] { encode({.encoding = Encoding::kJpeg}, {pixels.data(), 1, 65501, 3}); });
  expect_error(ExitCode::kInput, "at most 1073741824 bytes", [&] { encode({}, {pixels.data(), 60000, 60000, 3}); });
  CHECK(encode({.encoding = Encoding::kPng}, {pixels.data(), 1, 65535, 3}).size() > 3 * 65535);
}

TEST_CASE("encodings: floats become bytes by truncation, and what is beyond is clamped") {
  const std::vector<float> values{0, 1, 0.999999f, 0.5f, -0.1f, 1.5f, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(), -0.0f, 1.0f / 255};
  Bytes bytes(values.size());
  quantize(values, bytes);
  CHECK(bytes == Bytes{0, 255, 254, 127, 0, 255, 0, 255, 0, 1});
}

TEST_CASE("encodings: WAV of each type by hand") {
  const std::vector<float> mono{0, 0.5f, -1, 1, 0.1f};
  CHECK(encode(Encoding::kWavFloat32, std::vector<float>(8)).size() == 58 + 32);
  CHECK(encode(Encoding::kWavInt32, std::vector<float>(8)).size() == 80 + 32);
  CHECK(encode(Encoding::kWavInt16, std::vector<float>(8)).size() == 44 + 16);
  CHECK(encode(Encoding::kWavUint8, std::vector<float>(8)).size() == 44 + 8);
  CHECK(encoded_sound_bytes({.encoding = Encoding::kWavFloat32}, 16000) == 64058);
  CHECK(encoded_sound_bytes({.encoding = Encoding::kWavInt32}, 16000) == 64080);
  CHECK(encoded_sound_bytes({.encoding = Encoding::kWavInt16}, 16000) == 32044);
  CHECK(encoded_sound_bytes({.encoding = Encoding::kWavUint8}, 16001) == 16046);
  CHECK(!encoded_sound_bytes({.encoding = Encoding::kMp3}, 16000));

  const auto samples = [](const Bytes& bytes, size_t header, int size, size_t index) { return little(bytes, header + index * static_cast<size_t>(size), size); };
  const Bytes floats = encode(Encoding::kWavFloat32, mono), whole = encode(Encoding::kWavInt32, mono), half = encode(Encoding::kWavInt16, mono), byte = encode(Encoding::kWavUint8, mono);
  const auto float_bits = [](float value) {
    uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    return bits;
  };
  // 0.1f is 13421773 * 2^-27, so that 214748368 * 2^-31; to multiples of 128 it goes up to 1677722 * 2^-24.
  const uint32_t expected_floats[] = {0, float_bits(0.5f), float_bits(-1), float_bits(1), float_bits(1677722.0f / 16777216)};
  const uint32_t expected_whole[] = {0, 1u << 30, 0x80000000u, 0x7FFFFFFFu, 214748368};
  const uint32_t expected_half[] = {0, 16383, 0x8001, 32767, 3276};
  const uint32_t expected_byte[] = {127, 191, 0, 255, 140};
  for (size_t i = 0; i < 5; ++i) {
    INFO(mono[i]);
    CHECK(samples(floats, 58, 4, i) == expected_floats[i]);
    CHECK(samples(whole, 80, 4, i) == expected_whole[i]);
    CHECK(samples(half, 44, 2, i) == expected_half[i]);
    CHECK(samples(byte, 44, 1, i) == expected_byte[i]);
  }
  // An odd number of bytes is followed by one that the outer size counts and the inner does not.
  CHECK(byte.size() == 44 + 6);
  CHECK(byte.back() == 0);
  CHECK(little(byte, 4, 4) == byte.size() - 8);
  CHECK(little(byte, 40, 4) == 5);
}

TEST_CASE("encodings: samples beyond full scale are clamped, those that are no number refused") {
  const std::vector<float> mono{1.5f, -1.5f, 1e30f, -1e30f};
  const std::vector<float> full{1, -1, 1, -1};
  CHECK(decode_sound(encode(Encoding::kWavInt16, mono), "f").samples == std::vector<float>{32767.0f / 32768, -1, 32767.0f / 32768, -1});
  CHECK(encode(Encoding::kWavInt32, mono) == encode(Encoding::kWavInt32, full));
  CHECK(encode(Encoding::kWavFloat32, mono) == encode(Encoding::kWavFloat32, full));
  CHECK(encode(Encoding::kWavUint8, mono) == encode(Encoding::kWavUint8, full));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  expect_error(ExitCode::kInput, "sample 1 is nan", [&] { encode(Encoding::kWavInt16, {0, nan}); });
  expect_error(ExitCode::kInput, "sample 0 is inf", [&] { encode(Encoding::kMp3, {std::numeric_limits<float>::infinity()}); });
  expect_error(ExitCode::kInput, "a sound of 0 samples", [&] { encode(Encoding::kWavInt16, {}); });
  expect_error(ExitCode::kInput, "0 samples a second", [&] { encode(Encoding::kWavInt16, {0}, 0); });
}

TEST_CASE("encodings: an independent reader finds the sounds") {
  for (const int64_t count : {1, 2, 3, 1001, 16000}) {
    INFO(count);
    const std::vector<float> mono = test::test_sound(count);  // of 16 bits: exact in these two
    for (const Encoding encoding : {Encoding::kWavFloat32, Encoding::kWavInt32}) {
      const Sound sound = decode_sound(encode(encoding, mono, 22050), "f");
      CHECK(sound.samples == mono);
      CHECK(sound.sample_rate_hz == 22050);
    }
    const Sound half = decode_sound(encode(Encoding::kWavInt16, mono), "f"), byte = decode_sound(encode(Encoding::kWavUint8, mono), "f");
    REQUIRE(half.num_frames == count);
    REQUIRE(byte.num_frames == count);
    double worst_half = 0, worst_byte = 0;
    for (size_t i = 0; i < mono.size(); ++i) {
      worst_half = std::max(worst_half, std::abs(double{half.samples[i]} - mono[i]));
      worst_byte = std::max(worst_byte, std::abs(double{byte.samples[i]} - mono[i]));
    }
    CHECK(worst_half < 2.0 / 32768);  // truncated, and scaled by 32767
    CHECK(worst_byte < 2.0 / 128);
  }
}

TEST_CASE("encodings: MP3 has no information frame, whole frames and the delay") {
  CHECK(encode(Encoding::kMp3, std::vector<float>(8), 8000).size() == 216);
  // 64 kbit/s: 192 bytes, room for an information frame. Two frames of 1,152 samples hold the delay and the sound.
  CHECK(encode(Encoding::kMp3, std::vector<float>(8), 48000).size() == 2 * 192);
  for (const int64_t rate : {8000, 16000, 22050, 44100, 48000, 11111}) {
    INFO(rate);
    const std::vector<float> mono = test::test_sound(rate);
    const Bytes bytes = encode(Encoding::kMp3, mono, rate);
    CHECK(std::search(bytes.begin(), bytes.end(), "Xing", "Xing" + 4) == bytes.end());
    CHECK(std::search(bytes.begin(), bytes.end(), "Info", "Info" + 4) == bytes.end());
    const Sound sound = decode_sound(bytes, "f");
    CHECK(sound.num_channels == 1);
    CHECK(sound.num_frames % 576 == 0);
    const double seconds = static_cast<double>(sound.num_frames) / static_cast<double>(sound.sample_rate_hz);
    CHECK(seconds > 1);
    CHECK(seconds < 1.35);
    if (rate != 16000) continue;
    double product = 0, power = 0, found = 0;
    for (size_t i = 0; i < mono.size(); ++i) {
      product += double{mono[i]} * sound.samples[i + 1105];
      power += double{mono[i]} * mono[i];
      found += double{sound.samples[i + 1105]} * sound.samples[i + 1105];
    }
    CHECK(product / std::sqrt(power * found) > 0.98);
  }
}

TEST_CASE("encodings: threads with an encoder each write the same") {
  const Image image = test::test_picture(60, 70);
  const std::vector<float> mono = test::test_sound(4000);
  const Bytes png = encode({.encoding = Encoding::kPng}, view(image)), mp3 = encode(Encoding::kMp3, mono);
  std::vector<int> right(4);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < right.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        Bytes bytes;
        Encoder({.encoding = Encoding::kPng}).encode_image(view(image), bytes);
        right[t] += bytes == png;
        Encoder({.encoding = Encoding::kMp3}).encode_sound(mono, 16000, bytes);
        right[t] += bytes == mp3;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == std::vector<int>(4, 20));
}
