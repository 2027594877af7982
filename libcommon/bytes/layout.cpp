#include "bytes/layout.h"

#include <algorithm>
#include <array>
#include <deque>
#include <limits>
#include <optional>
#include <utility>

namespace fettle::byteformer {
namespace {

constexpr size_t kMaxParts = 1 << 16;    // kept before they are joined; what follows counts as unclaimed
constexpr size_t kMaxSteps = 1 << 20;    // records of TIFF and ZIP, where many may refer to the same bytes
constexpr size_t kMaxDirectories = 256;  // of TIFF
constexpr size_t kMaxNameOfFile = 40;    // characters that a name takes from the file

// Reads of numbers, which are zero beyond the end: whoever cares asks has().
class Bytes {
 public:
  explicit Bytes(std::span<const uint8_t> file) : file_(file) {}

  size_t size() const { return file_.size(); }
  bool has(size_t at, size_t count) const { return at <= size() && count <= size() - at; }
  uint8_t operator[](size_t at) const { return at < size() ? file_[at] : uint8_t{0}; }
  uint64_t little(size_t at, size_t count) const {
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;) value = value << 8 | byte(at, i);
    return value;
  }
  uint64_t big(size_t at, size_t count) const {
    uint64_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | byte(at, i);
    return value;
  }
  bool is(size_t at, std::string_view text) const {
    if (!has(at, text.size())) return false;
    for (size_t i = 0; i < text.size(); ++i) {
      if (file_[at + i] != static_cast<uint8_t>(text[i])) return false;
    }
    return true;
  }
  // Up to the first byte that is not printable ASCII.
  std::string text(size_t at, size_t count) const {
    std::string out;
    for (size_t i = 0; i < std::min(count, kMaxNameOfFile) && has(at, i + 1) && file_[at + i] >= 32 && file_[at + i] < 127; ++i) out.push_back(static_cast<char>(file_[at + i]));
    return out;
  }
  // Four letters, as chunks are called, the last ones perhaps blanks; nothing when they are none.
  std::string fourcc(size_t at) const {
    std::string name = text(at, 4);
    return name.size() == 4 && name[0] != ' ' ? name : std::string();
  }
  // Where `wanted` is from `at` on, or the end.
  size_t find(size_t at, uint8_t wanted) const {
    if (at >= size()) return size();
    return static_cast<size_t>(std::find(file_.begin() + static_cast<ptrdiff_t>(at), file_.end(), wanted) - file_.begin());
  }

 private:
  uint64_t byte(size_t at, size_t i) const { return has(at, i + 1) ? file_[at + i] : 0; }
  std::span<const uint8_t> file_;
};

struct Part {
  std::string name;
  RegionKind kind;
  size_t begin, end;
  size_t count = 1;  // neighbours of one name
  bool cut_off = false;
};

// The sum, or the largest number: offsets and lengths out of the file may be anything.
size_t plus(size_t a, uint64_t b) { return b > std::numeric_limits<size_t>::max() - a ? std::numeric_limits<size_t>::max() : a + static_cast<size_t>(b); }

// Parts as they are found, and what becomes of them.
class Layout {
 public:
  explicit Layout(size_t file_size) : size_(file_size) {}

  bool full() const { return parts_.size() >= kMaxParts; }

  // [begin, end), of which `end` may lie anywhere. Returns the end within the file.
  size_t add(std::string_view name, RegionKind kind, size_t begin, size_t end) {
    if (begin >= size_) return size_;
    const bool cut_off = end > size_;
    end = std::min(end, size_);
    if (end <= begin) return begin;
    if (!parts_.empty()) {
      Part& last = parts_.back();
      if (last.end == begin && last.name == name && last.kind == kind && !last.cut_off) {
        last.end = end;
        last.cut_off = cut_off;
        ++last.count;
        return end;
      }
    }
    if (!full()) parts_.push_back({std::string(name), kind, begin, end, 1, cut_off});
    return end;
  }

