#include "bytes/layout.h"

#include <catch2/catch.hpp>
#include <zlib.h>

#include <map>

#include "bytes/encodings.h"
#include "random/stream.h"
#include "tests/support/image_files.h"
#include "tests/support/sound_files.h"

using namespace fettle;
using namespace fettle::byteformer;
using namespace std::string_literals;
using test::as_bytes;
using test::big_endian;
using test::little_endian;

namespace {

using Bytes = std::vector<uint8_t>;
using Names = std::vector<std::string>;

std::string text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

std::string faults(const std::vector<Region>& regions, size_t size) {
  size_t at = 0;
  for (const Region& region : regions) {
    if (region.begin != at) return "a gap or an overlap at " + std::to_string(at);
    if (region.end <= region.begin) return "an empty region at " + std::to_string(at);
    if (region.name.empty() || region.name.size() > kMaxRegionName) return "a name of " + std::to_string(region.name.size()) + " bytes";
    for (const char c : region.name) {
      if (c < 32 || c > 126) return "a name that cannot be printed";
    }
    at = region.end;
  }
  if (at != size) return "it ends at " + std::to_string(at);
  return regions.size() > kMaxRegions ? "more than the most regions" : "";
}

std::vector<Region> layout_of(std::string_view file) {
  std::vector<Region> regions = file_layout(as_bytes(file));
  CHECK(faults(regions, file.size()) == "");
  return regions;
}

Names names_of(std::string_view file) {
  Names names;
  for (const Region& region : layout_of(file)) names.push_back(region.name);
  return names;
}

const Region& named(const std::vector<Region>& regions, const std::string& name) {
  for (const Region& region : regions) {
    if (region.name == name) return region;
  }
  FAIL("no region " << name);
  std::abort();
}

std::string encoded(const EncodingOptions& options, const Image& image) {
  Bytes bytes;
  Encoder(options).encode_image({image.pixels.data(), image.height, image.width, 3}, bytes);
  return text(bytes);
}

std::string encoded_sound(Encoding encoding, int64_t samples) {
  Bytes bytes;
  Encoder({.encoding = encoding}).encode_sound(test::test_sound(samples), 16000, bytes);
  return text(bytes);
}

// Two frames, the second with a colour table of its own.
std::string gif() {
  const std::string frame = "\x21\xF9\x04\0\0\0\0\0"s, data = "\x02\x03\x84\x8F\x01\x00"s;
  return "GIF89a\x02\0\x02\0\x80\0\0"s + std::string(6, 'c') + "\x21\xFF\x0BNETSCAPE2.0\x03\x01\0\0\0"s + frame + ",\0\0\0\0\x02\0\x02\0\0"s + data + "\x21\xFE\x05hello\0"s + frame +
         ",\0\0\0\0\x02\0\x02\0\x81"s + std::string(12, 'd') + data + ";"s;
}

std::string bmp(int bits, int64_t height, int64_t palette_bytes) {
  const int64_t row = (3 * bits + 31) / 32 * 4, pixels = 54 + palette_bytes, rows = std::abs(height);
  return "BM" + little_endian(static_cast<uint64_t>(pixels + row * rows), 4) + std::string(4, '\0') + little_endian(static_cast<uint64_t>(pixels), 4) + little_endian(40, 4) + little_endian(3, 4) +
         little_endian(static_cast<uint64_t>(height) & 0xFFFFFFFF, 4) + little_endian(1, 2) + little_endian(static_cast<uint64_t>(bits), 2) + std::string(24, '\0') +
         std::string(static_cast<size_t>(palette_bytes), 'p') + std::string(static_cast<size_t>(row * rows), 'x');
}

struct Member {
  std::string name, data;
  bool size_behind = false;
};

std::string zip(const std::vector<Member>& members, const std::string& comment = "") {
  std::string file, directory;
  for (const Member& m : members) {
    const std::string sizes = little_endian(m.data.size(), 4) + little_endian(m.data.size(), 4), lengths = little_endian(m.name.size(), 2) + little_endian(0, 2);
    const std::string before = "\x14\0"s + (m.size_behind ? "\x08\0"s : "\0\0"s) + std::string(10, '\0');
    directory += "PK\1\2\x14\0"s + before + sizes + lengths + std::string(10, '\0') + little_endian(file.size(), 4) + m.name;
    file += "PK\3\4"s + before + (m.size_behind ? std::string(8, '\0') : sizes) + lengths + m.name + m.data;
    if (m.size_behind) file += "PK\7\10"s + std::string(4, '\0') + sizes;
  }
  const std::string count = little_endian(members.size(), 2);
  return file + directory + "PK\5\6\0\0\0\0"s + count + count + little_endian(directory.size(), 4) + little_endian(file.size(), 4) + little_endian(comment.size(), 2) + comment;
}

std::string gzip_with_name() {
  const std::string data = "a text that is worth so much that it has to be kept";
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string name = "notes.txt";
  gz_header header{};
  header.name = reinterpret_cast<Bytef*>(name.data());
  REQUIRE(deflateSetHeader(&stream, &header) == Z_OK);
  std::string out(1000, '\0');
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string id3v2(size_t bytes) {
  return "ID3\4\0\0"s + static_cast<char>(bytes >> 21) + static_cast<char>(bytes >> 14 & 127) + static_cast<char>(bytes >> 7 & 127) + static_cast<char>(bytes & 127) + std::string(bytes, 't');
}

// MPEG 1, layer III, 128 kbit/s, 44.1 kHz, stereo: 417 bytes.
std::string mp3_frame(const std::string& at_36 = "") { return "\xFF\xFB\x90\0"s + std::string(32, '\0') + at_36 + std::string(417 - 36 - at_36.size(), '\x55'); }

std::string safetensors() {
  const std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )";
  return little_endian(header.size(), 8) + header + "12345678";
}

std::map<std::string, std::string> one_of_each() {
  const Image image = test::test_picture(9, 14);
  return {{"jpeg", encoded({.encoding = Encoding::kJpeg}, image)},
          {"progressive", test::encode_jpeg(image, {.progressive = true, .restart_interval = 1, .orientation = 6})},
          {"png", encoded({.encoding = Encoding::kPng}, image)},
          {"tiff", encoded({.encoding = Encoding::kTiff}, image)},
          {"big tiles", test::encode_tiff(9, 14, test::samples_of(image), {.tile = 16, .big_endian = true, .orientation = 1})},
          {"gif", gif()},
          {"bmp", bmp(8, 5, 1024)},
          {"wav", encoded_sound(Encoding::kWavInt32, 100)},
          {"webp", test::encode_webp(image)},
          {"mp3", id3v2(40) + mp3_frame("Xing") + mp3_frame() + "TAG" + std::string(125, 'g')},
          {"zip", zip({{"a", "123"}, {"b/c", std::string(50, 'z'), true}}, "bye")},
          {"gzip", gzip_with_name()},
          {"safetensors", safetensors()}};
}

}  // namespace

