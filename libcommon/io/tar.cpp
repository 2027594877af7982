#include "io/tar.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

constexpr uint64_t kBlock = 512;

struct Field {
  size_t offset;
  size_t size;
};
constexpr Field kName{0, 100}, kSize{124, 12}, kChecksum{148, 8}, kLinkName{157, 100}, kMagic{257, 6}, kPrefix{345, 155};
constexpr size_t kTypeOffset = 156;

using Bytes = std::span<const uint8_t>;

std::string_view text_of(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Up to the first NUL.
std::string_view string_field(Bytes header, Field field) {
  const std::string_view text = text_of(header.subspan(field.offset, field.size));
  return text.substr(0, text.find('\0'));
}

bool is_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

// Octal digits amid blanks and NULs (none at all is 0), or GNU's base 256: bit 7 of the first byte set, big-endian. Nothing
// when malformed, negative or beyond 64 bits.
std::optional<uint64_t> number_field(Bytes header, Field field) {
  const Bytes bytes = header.subspan(field.offset, field.size);
  uint64_t value = 0;
  if ((bytes[0] & 0x80) != 0) {
    if ((bytes[0] & 0x40) != 0) return std::nullopt;
    value = bytes[0] & 0x3f;
    for (const uint8_t byte : bytes.subspan(1)) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | byte;
    }
    return value;
  }
  size_t i = 0;
  while (i < bytes.size() && bytes[i] == ' ') ++i;
  // At most 12 digits: 36 bits.
  for (; i < bytes.size() && bytes[i] >= '0' && bytes[i] <= '7'; ++i) value = value << 3 | static_cast<uint64_t>(bytes[i] - '0');
  for (; i < bytes.size(); ++i) {
    if (bytes[i] != ' ' && bytes[i] != '\0') return std::nullopt;
  }
  return value;
}

// The sum of the header's bytes, its own field taken as blanks; some old writers summed signed bytes.
bool checksum_holds(Bytes header) {
  const auto stored = number_field(header, kChecksum);
  uint64_t sum = 0;
  int64_t signed_sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const uint8_t byte = i >= kChecksum.offset && i < kChecksum.offset + kChecksum.size ? ' ' : header[i];
    sum += byte;
    signed_sum += static_cast<int8_t>(byte);
  }
  return stored && (*stored == sum || static_cast<int64_t>(*stored) == signed_sum);
}

bool is_safe(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\0') != std::string_view::npos) return false;
  for (size_t at = path.find(".."); at != std::string_view::npos; at = path.find("..", at + 1)) {
    if ((at == 0 || path[at - 1] == '/') && (at + 2 == path.size() || path[at + 2] == '/')) return false;
  }
  return true;
}

// What extended headers say about the next member.
struct Overrides {
  std::optional<std::string> path;
  std::optional<std::string> link_target;
  std::optional<uint64_t> size;
  bool any = false;
};

class Reader {
 public:
  Reader(Bytes bytes, std::string_view name, const std::function<void(TarMember&&)>& visit, const TarLimits& limits)
      : bytes_(bytes), name_(name), visit_(visit), limits_(limits) {}

  void run() {
    while (offset_ < bytes_.size()) {
      FT_REQUIRE(bytes_.size() - offset_ >= kBlock,
                 "{} is truncated: {} bytes at offset {}, a header has {}", name_, bytes_.size() - offset_, offset_, kBlock);
      const Bytes header = bytes_.subspan(static_cast<size_t>(offset_), kBlock);
      if (is_zero(header)) {
        FT_REQUIRE(is_zero(bytes_.subspan(static_cast<size_t>(offset_))),
                   "{} has data after its end, which is at offset {} (several archives in one file?)", name_, offset_);
        break;
      }
      FT_REQUIRE(checksum_holds(header), "{} is no tar archive or corrupt: wrong header checksum at offset {}", name_, offset_);
      read_member(header);
    }
    FT_REQUIRE(!next_.any, "{} is truncated: it ends after an extended header", name_);
  }

 private:
  void read_member(Bytes header) {
    const uint64_t header_offset = offset_;
    const char type = static_cast<char>(header[kTypeOffset]);
    const bool extension = type == 'L' || type == 'K' || type == 'x' || type == 'g';
    const auto stored_size = number_field(header, kSize);
    FT_REQUIRE(stored_size, "{} is corrupt: the header at offset {} has no valid size", name_, header_offset);
    uint64_t size = !extension && next_.size ? *next_.size : *stored_size;
    // Links, devices, directories and pipes bring no data, whatever their size says.
    if (type >= '1' && type <= '6') size = 0;
    const uint64_t data_offset = header_offset + kBlock;
    FT_REQUIRE(size <= bytes_.size() - data_offset,
               "{} is truncated or corrupt: the member at offset {} has {} bytes, {} follow",
               name_, header_offset, size, bytes_.size() - data_offset);
    const uint64_t padding = (kBlock - size % kBlock) % kBlock;
    FT_REQUIRE(padding <= bytes_.size() - data_offset - size,
               "{} is truncated: it ends in the padding of the member at offset {}", name_, header_offset);
    offset_ = data_offset + size + padding;

    if (extension) {
      FT_REQUIRE(size <= limits_.max_pax_bytes,
                 "{}: the extended header at offset {} has {} bytes, more than the {} allowed",
                 name_, header_offset, size, limits_.max_pax_bytes);
      read_extension(type, text_of(bytes_.subspan(static_cast<size_t>(data_offset), static_cast<size_t>(size))), header_offset);
      return;
    }
    FT_REQUIRE(type != 'S', "{}: the member at offset {} is a sparse file, which is not supported", name_, header_offset);
    TarMember member;
    member.path = next_.path ? *next_.path : stored_path(header);
    if (type == '1' || type == '2') member.link_target = next_.link_target ? *next_.link_target : std::string(string_field(header, kLinkName));
    FT_REQUIRE(member.path.size() <= limits_.max_path_bytes && member.link_target.size() <= limits_.max_path_bytes,
               "{}: the member at offset {} has a path of more than {} bytes", name_, header_offset, limits_.max_path_bytes);
    member.type = type_of(type, member.path);
    member.safe_path = is_safe(member.path);
    member.data_offset = data_offset;
    member.size = size;
    FT_REQUIRE(num_members_ < limits_.max_members, "{} has more than the {} members allowed", name_, limits_.max_members);
    ++num_members_;
    visit_(std::move(member));
    next_ = {};
  }

