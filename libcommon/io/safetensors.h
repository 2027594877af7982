#pragma once
// The safetensors container (https://github.com/huggingface/safetensors): 8 bytes of header length, a JSON header
// {"__metadata__":{"k":"v"},"name":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},...} padded with blanks, then the
// tensors' bytes, little-endian, without gaps. What is written here loads in the Python library and the other way round.
//
// Reading trusts nothing. Errors (kInput, naming file and tensor): a header length beyond the file or above 100 MB, JSON
// that is none or of another shape than the one above (deeper, further keys, duplicate names), unknown dtypes, negative or
// overflowing shapes, sizes that disagree with shape and dtype, overlaps, gaps, offsets beyond the file, bytes left over.
// Legal: rank 0 (one element), dimensions of 0 (no bytes), no tensors at all.

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "io/mapped_file.h"

namespace fettle {

// The format's types of whole bytes; its 4- and 6-bit ones are refused by name.
enum class Dtype : int { kBool, kU8, kI8, kF8E5M2, kF8E4M3, kF8E8M0, kI16, kU16, kF16, kBF16, kI32, kU32, kF32, kC64, kF64, kI64, kU64 };

int64_t dtype_bytes(Dtype dtype);         // of one element
std::string_view dtype_name(Dtype dtype);  // as the format spells it: "F32", "F8_E4M3"

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes from the start of the data, which follows the header
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorInfo> tensors;                      // by offset
  std::map<std::string, size_t, std::less<>> index;     // name -> position in `tensors`
  std::map<std::string, std::string> metadata;
  uint64_t data_begin = 0;                              // bytes from the start of the file
};

// `bytes`: the file's beginning, header included (or all of it); file_size: of the whole file; `name` begins each error.
SafetensorsHeader parse_safetensors_header(std::span<const uint8_t> bytes, uint64_t file_size, std::string_view name);

class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);  // maps the file, checks the header

  const std::vector<TensorInfo>& tensors() const { return header_.tensors; }
  const TensorInfo* find(std::string_view name) const;                // null when there is none
  std::span<const uint8_t> bytes(const TensorInfo& info) const;       // not always aligned to the dtype: copy, do not cast
  const std::map<std::string, std::string>& metadata() const { return header_.metadata; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  SafetensorsHeader header_;
};

struct TensorSpec {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape;
};

// Writes the header at once and then one tensor a call, in the order of `specs`; the file appears at commit(). The same
// specs, metadata and data give the same bytes. Alignment follows the order: put wide types first where it matters.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> specs, const std::map<std::string, std::string>& metadata);

  void write(std::span<const uint8_t> bytes);  // the next tensor, row-major, exactly its size
  void commit();                               // after the last

 private:
  AtomicFile file_;
  std::vector<TensorSpec> specs_;
  size_t next_ = 0;
};

}  // namespace fettle