TEST_CASE("layout: JPEG") {
  const std::string file = encoded({.encoding = Encoding::kJpeg}, test::test_picture(20, 30));
  CHECK(file_format(as_bytes(file)) == "JPEG");
  const std::vector<Region> regions = layout_of(file);
  CHECK(names_of(file) == Names{"SOI", "APP0 JFIF", "DQT (2)", "SOF0", "DHT (4)", "SOS", "scan data", "EOI"});
  CHECK(regions[0] == Region{"SOI", RegionKind::kHeader, 0, 2});
  CHECK(regions[1] == Region{"APP0 JFIF", RegionKind::kMetadata, 2, 20});
  CHECK(regions[2] == Region{"DQT (2)", RegionKind::kTable, 20, 20 + 2 * 69});
  CHECK(named(regions, "SOS").size() == 14);
  CHECK(named(regions, "scan data").end == file.size() - 2);
  CHECK(named(regions, "scan data").kind == RegionKind::kData);
  CHECK(regions.back().kind == RegionKind::kTrailer);

  // Restarts and stuffed bytes stay within a scan; several scans each have their own.
  const Names progressive = names_of(test::encode_jpeg(test::test_picture(40, 40), {.progressive = true, .restart_interval = 1, .orientation = 6}));
  CHECK(std::count(progressive.begin(), progressive.end(), "scan data") >= 6);
  CHECK(std::count(progressive.begin(), progressive.end(), "APP1 Exif") == 1);
  CHECK(std::count(progressive.begin(), progressive.end(), "SOF2") == 1);
  CHECK(progressive.back() == "EOI");
  CHECK(names_of(file + "more").back() == "after the end");
  CHECK(names_of(file.substr(0, 50)).back() == "DQT (cut off)");
}

TEST_CASE("layout: PNG") {
  const std::string file = encoded({.encoding = Encoding::kPng}, test::test_picture(20, 30));
  CHECK(names_of(file) == Names{"signature", "IHDR", "IDAT", "IEND"});
  const std::vector<Region> regions = layout_of(file);
  CHECK(regions[1] == Region{"IHDR", RegionKind::kHeader, 8, 33});
  CHECK(regions[3] == Region{"IEND", RegionKind::kTrailer, file.size() - 12, file.size()});
  // 65,536 bytes a chunk.
  CHECK(names_of(encoded({.encoding = Encoding::kPng}, test::test_picture(200, 300)))[2] == "IDAT (3)");
  const std::string palette = test::encode_png(1, 1, {0}, {.color_type = 3, .depth = 8, .palette = "abcdef", .transparency = "x", .orientation = 3});
  const std::vector<Region> tables = layout_of(palette);
  CHECK(named(tables, "PLTE").kind == RegionKind::kTable);
  CHECK(named(tables, "PLTE").size() == 18);
  CHECK(named(tables, "tRNS").kind == RegionKind::kTable);
  CHECK(named(tables, "eXIf").kind == RegionKind::kMetadata);
  CHECK(names_of(file.substr(0, file.size() - 20)).back() == "IDAT (cut off)");
  CHECK(names_of(file.substr(0, 8) + std::string(30, '\xff')).back() == "unclaimed");
}