  std::vector<Region> regions(std::string_view of_gaps) {
    std::stable_sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
    std::vector<Part> tiles;
    size_t at = 0;
    for (Part& part : parts_) {
      if (part.end <= at) continue;
      part.begin = std::max(part.begin, at);
      if (part.begin > at) tiles.push_back({std::string(of_gaps), RegionKind::kUnknown, at, part.begin});
      at = part.end;
      if (!tiles.empty() && tiles.back().name == part.name && tiles.back().kind == part.kind) {
        tiles.back().end = part.end;
        tiles.back().count += part.count;
        tiles.back().cut_off = part.cut_off;
      } else {
        tiles.push_back(std::move(part));
      }
    }
    if (at < size_) tiles.push_back({std::string(of_gaps), RegionKind::kUnknown, at, size_});
    std::vector<Region> regions;
    for (size_t i = 0; i < tiles.size(); ++i) {
      if (tiles.size() > kMaxRegions && i + 2 == kMaxRegions) {
        regions.push_back(joined({tiles.data() + i, tiles.size() - 1 - i}));
        i = tiles.size() - 1;
      }
      regions.push_back(region_of(tiles[i]));
    }
    return regions;
  }

 private:
  static Region region_of(const Part& part) {
    std::string name = part.name;
    if (part.count > 1) name += " (" + std::to_string(part.count) + ")";
    if (part.cut_off) name += " (cut off)";
    return {std::move(name), part.kind, part.begin, part.end};
  }

  static Region joined(std::span<const Part> parts) {
    std::array<size_t, kNumRegionKinds> bytes{};
    for (const Part& part : parts) bytes[static_cast<size_t>(part.kind)] += part.end - part.begin;
    const auto most = std::max_element(bytes.begin(), bytes.end()) - bytes.begin();
    return {std::to_string(parts.size()) + " further regions", static_cast<RegionKind>(most), parts.front().begin, parts.back().end};
  }

