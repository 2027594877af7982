#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's own bound
constexpr std::string_view kMetadataKey = "__metadata__";

struct DtypeRow {
  Dtype dtype;
  std::string_view name;
  int64_t bytes;
};
constexpr std::array<DtypeRow, 17> kDtypes{{{Dtype::kBool, "BOOL", 1},
                                            {Dtype::kU8, "U8", 1},
                                            {Dtype::kI8, "I8", 1},
                                            {Dtype::kF8E5M2, "F8_E5M2", 1},
                                            {Dtype::kF8E4M3, "F8_E4M3", 1},
                                            {Dtype::kF8E8M0, "F8_E8M0", 1},
                                            {Dtype::kI16, "I16", 2},
                                            {Dtype::kU16, "U16", 2},
                                            {Dtype::kF16, "F16", 2},
                                            {Dtype::kBF16, "BF16", 2},
                                            {Dtype::kI32, "I32", 4},
                                            {Dtype::kU32, "U32", 4},
                                            {Dtype::kF32, "F32", 4},
                                            {Dtype::kC64, "C64", 8},
                                            {Dtype::kF64, "F64", 8},
                                            {Dtype::kI64, "I64", 8},
                                            {Dtype::kU64, "U64", 8}}};

const DtypeRow& row_of(Dtype dtype) {
  const auto index = static_cast<size_t>(dtype);
  FT_CHECK(index < kDtypes.size() && kDtypes[index].dtype == dtype);
  return kDtypes[index];
}

// Shape and dtype in bytes; nothing when that exceeds 63 bits (also in between, before a dimension of 0).
std::optional<uint64_t> tensor_bytes(Dtype dtype, const std::vector<int64_t>& shape) {
  int64_t product = dtype_bytes(dtype);
  for (const int64_t size : shape) {
    if (size < 0 || __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return static_cast<uint64_t>(product);
}

// nlohmann's events for the one shape that a header has. Its parser keeps a bit a level and this throws at the first
// level too many, so deep input costs nothing.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(SafetensorsHeader& header, std::string_view file) : header_(header), file_(file) {}

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kStart: place_ = Place::kNames; break;
      case Place::kEntry: begin_entry(); break;
      default: unexpected("an object");
    }
    return true;
  }

  bool key(string_t& text) override {
    switch (place_) {
      case Place::kNames:
        name_ = text;
        FT_REQUIRE(names_.insert(text).second, "{}: the header names {} twice", file_, quote(text));
        place_ = Place::kEntry;
        break;
      case Place::kMetadata:
        FT_REQUIRE(header_.metadata.emplace(text, "").second, "{}: the metadata names {} twice", file_, quote(text));
        field_ = text;
        break;
      default:
        field_ = text;
        FT_REQUIRE(field_ == "dtype" || field_ == "shape" || field_ == "data_offsets",
                   "{}: tensor {} has an unknown field {}", file_, quote(name_), quote(field_));
        FT_REQUIRE(fields_.insert(field_).second, "{}: tensor {} has the field '{}' twice", file_, quote(name_), field_);
    }
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[field_] = text;
      return true;
    }
    if (place_ != Place::kTensor || field_ != "dtype") unexpected("a string");
    const auto row = std::find_if(kDtypes.begin(), kDtypes.end(), [&](const DtypeRow& r) { return r.name == text; });
    FT_REQUIRE(row != kDtypes.end(), "{}: tensor {} has the unknown dtype {}", file_, quote(name_), quote(text));
    tensor_.dtype = row->dtype;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kTensor || field_ == "dtype") unexpected("an array");
    place_ = Place::kNumbers;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kNumbers) unexpected("a number");
    if (field_ == "data_offsets") {
      offsets_.push_back(value);
    } else {
      FT_REQUIRE(value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                 "{}: tensor {} has a dimension of {}, more than 63 bits hold", file_, quote(name_), value);
      tensor_.shape.push_back(static_cast<int64_t>(value));
    }
    return true;
  }

  bool end_array() override {
    FT_REQUIRE(field_ == "shape" || offsets_.size() == 2,
               "{}: tensor {} has {} data_offsets, expected 2", file_, quote(name_), offsets_.size());
    place_ = Place::kTensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) end_tensor();
    place_ = place_ == Place::kNames ? Place::kEnd : Place::kNames;
    return true;
  }

  bool number_integer(number_integer_t value) override { unexpected(fmt::format("the negative number {}", value)); }
  bool number_float(number_float_t, const string_t& text) override { unexpected(fmt::format("the number {}", quote(text))); }
  bool null() override { unexpected("null"); }
  bool boolean(bool) override { unexpected("a truth value"); }
  bool binary(binary_t&) override { unexpected("binary data"); }
  bool parse_error(std::size_t position, const std::string& near, const nlohmann::detail::exception&) override {
    FT_FAIL(ExitCode::kInput, "{}: the header is not JSON: byte {} of it, near {}", file_, position, quote(near));
  }

 private:
  enum class Place { kStart, kNames, kEntry, kMetadata, kTensor, kNumbers, kEnd };

  [[noreturn]] void unexpected(const std::string& what) {
    const bool outside = place_ == Place::kStart || place_ == Place::kEnd;
    FT_FAIL(ExitCode::kInput,
            "{}: the header holds {} where none belongs ({})", file_, what, outside ? "at its top" : "in " + quote(name_));
  }

  void begin_entry() {
    if (name_ == kMetadataKey) {
      place_ = Place::kMetadata;
      return;
    }
    place_ = Place::kTensor;
    tensor_ = {};
    tensor_.name = name_;
    offsets_.clear();
    fields_.clear();
    field_.clear();
  }

  void end_tensor() {
    for (const char* field : {"dtype", "shape", "data_offsets"}) {
      FT_REQUIRE(fields_.contains(field), "{}: tensor {} has no '{}'", file_, quote(name_), field);
    }
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    header_.tensors.push_back(std::move(tensor_));
  }

  SafetensorsHeader& header_;
  std::string_view file_;
  Place place_ = Place::kStart;
  std::set<std::string> names_;
  std::string name_;  // of the entry that is being read
  std::string field_;
  std::set<std::string> fields_;
  TensorInfo tensor_;
  std::vector<uint64_t> offsets_;
};