TEST_CASE("layout: TIFF in both byte orders, strips and tiles") {
  const std::string file = encoded({.encoding = Encoding::kTiff}, test::test_picture(20, 30));
  const std::vector<Region> regions = layout_of(file);
  CHECK(regions[0] == Region{"header", RegionKind::kHeader, 0, 8});
  CHECK(named(regions, "strip") == Region{"strip", RegionKind::kData, 140, file.size()});
  CHECK(named(regions, "BitsPerSample").size() == 6);
  CHECK(named(regions, "IFD").kind == RegionKind::kTable);
  const std::vector<uint16_t> samples = test::samples_of(test::test_picture(40, 50));
  for (const bool big : {false, true}) {
    INFO(big);
    const std::string strips = test::encode_tiff(40, 50, samples, {.strip_rows = 5, .big_endian = big}), tiles = test::encode_tiff(40, 50, samples, {.tile = 16, .big_endian = big});
    const Region of_strips = named(layout_of(strips), "strip (8)");
    CHECK(of_strips.size() == 40 * 50 * 3);
    CHECK(named(layout_of(strips), "StripOffsets").size() >= 16);
    CHECK(named(layout_of(tiles), "tile (12)").size() == 12 * 16 * 16 * 3);
    CHECK(file_format(as_bytes(tiles)) == "TIFF");
  }
}

TEST_CASE("layout: GIF and BMP") {
  CHECK(names_of(gif()) == Names{"header", "global colour table", "application NETSCAPE2.0", "graphic control", "image descriptor", "image data", "comment", "graphic control", "image descriptor",
                                 "local colour table", "image data", "trailer"});
  CHECK(named(layout_of(gif()), "local colour table").size() == 12);
  CHECK(names_of(bmp(24, 5, 0)) == Names{"file header", "information header", "pixels"});
  const std::vector<Region> top_down = layout_of(bmp(8, -5, 1024) + "more");
  CHECK(named(top_down, "palette") == Region{"palette", RegionKind::kTable, 54, 54 + 1024});
  CHECK(named(top_down, "pixels").size() == 5 * 4);
  CHECK(top_down.back().name == "after the pixels");
  CHECK(file_format(as_bytes("BMW is not the name of a format of pictures")) == "unknown format");
}

TEST_CASE("layout: WAV and other RIFF") {
  const std::string file = encoded_sound(Encoding::kWavInt32, 100);
  CHECK(names_of(file) == Names{"RIFF header", "fmt", "fact", "data header", "samples"});
  CHECK(named(layout_of(file), "samples") == Region{"samples", RegionKind::kData, 80, 480});
  CHECK(names_of(test::wav_file("12345", {.claimed_bytes = -1, .before_data = test::riff_chunk("LIST", "abcd")}))[2] == "LIST");
  CHECK(names_of(test::wav_file("123456", {.claimed_bytes = 0xFFFFFFFF})).back() == "samples");
  CHECK(names_of(test::wav_file("123456", {.claimed_bytes = 1000})).back() == "samples (cut off)");
  CHECK(names_of(test::wav_file("123456", {.before_data = test::riff_chunk("    ", "abcd")}))[2] == "unclaimed");
  CHECK(named(layout_of(test::encode_webp(test::test_picture(9, 14))), "VP8L").kind == RegionKind::kData);
}

TEST_CASE("layout: MP3") {
  const std::string tags = id3v2(300), last = "TAG" + std::string(125, 'g');
  CHECK(names_of(tags + mp3_frame("Xing") + mp3_frame() + mp3_frame() + last) == Names{"ID3v2", "Xing frame", "frames", "ID3v1"});
  const std::vector<Region> bare = layout_of(mp3_frame() + mp3_frame());
  CHECK(bare == std::vector<Region>{{"first frame's header", RegionKind::kHeader, 0, 4}, {"frames", RegionKind::kData, 4, 834}});
  CHECK(named(layout_of(tags + mp3_frame("Info") + mp3_frame()), "Info frame") == Region{"Info frame", RegionKind::kMetadata, 310, 310 + 417});
  CHECK(names_of(mp3_frame("VBRI") + mp3_frame()) == Names{"VBRI frame", "frames"});
  CHECK(file_format(as_bytes(mp3_frame() + "no frame follows")) == "unknown format");
  const std::string by_lame = encoded_sound(Encoding::kMp3, 8000);
  CHECK(names_of(by_lame) == Names{"first frame's header", "frames"});
}