  size_t size_;
  std::vector<Part> parts_;
};

using enum RegionKind;

// ---- pictures --------------------------------------------------------------------------------------------------------

bool is_jpeg(const Bytes& file) { return file.is(0, "\xFF\xD8\xFF"); }

std::string jpeg_segment_name(const Bytes& file, uint8_t marker, size_t at, size_t end) {
  switch (marker) {
    case 0xC4: return "DHT";
    case 0xC8: return "JPG";
    case 0xCC: return "DAC";
    case 0xDA: return "SOS";
    case 0xDB: return "DQT";
    case 0xDC: return "DNL";
    case 0xDD: return "DRI";
    case 0xDE: return "DHP";
    case 0xDF: return "EXP";
    case 0xFE: return "COM";
    default: break;
  }
  if (marker >= 0xC0 && marker <= 0xCF) return "SOF" + std::to_string(marker - 0xC0);
  if (marker >= 0xE0 && marker <= 0xEF) {
    const std::string application = file.text(at + 4, end > at + 4 ? std::min<size_t>(end - at - 4, 16) : 0);
    return "APP" + std::to_string(marker - 0xE0) + (application.empty() ? "" : " " + application);
  }
  return "marker " + std::to_string(marker);
}

RegionKind jpeg_segment_kind(uint8_t marker) {
  if (marker == 0xC4 || marker == 0xCC || marker == 0xDB) return kTable;
  if ((marker >= 0xE0 && marker <= 0xEF) || marker == 0xFE) return kMetadata;
  return kHeader;
}

void walk_jpeg(const Bytes& file, Layout& layout) {
  size_t at = layout.add("SOI", kHeader, 0, 2);
  while (at < file.size() && !layout.full()) {
    if (file[at] != 0xFF) return;
    size_t code = at + 1;  // after fill bytes
    while (code < file.size() && file[code] == 0xFF) ++code;
    if (code >= file.size()) return;
    const uint8_t marker = file[code];
    if (marker == 0xD9) {
      at = layout.add("EOI", kTrailer, at, code + 1);
      layout.add("after the end", kUnknown, at, file.size());
      return;
    }
    if (marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {  // no segment
      at = layout.add("marker " + std::to_string(marker), kHeader, at, code + 1);
      continue;
    }
    if (marker < 0xC0 || !file.has(code + 1, 2)) return;
    const size_t length = static_cast<size_t>(file.big(code + 1, 2));
    if (length < 2) return;
    at = layout.add(jpeg_segment_name(file, marker, code - 1, plus(code + 1, length)), jpeg_segment_kind(marker), at, plus(code + 1, length));
    if (marker != 0xDA) continue;
    size_t end = at;  // of the scan
    while (end < file.size()) {
      end = file.find(end, 0xFF);
      const uint8_t next = file[end + 1];
      if (end + 1 < file.size() && next != 0 && next != 0xFF && !(next >= 0xD0 && next <= 0xD7)) break;
      end = std::min(end + (next == 0xFF ? 1 : 2), file.size());
    }
    at = layout.add("scan data", kData, at, end);
  }
}

bool is_png(const Bytes& file) { return file.is(0, "\x89PNG\r\n\x1A\n"); }

void walk_png(const Bytes& file, Layout& layout) {
  size_t at = layout.add("signature", kHeader, 0, 8);
  while (file.has(at, 8) && !layout.full()) {
    const std::string type = file.fourcc(at + 4);
    if (type.empty()) return;
    RegionKind kind = kMetadata;
    if (type == "IHDR") kind = kHeader;
    if (type == "PLTE" || type == "tRNS" || type == "hIST") kind = kTable;
    if (type == "IDAT" || type == "fdAT") kind = kData;
    if (type == "IEND") kind = kTrailer;
    at = layout.add(type, kind, at, plus(at + 12, file.big(at, 4)));
    if (type == "IEND") {
      layout.add("after the end", kUnknown, at, file.size());
      return;
    }
  }
}

bool is_tiff(const Bytes& file) { return file.is(0, {"II*\0", 4}) || file.is(0, {"MM\0*", 4}); }

std::string tiff_tag_name(uint64_t tag) {
  static constexpr std::pair<uint64_t, const char*> kNames[] = {
      {258, "BitsPerSample"}, {269, "DocumentName"}, {270, "ImageDescription"}, {271, "Make"}, {272, "Model"}, {273, "StripOffsets"}, {279, "StripByteCounts"}, {282, "XResolution"},
      {283, "YResolution"}, {305, "Software"}, {306, "DateTime"}, {315, "Artist"}, {318, "WhitePoint"}, {319, "PrimaryChromaticities"}, {320, "ColorMap"}, {324, "TileOffsets"},
      {325, "TileByteCounts"}, {339, "SampleFormat"}, {347, "JPEGTables"}, {529, "YCbCrCoefficients"}, {532, "ReferenceBlackWhite"}, {700, "XMP"}, {33432, "Copyright"}, {34665, "Exif"},
      {34675, "ICC profile"}, {34853, "GPS"}};
  for (const auto& [number, name] : kNames) {
    if (number == tag) return name;
  }
  return "tag " + std::to_string(tag);
}

class TiffWalk {
 public:
  TiffWalk(const Bytes& file, Layout& layout) : file_(file), layout_(layout), little_(file[0] == 'I') {}

  void run() {
    layout_.add("header", kHeader, 0, 8);
    directories_.push_back(number(4, 4));
    for (size_t i = 0; i < kMaxDirectories && !directories_.empty(); ++i) {
      const auto offset = static_cast<size_t>(directories_.front());
      directories_.pop_front();
      walk_directory(offset);
    }
  }

 private:
  struct Values {
    uint64_t type = 0, count = 0;
    size_t at = 0;
  };
  static constexpr std::array<uint64_t, 14> kTypeBytes = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};

  uint64_t number(size_t at, size_t bytes) const { return little_ ? file_.little(at, bytes) : file_.big(at, bytes); }
  uint64_t value(const Values& values, size_t i) const {
    const auto bytes = static_cast<size_t>(kTypeBytes[values.type]);
    return number(plus(values.at, i * bytes), bytes);
  }
  // Those that lie in the file and can be offsets.
  size_t num_readable(const Values& values) const {
    if (values.type != 3 && values.type != 4 && values.type != 13) return 0;
    if (values.at >= file_.size()) return 0;
    return static_cast<size_t>(std::min<uint64_t>(values.count, (file_.size() - values.at) / kTypeBytes[values.type]));
  }

  void walk_directory(size_t at) {
    if (at < 8 || !file_.has(at, 2)) return;
    const auto entries = static_cast<size_t>(number(at, 2));
    layout_.add("IFD", kTable, at, at + 2 + 12 * entries + 4);
    std::optional<Values> offsets, sizes;
    bool tiles = false;
    for (size_t i = 0; i < entries && file_.has(at + 2 + 12 * i, 12) && step(); ++i) {
      const size_t entry = at + 2 + 12 * i;
      const uint64_t tag = number(entry, 2);
      Values values{number(entry + 2, 2), number(entry + 4, 4), entry + 8};
      if (values.type >= kTypeBytes.size() || kTypeBytes[values.type] == 0) continue;
      const uint64_t bytes = values.count * kTypeBytes[values.type];  // below 2^35
      if (bytes > 4) {
        values.at = static_cast<size_t>(number(entry + 8, 4));
        layout_.add(tiff_tag_name(tag), tag == 273 || tag == 279 || tag == 324 || tag == 325 || tag == 320 || tag == 258 || tag == 347 ? kTable : kMetadata, values.at, plus(values.at, bytes));
      }
      if (tag == 273 || tag == 324) {
        offsets = values;
        tiles = tag == 324;
      }
      if (tag == 279 || tag == 325) sizes = values;
      if (tag == 330 || tag == 34665 || tag == 34853) {
        for (size_t k = 0; k < num_readable(values) && directories_.size() < kMaxDirectories; ++k) directories_.push_back(value(values, k));
      }
    }
    if (offsets && sizes) {
      for (size_t i = 0; i < std::min(num_readable(*offsets), num_readable(*sizes)) && step(); ++i) {
        const auto begin = static_cast<size_t>(value(*offsets, i));
        layout_.add(tiles ? "tile" : "strip", kData, begin, plus(begin, value(*sizes, i)));
      }
    }
    if (const uint64_t next = number(at + 2 + 12 * entries, 4); next != 0) directories_.push_back(next);
  }

  bool step() { return !layout_.full() && steps_++ < kMaxSteps; }

  const Bytes& file_;
  Layout& layout_;
  const bool little_;
  std::deque<uint64_t> directories_;
  size_t steps_ = 0;
};

void walk_tiff(const Bytes& file, Layout& layout) { TiffWalk(file, layout).run(); }

bool is_gif(const Bytes& file) { return file.is(0, "GIF87a") || file.is(0, "GIF89a"); }

// Behind the sub-blocks, each a length and so many bytes, and the zero that ends them.
size_t end_of_gif_blocks(const Bytes& file, size_t at) {
  while (at < file.size()) {
    const uint8_t length = file[at];
    at = plus(at + 1, length);
    if (length == 0) return at;
  }
  return plus(file.size(), 1);  // cut off
}

void walk_gif(const Bytes& file, Layout& layout) {
  const auto table_bytes = [&](size_t flags) { return (file[flags] & 0x80) != 0 ? size_t{3} << ((file[flags] & 7) + 1) : size_t{0}; };
  size_t at = layout.add("header", kHeader, 0, 13);
  at = layout.add("global colour table", kTable, at, at + table_bytes(10));
  while (at < file.size() && !layout.full()) {
    if (file[at] == 0x3B) {
      at = layout.add("trailer", kTrailer, at, at + 1);
      layout.add("after the end", kUnknown, at, file.size());
      return;
    }
    if (file[at] == 0x21) {
      const uint8_t label = file[at + 1];
      const size_t end = end_of_gif_blocks(file, at + 2);
      if (label == 0xF9) {
        at = layout.add("graphic control", kHeader, at, end);
      } else if (label == 0xFF) {
        const std::string application = file.text(at + 3, std::min<size_t>(file[at + 2], 11));
        at = layout.add("application" + (application.empty() ? "" : " " + application), kMetadata, at, end);
      } else {
        at = layout.add(label == 0xFE ? "comment" : label == 0x01 ? "plain text" : "extension " + std::to_string(label), kMetadata, at, end);
      }
    } else if (file[at] == 0x2C) {
      const size_t table = table_bytes(at + 9);
      at = layout.add("image descriptor", kHeader, at, at + 10);
      at = layout.add("local colour table", kTable, at, at + table);
      at = layout.add("image data", kData, at, end_of_gif_blocks(file, at + 1));
    } else {
      return;
    }
  }
}

// The sizes of the known second headers keep text that begins with "BM" out.
bool is_bmp(const Bytes& file) {
  const uint64_t size = file.little(14, 4);
  return file.is(0, "BM") && (size == 12 || size == 16 || size == 40 || size == 52 || size == 56 || size == 64 || size == 108 || size == 124);
}

void walk_bmp(const Bytes& file, Layout& layout) {
  const uint64_t header = file.little(14, 4), pixels = file.little(10, 4);
  const bool old = header == 12;
  const uint64_t width = old ? file.little(18, 2) : file.little(18, 4), bits = old ? file.little(24, 2) : file.little(28, 2), compression = old ? 0 : file.little(30, 4);
  uint64_t height = old ? file.little(20, 2) : file.little(22, 4);
  if (!old && height > 0x80000000) height = 0x100000000 - height;  // from the top down
  size_t at = layout.add("file header", kHeader, 0, 14);
  at = layout.add("information header", kHeader, at, plus(at, header));
  if (header == 40 && (compression == 3 || compression == 6)) at = layout.add("bit masks", kTable, at, at + (compression == 3 ? 12 : 16));
  if (pixels < at || pixels >= file.size()) return;
  if (bits <= 8) at = layout.add("palette", kTable, at, static_cast<size_t>(pixels));
  const uint64_t row = width * bits / 32 * 4 + (width * bits % 32 > 0 ? 4 : 0);  // below 2^46
  uint64_t bytes = compression == 0 || compression == 3 || compression == 6 ? (height == 0 || row < UINT64_MAX / height ? row * height : UINT64_MAX) : file.little(34, 4);
  if (bytes == 0) bytes = file.size();
  const size_t end = plus(static_cast<size_t>(pixels), bytes);
  at = layout.add("pixels", kData, static_cast<size_t>(pixels), end);
  layout.add("after the pixels", kUnknown, at, file.size());
}

// ---- sounds ----------------------------------------------------------------------------------------------------------

bool is_riff(const Bytes& file) { return (file.is(0, "RIFF") || file.is(0, "RF64")) && !file.fourcc(8).empty(); }

void walk_riff(const Bytes& file, Layout& layout) {
  const bool wave = file.is(8, "WAVE");
  size_t at = layout.add(file.text(0, 4) + " header", kHeader, 0, 12);
  while (file.has(at, 8) && !layout.full()) {
    const std::string type = file.fourcc(at);
    if (type.empty()) return;
    const uint64_t size = file.little(at + 4, 4);
    // Writers to a pipe leave the length of the samples at its largest, and RF64 has it elsewhere.
    const bool open = size == 0xFFFFFFFF;
    const size_t end = open ? file.size() : plus(at + 8, size + size % 2);
    // The byte that evens out is often missing at the end of a file.
    const size_t claimed = !open && size % 2 == 1 && end == plus(file.size(), 1) ? file.size() : end;
    if (wave && type == "data") {
      at = layout.add("data header", kHeader, at, at + 8);
      at = layout.add("samples", kData, at, claimed);
      continue;
    }
    RegionKind kind = kMetadata;
    if (type == "fmt " || type == "fact" || type == "ds64" || type == "VP8X" || type == "ANIM") kind = kHeader;
    if (type == "VP8 " || type == "VP8L" || type == "ALPH" || type == "ANMF") kind = kData;
    at = layout.add(std::string_view(type).substr(0, type.find_last_not_of(' ') + 1), kind, at, claimed);
  }
}

struct Mp3Frame {
  size_t bytes = 0;      // with its header; 0: no frame
  size_t side_info = 0;  // layer III
};

Mp3Frame mp3_frame(const Bytes& file, size_t at) {
  static constexpr int kKbps[2][3][15] = {{{0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448},
                                           {0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384},
                                           {0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320}},
                                          {{0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256},
                                           {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
                                           {0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160}}};
  static constexpr int kHz[3] = {44100, 48000, 32000};
  if (!file.has(at, 4) || file[at] != 0xFF || (file[at + 1] & 0xE0) != 0xE0) return {};
  const int version = file[at + 1] >> 3 & 3, layer_code = file[at + 1] >> 1 & 3, rate_code = file[at + 2] >> 4, hz_code = file[at + 2] >> 2 & 3, padding = file[at + 2] >> 1 & 1;
  if (version == 1 || layer_code == 0 || rate_code == 0 || rate_code == 15 || hz_code == 3) return {};
  const int layer = 4 - layer_code, kbps = kKbps[version == 3 ? 0 : 1][layer - 1][rate_code], hz = kHz[hz_code] >> (version == 3 ? 0 : version == 2 ? 1 : 2);
  const bool mono = file[at + 3] >> 6 == 3;
  Mp3Frame frame;
  if (layer == 1) {
    frame.bytes = static_cast<size_t>((12 * kbps * 1000 / hz + padding) * 4);
  } else {
    frame.bytes = static_cast<size_t>((layer == 3 && version != 3 ? 72 : 144) * kbps * 1000 / hz + padding);
  }
  if (layer == 3) frame.side_info = version == 3 ? (mono ? 17 : 32) : (mono ? 9 : 17);
  return frame;
}

// A header where one is expected, behind which the next one or the end of the file comes.
bool begins_mp3_frames(const Bytes& file, size_t at) {
  const Mp3Frame frame = mp3_frame(file, at);
  if (frame.bytes == 0) return false;
  const size_t next = at + frame.bytes;
  return next == file.size() || mp3_frame(file, next).bytes > 0 || file.is(next, "TAG");
}

size_t id3v2_bytes(const Bytes& file) {
  if (!file.is(0, "ID3") || !file.has(0, 10)) return 0;
  size_t size = 0;
  for (size_t i = 6; i < 10; ++i) {
    if (file[i] >= 0x80) return 0;
    size = size << 7 | file[i];
  }
  return 10 + size + ((file[5] & 0x10) != 0 ? 10 : 0);  // with a footer
}

bool is_mp3(const Bytes& file) { return id3v2_bytes(file) > 0 || begins_mp3_frames(file, 0); }

void walk_mp3(const Bytes& file, Layout& layout) {
  size_t at = layout.add("ID3v2", kMetadata, 0, id3v2_bytes(file));
  const size_t end = file.size() >= at + 128 && file.is(file.size() - 128, "TAG") ? file.size() - 128 : file.size();
  size_t first = at;  // taggers fill up with zeros
  while (first < end && file[first] == 0) ++first;
  at = layout.add("padding", kMetadata, at, first);
  if (begins_mp3_frames(file, at)) {
    const Mp3Frame frame = mp3_frame(file, at);
    const size_t tag = at + 4 + frame.side_info;
    if (file.is(tag, "Xing") || file.is(tag, "Info") || file.is(at + 36, "VBRI")) {
      at = layout.add(file.is(at + 36, "VBRI") ? "VBRI frame" : file.text(tag, 4) + " frame", kMetadata, at, std::min(at + frame.bytes, end));
    } else {
      at = layout.add("first frame's header", kHeader, at, at + 4);
    }
    layout.add("frames", kData, at, end);
  }
  layout.add("ID3v1", kMetadata, end, file.size());
}

// ---- archives --------------------------------------------------------------------------------------------------------

bool is_zip_file(const Bytes& file) { return file.is(0, "PK\3\4") || file.is(0, "PK\5\6"); }

// The record that ends the central directory, by its signature and a comment that fits; or the file's size.
size_t find_zip_end(const Bytes& file) {
  constexpr size_t kRecord = 22, kMaxComment = 65535;
  if (file.size() < kRecord) return file.size();
  const size_t last = file.size() - kRecord, first = last > kMaxComment ? last - kMaxComment : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (file.is(at, "PK\5\6") && file.little(at + 20, 2) == last - at) return at;
  }
  return file.size();
}

// A local header, its data, which are `packed` bytes or all that is left, and what is written behind them when sizes were not known before.
// Returns their end.
size_t add_zip_member(const Bytes& file, Layout& layout, size_t at, std::optional<uint64_t> packed) {
  const auto name_bytes = static_cast<size_t>(file.little(at + 26, 2)), extra_bytes = static_cast<size_t>(file.little(at + 28, 2));
  std::string name = file.text(at + 30, name_bytes);
  if (name.empty()) name = "(no name)";
  size_t end = layout.add(name + ": header", kHeader, at, at + 30 + name_bytes + extra_bytes);
  end = layout.add(name + ": data", kData, end, packed ? plus(end, *packed) : file.size());
  return file.is(end, "PK\7\10") ? layout.add(name + ": descriptor", kTrailer, end, end + 16) : end;
}

void walk_zip(const Bytes& file, Layout& layout) {
  const size_t end = find_zip_end(file);
  const uint64_t directory = file.little(end + 16, 4), directory_bytes = file.little(end + 12, 4);
  if (end < file.size() && directory <= end && directory_bytes <= end - directory) {
    auto entry = static_cast<size_t>(directory);
    for (size_t steps = 0; steps < kMaxSteps && file.is(entry, "PK\1\2") && entry < end && !layout.full(); ++steps) {
      const auto local = static_cast<size_t>(file.little(entry + 42, 4));
      if (file.is(local, "PK\3\4") && file.has(local, 30)) add_zip_member(file, layout, local, file.little(entry + 20, 4));
      entry += 46 + static_cast<size_t>(file.little(entry + 28, 2) + file.little(entry + 30, 2) + file.little(entry + 32, 2));
    }
    layout.add("central directory", kTable, static_cast<size_t>(directory), static_cast<size_t>(directory + directory_bytes));
    layout.add("end of central directory", kTrailer, end, file.size());
    return;
  }
  // Without the end of the file: as long as the local headers know their sizes.
  size_t at = 0;
  while (file.is(at, "PK\3\4") && file.has(at, 30) && !layout.full()) {
    const uint64_t packed = file.little(at + 18, 4);
    const bool known = (file[at + 6] & 8) == 0 && packed != 0xFFFFFFFF;
    at = add_zip_member(file, layout, at, known ? std::optional(packed) : std::nullopt);
  }
}

bool is_gzip_file(const Bytes& file) { return file.is(0, "\x1F\x8B\x08"); }

void walk_gzip(const Bytes& file, Layout& layout) {
  const uint8_t flags = file[3];
  size_t at = layout.add("header", kHeader, 0, 10);
  if ((flags & 4) != 0) at = layout.add("extra field", kMetadata, at, plus(at + 2, file.little(at, 2)));
  if ((flags & 8) != 0) at = layout.add("file name", kMetadata, at, file.find(at, 0) + 1);
  if ((flags & 16) != 0) at = layout.add("comment", kMetadata, at, file.find(at, 0) + 1);
  if ((flags & 2) != 0) at = layout.add("header checksum", kHeader, at, at + 2);
  const size_t trailer = file.size() - std::min<size_t>(8, file.size() - at);
  at = layout.add("compressed data", kData, at, trailer);
  layout.add("checksum and length", kTrailer, at, file.size());
}

// No magic number: a length that fits, and braces around so many bytes, which may be filled up with blanks.
bool is_safetensors(const Bytes& file) {
  const uint64_t header = file.little(0, 8);
  if (!file.has(0, 10) || header < 2 || header > file.size() - 8 || file[8] != '{') return false;
  const uint8_t last = file[static_cast<size_t>(7 + header)];
  return last == '}' || last == ' ';
}

void walk_safetensors(const Bytes& file, Layout& layout) {
  size_t at = layout.add("length of the header", kHeader, 0, 8);
  at = layout.add("JSON header", kTable, at, plus(8, file.little(0, 8)));
  layout.add("tensors", kData, at, file.size());
}

struct Format {
  const char* name;
  bool (*is)(const Bytes&);
  void (*walk)(const Bytes&, Layout&);
};
constexpr Format kFormats[] = {
    {"JPEG", is_jpeg, walk_jpeg}, {"PNG", is_png, walk_png},  {"TIFF", is_tiff, walk_tiff},         {"GIF", is_gif, walk_gif},          {"BMP", is_bmp, walk_bmp},
    {"RIFF", is_riff, walk_riff}, {"ZIP", is_zip_file, walk_zip}, {"gzip", is_gzip_file, walk_gzip}, {"safetensors", is_safetensors, walk_safetensors}, {"MP3", is_mp3, walk_mp3},
};
constexpr const char* kNoFormat = "unknown format";

const Format* find_format(const Bytes& file) {
  const auto* const found = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& format) { return format.is(file); });
  return found == std::end(kFormats) ? nullptr : found;
}

}  // namespace

std::string_view region_kind_name(RegionKind kind) {
  static constexpr std::string_view kNames[kNumRegionKinds] = {"header", "table", "metadata", "data", "trailer", "unknown"};
  return kNames[static_cast<size_t>(kind)];
}

std::vector<Region> file_layout(std::span<const uint8_t> file) {
  const Bytes bytes(file);
  Layout layout(file.size());
  const Format* const format = find_format(bytes);
  if (format == nullptr) return layout.regions(kNoFormat);
  format->walk(bytes, layout);
  return layout.regions("unclaimed");
}

std::string_view file_format(std::span<const uint8_t> file) {
  const Format* const format = find_format(Bytes(file));
  return format == nullptr ? kNoFormat : format->name;
}

}  // namespace fettle::byteformer