// Each tensor by itself, then that they tile the data.
void check_layout(const SafetensorsHeader& header, uint64_t data_bytes, std::string_view file) {
  uint64_t covered = 0;
  for (const TensorInfo& tensor : header.tensors) {
    const auto expected = tensor_bytes(tensor.dtype, tensor.shape);
    FT_REQUIRE(expected, "{}: the shape of tensor {} overflows 63 bits", file, quote(tensor.name));
    FT_REQUIRE(tensor.begin <= tensor.end,
               "{}: tensor {} ends at {}, before it begins at {}", file, quote(tensor.name), tensor.end, tensor.begin);
    FT_REQUIRE(tensor.end <= data_bytes,
               "{}: tensor {} ends at byte {} of the data, beyond its {} bytes (a truncated file?)",
               file, quote(tensor.name), tensor.end, data_bytes);
    FT_REQUIRE(tensor.end - tensor.begin == *expected,
               "{}: tensor {} has {} bytes, its shape and dtype need {}", file, quote(tensor.name), tensor.end - tensor.begin, *expected);
    FT_REQUIRE(tensor.begin >= covered,
               "{}: tensor {} begins at byte {} and overlaps the one that ends at {}", file, quote(tensor.name), tensor.begin, covered);
    FT_REQUIRE(tensor.begin == covered, "{}: {} bytes before tensor {} belong to none", file, tensor.begin - covered, quote(tensor.name));
    covered = tensor.end;
  }
  FT_REQUIRE(covered == data_bytes, "{}: {} bytes after the last tensor belong to none", file, data_bytes - covered);
}

}  // namespace

int64_t dtype_bytes(Dtype dtype) { return row_of(dtype).bytes; }
std::string_view dtype_name(Dtype dtype) { return row_of(dtype).name; }

