#pragma once
// What the parts of a file are, by its container: for pictures of what a network that reads bytes looks at. No contents are decoded.
//
//   JPEG         marker segments; scan data from each SOS to the next marker that is no restart
//   PNG          signature, chunks
//   TIFF         header, IFDs (sub-IFDs too), values that lie outside of them, strips or tiles; either byte order, not BigTIFF
//   GIF          header, colour tables, extensions, image descriptors and data
//   BMP          headers, masks or palette, pixels
//   RIFF         chunks: WAV, WebP
//   MP3          ID3v2, the first frame's header or the whole frame where it has Xing, Info or VBRI, the other frames as one, ID3v1
//   ZIP          each member's local header and data, by the central directory or, without one, from the front; the directory and its end
//   gzip         header, compressed data, checksum; further members, which only decompression finds, count as data
//   safetensors  length, JSON header, tensors
//
// Neighbours of one name become one region, "IDAT (12)". Total: whatever the bytes are, nothing is thrown and nothing read beyond them, and
// the regions ascend and cover the file without gaps or overlaps. What reaches beyond the end of the file is cut there and named "... (cut
// off)". Of parts that overlap the one that begins first keeps what it has. Bytes that nothing claims are regions too. Names are printable
// ASCII of at most kMaxRegionName bytes, partly out of the file: escape them. Memory is bounded, time is linear in the file's length but
// for TIFF and ZIP, whose parts are sorted.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::byteformer {

enum class RegionKind : int { kHeader, kTable, kMetadata, kData, kTrailer, kUnknown };
inline constexpr int kNumRegionKinds = 6;
std::string_view region_kind_name(RegionKind kind);  // "header"

inline constexpr size_t kMaxRegions = 256;     // more are joined into one before the last, "744 further regions", of the kind with the most bytes
inline constexpr size_t kMaxRegionName = 80;

struct Region {
  std::string name;  // "APP1 Exif", "IDAT", "StripOffsets"
  RegionKind kind = RegionKind::kUnknown;
  size_t begin = 0, end = 0;  // begin < end
  size_t size() const { return end - begin; }
  bool operator==(const Region&) const = default;
};

// Empty for an empty file; one region "unknown format" for what is none of the above.
std::vector<Region> file_layout(std::span<const uint8_t> file);

// "JPEG", "RIFF", ...; "unknown format".
std::string_view file_format(std::span<const uint8_t> file);

}  // namespace fettle::byteformer