  static TarType type_of(char type, std::string_view path) {
    switch (type) {
      case '\0':  // v7 knows a directory by its name
      case '0':
      case '7': return path.ends_with('/') ? TarType::kDirectory : TarType::kFile;
      case '1': return TarType::kHardlink;
      case '2': return TarType::kSymlink;
      case '5': return TarType::kDirectory;
      default: return TarType::kOther;
    }
  }

  // Only POSIX's magic ("ustar" and a NUL) has the prefix field; GNU's ("ustar" and a blank) keeps other things there.
  static std::string stored_path(Bytes header) {
    const std::string path(string_field(header, kName));
    if (text_of(header.subspan(kMagic.offset, kMagic.size)) != std::string_view("ustar\0", 6)) return path;
    const std::string_view prefix = string_field(header, kPrefix);
    return prefix.empty() ? path : std::string(prefix) + "/" + path;
  }

  void read_extension(char type, std::string_view data, uint64_t header_offset) {
    if (type == 'x' || type == 'g') {
      read_pax(data, type == 'g', header_offset);
    } else {
      // pax wins over GNU's where an archive has both.
      auto& target = type == 'L' ? next_.path : next_.link_target;
      if (!target) target = std::string(data.substr(0, data.find('\0')));
    }
    if (type != 'g') next_.any = true;
  }

  // Records "LENGTH KEY=VALUE\n", the length that of the whole record.
  void read_pax(std::string_view data, bool global, uint64_t header_offset) {
    while (!data.empty()) {
      uint64_t length = 0;
      const auto [after, error] = std::from_chars(data.data(), data.data() + data.size(), length);
      const auto digits = static_cast<size_t>(after - data.data());
      const bool framed = error == std::errc() && digits < data.size() && data[digits] == ' ' &&
                          length > digits + 1 && length <= data.size() && data[length - 1] == '\n';
      FT_REQUIRE(framed, "{} is corrupt: malformed pax record in the header at offset {}", name_, header_offset);
      const std::string_view record = data.substr(digits + 1, length - digits - 2);
      data.remove_prefix(length);
      const size_t equals = record.find('=');
      FT_REQUIRE(equals != std::string_view::npos,
                 "{} is corrupt: pax record without '=' in the header at offset {}", name_, header_offset);
      apply_pax(record.substr(0, equals), record.substr(equals + 1), global, header_offset);
    }
  }

  void apply_pax(std::string_view key, std::string_view value, bool global, uint64_t header_offset) {
    FT_REQUIRE(!key.starts_with("GNU.sparse."),
               "{}: the member at offset {} is a sparse file, which is not supported", name_, header_offset);
    if (key != "path" && key != "linkpath" && key != "size") return;
    FT_REQUIRE(!global,
               "{}: the global header at offset {} sets {} for every member, which is not supported", name_, header_offset, quote(key));
    if (key == "path" || key == "linkpath") {
      auto& target = key == "path" ? next_.path : next_.link_target;
      if (value.empty()) {
        target.reset();
      } else {
        target = std::string(value);
      }
      return;
    }
    uint64_t size = 0;
    const auto [after, error] = std::from_chars(value.data(), value.data() + value.size(), size);
    FT_REQUIRE(error == std::errc() && after == value.data() + value.size(),
               "{} is corrupt: pax size {} in the header at offset {}", name_, quote(value), header_offset);
    next_.size = size;
  }

  Bytes bytes_;
  std::string_view name_;
  const std::function<void(TarMember&&)>& visit_;
  const TarLimits& limits_;
  uint64_t offset_ = 0;
  uint64_t num_members_ = 0;
  Overrides next_;
};

}  // namespace

bool is_tar(std::span<const uint8_t> bytes) { return bytes.size() >= kBlock && !is_zero(bytes.first(kBlock)) && checksum_holds(bytes.first(kBlock)); }

void visit_tar(std::span<const uint8_t> bytes, std::string_view name, const std::function<void(TarMember&&)>& visit, const TarLimits& limits) {
  Reader(bytes, name, visit, limits).run();
}

std::vector<TarMember> index_tar(std::span<const uint8_t> bytes, std::string_view name, const TarLimits& limits) {
  std::vector<TarMember> members;
  visit_tar(bytes, name, [&](TarMember&& member) { members.push_back(std::move(member)); }, limits);
  return members;
}

}  // namespace fettle