SafetensorsHeader parse_safetensors_header(std::span<const uint8_t> bytes, uint64_t file_size, std::string_view name) {
  FT_REQUIRE(file_size >= kLengthBytes && bytes.size() >= kLengthBytes,
             "{} is no safetensors file: {} bytes, too few for a header", name, file_size);
  uint64_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) length |= uint64_t{bytes[i]} << (8 * i);
  FT_REQUIRE(length <= kMaxHeaderBytes,
             "{} is no safetensors file: a header of {} bytes, more than the {} allowed", name, length, kMaxHeaderBytes);
  FT_REQUIRE(length <= file_size - kLengthBytes,
             "{}: the header of {} bytes reaches beyond the file of {} bytes (a truncated file?)", name, length, file_size);
  FT_CHECK(length <= bytes.size() - kLengthBytes, "the caller gave {} bytes, the header needs {}", bytes.size(), kLengthBytes + length);
  const auto text = bytes.subspan(kLengthBytes, static_cast<size_t>(length));
  FT_REQUIRE(!text.empty() && text[0] == '{', "{} is no safetensors file: its header does not begin with '{{'", name);

  SafetensorsHeader header;
  header.data_begin = kLengthBytes + length;
  HeaderReader reader(header, name);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  std::stable_sort(header.tensors.begin(), header.tensors.end(),
                   [](const TensorInfo& a, const TensorInfo& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
  check_layout(header, file_size - header.data_begin, name);
  for (size_t i = 0; i < header.tensors.size(); ++i) header.index.emplace(header.tensors[i].name, i);
  return header;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : file_(path), header_(parse_safetensors_header(file_.bytes(), file_.bytes().size(), fmt::format("'{}'", path.string()))) {}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto found = header_.index.find(name);
  return found == header_.index.end() ? nullptr : &header_.tensors[found->second];
}

std::span<const uint8_t> SafetensorsFile::bytes(const TensorInfo& info) const {
  const auto data = file_.bytes().subspan(static_cast<size_t>(header_.data_begin));
  FT_CHECK(info.begin <= info.end && info.end <= data.size(), "tensor {} is not of this file", quote(info.name));
  return data.subspan(static_cast<size_t>(info.begin), static_cast<size_t>(info.end - info.begin));
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<TensorSpec> specs,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), specs_(std::move(specs)) {
  const auto json_string = [](const std::string& text) { return nlohmann::json(text).dump(); };
  std::string header = "{";
  std::set<std::string_view> names{kMetadataKey};
  if (!metadata.empty()) header += json_string(std::string(kMetadataKey)) + ":" + nlohmann::json(metadata).dump() + ",";
  uint64_t begin = 0;
  for (const TensorSpec& spec : specs_) {
    FT_CHECK(names.insert(spec.name).second, "two tensors named {}", quote(spec.name));
    const auto size = tensor_bytes(spec.dtype, spec.shape);
    FT_CHECK(size, "tensor {} has an impossible shape", quote(spec.name));
    header += fmt::format(R"({}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}},)", json_string(spec.name), dtype_name(spec.dtype),
                          nlohmann::json(spec.shape).dump(), begin, begin + *size);
    begin += *size;
  }
  if (header.back() == ',') header.pop_back();
  header += '}';
  header.resize((header.size() + 7) / 8 * 8, ' ');
  FT_CHECK(header.size() <= kMaxHeaderBytes, "a header of {} bytes", header.size());

  std::string length(kLengthBytes, '\0');
  for (size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  file_.write(length + header);
}

void SafetensorsWriter::write(std::span<const uint8_t> bytes) {
  FT_CHECK(next_ < specs_.size(), "more tensors written than announced");
  const TensorSpec& spec = specs_[next_];
  FT_CHECK(bytes.size() == *tensor_bytes(spec.dtype, spec.shape),
           "tensor {} has {} bytes, announced were {}", quote(spec.name), bytes.size(), *tensor_bytes(spec.dtype, spec.shape));
  file_.write(bytes);
  ++next_;
}

void SafetensorsWriter::commit() {
  FT_CHECK(next_ == specs_.size(), "{} tensors announced, {} written", specs_.size(), next_);
  file_.commit();
}

}  // namespace fettle