TEST_CASE("layout: archives, with and without their ends") {
  const std::string file = zip({{"a", "123"}, {"b/c", std::string(50, 'z'), true}}, "bye");
  CHECK(names_of(file) == Names{"a: header", "a: data", "b/c: header", "b/c: data", "b/c: descriptor", "central directory", "end of central directory"});
  CHECK(named(layout_of(file), "b/c: data").size() == 50);
  CHECK(layout_of(file).back().size() == 25);
  CHECK(names_of(file.substr(0, file.size() - 5)) == Names{"a: header", "a: data", "b/c: header", "b/c: data"});
  CHECK(names_of(zip({{"a\x1b[2J<script>", "1"}}))[0] == "a: header");
  CHECK(names_of(zip({{"", "1"}, {"\n", "1"}}))[1] == "(no name): data");
  CHECK(names_of(zip({})) == Names{"end of central directory"});
  CHECK(names_of(gzip_with_name()) == Names{"header", "file name", "compressed data", "checksum and length"});
  CHECK(named(layout_of(gzip_with_name()), "file name").size() == 10);
  CHECK(names_of(safetensors()) == Names{"length of the header", "JSON header", "tensors"});
}

TEST_CASE("layout: what is no known format is one region") {
  CHECK(file_layout({}).empty());
  CHECK(names_of("x") == Names{"unknown format"});
  CHECK(names_of(std::string(10'000, '\0')) == Names{"unknown format"});
}

TEST_CASE("layout: many parts are joined, and the last one is kept") {
  std::vector<Member> members;
  for (int i = 0; i < 1000; ++i) members.push_back({std::to_string(i), "data of it"});
  const std::vector<Region> regions = layout_of(zip(members));
  REQUIRE(regions.size() == kMaxRegions);
  CHECK(regions[kMaxRegions - 2].name == std::to_string(2 * 1000 + 2 - 255) + " further regions");
  CHECK(regions.back().name == "end of central directory");

  // Segments of four bytes each, far more than are kept.
  std::string jpeg = "\xFF\xD8";
  for (int i = 0; i < 100'000; ++i) jpeg += i % 2 == 0 ? "\xFF\xFE\0\2"s : "\xFF\xDB\0\2"s;
  CHECK(layout_of(jpeg).size() == kMaxRegions);

  // Directories that refer to themselves, and strips in the wrong order over one another.
  const std::string entry = "\x11\1\4\0"s + little_endian(60000, 4) + little_endian(8, 4) + "\x17\1\4\0"s + little_endian(60000, 4) + little_endian(8, 4);
  std::string tiff = "II*\0\x08\0\0\0\2\0"s + entry + little_endian(8, 4);
  RandomStream stream(1, "tiff");
  while (tiff.size() < 300'000) tiff += little_endian(static_cast<uint64_t>(stream.below(300'000)), 4);
  CHECK(layout_of(tiff).size() <= kMaxRegions);
}

TEST_CASE("layout: every beginning of a file is covered") {
  for (const auto& [name, file] : one_of_each()) {
    INFO(name);
    CHECK(file_format(as_bytes(file)) != "unknown format");
    std::string first_fault;
    for (size_t size = 0; size <= file.size() && first_fault.empty(); ++size) {
      const Bytes bytes(file.begin(), file.begin() + static_cast<int64_t>(size));  // a block of its own, so that a sanitizer sees its end
      first_fault = faults(file_layout(bytes), size);
    }
    CHECK(first_fault == "");
  }
}

TEST_CASE("layout: damage does not uncover a byte") {
  for (const auto& [name, file] : one_of_each()) {
    INFO(name);
    std::string first_fault;
    for (int64_t i = 0; i < 4000 && first_fault.empty(); ++i) {
      RandomStream stream(7, "damage", i);
      Bytes bytes(file.begin(), file.end());
      for (int64_t flips = stream.below(8) + 1; flips > 0; --flips) {
        // Mostly where headers are, and often to a number's limits.
        const int64_t size = static_cast<int64_t>(bytes.size()), where = stream.below(2) == 0 ? stream.below(std::min<int64_t>(size, 200)) : stream.below(size);
        const int64_t what = stream.below(4);
        bytes[static_cast<size_t>(where)] = what == 0 ? uint8_t{0} : what == 1 ? uint8_t{255} : static_cast<uint8_t>(stream.below(256));
      }
      first_fault = faults(file_layout(bytes), bytes.size());
    }
    CHECK(first_fault == "");
  }
}
