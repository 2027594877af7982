#include "io/safetensors.h"

#include <catch2/catch.hpp>

#include <cstring>

#include "tests/support/expect_error.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

std::span<const uint8_t> as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }
std::string as_text(std::span<const uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string with_length(uint64_t length, std::string_view rest) {
  std::string out(8, '\0');
  std::memcpy(out.data(), &length, 8);
  return out + std::string(rest);
}

std::string file_of(std::string_view header, size_t data_bytes = 0) { return with_length(header.size(), header) + std::string(data_bytes, 'd'); }

SafetensorsHeader parse(const std::string& file) { return parse_safetensors_header(as_bytes(file), file.size(), "'f'"); }

void refused(const std::string& part, const std::string& file) {
  INFO(file.substr(0, 300));
  expect_error(ExitCode::kInput, part, [&] { parse(file); });
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

}  // namespace

TEST_CASE("safetensors: the bytes that are written are the format's, to the letter") {
  TempDir dir;
  SafetensorsWriter writer(dir / "m.safetensors", {{"a", Dtype::kF32, {1, 2}}, {"b\"", Dtype::kU8, {}}, {"none", Dtype::kI64, {3, 0}}}, {{"z", "1"}, {"format", "pt"}});
  writer.write(as_bytes("AAAABBBB"));
  writer.write(as_bytes("C"));
  writer.write({});
  CHECK_FALSE(std::filesystem::exists(dir / "m.safetensors"));
  writer.commit();
  const std::string header =
      R"({"__metadata__":{"format":"pt","z":"1"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},)"
      R"("b\"":{"dtype":"U8","shape":[],"data_offsets":[8,9]},"none":{"dtype":"I64","shape":[3,0],"data_offsets":[9,9]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  CHECK(read_text(dir / "m.safetensors") == with_length(padded.size(), padded) + "AAAABBBBC");

  const SafetensorsFile file(dir / "m.safetensors");
  REQUIRE(file.tensors().size() == 3);
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}, {"z", "1"}});
  REQUIRE(file.find("b\"") != nullptr);
  CHECK(file.find("b\"")->shape.empty());
  CHECK(as_text(file.bytes(*file.find("b\""))) == "C");
  CHECK(as_text(file.bytes(*file.find("a"))) == "AAAABBBB");
  CHECK(file.bytes(*file.find("none")).empty());
  CHECK(file.find("c") == nullptr);
}

TEST_CASE("safetensors: no tensors at all is a file") {
  TempDir dir;
  SafetensorsWriter writer(dir / "m", {}, {});
  writer.commit();
  CHECK(read_text(dir / "m") == with_length(8, "{}      "));
  CHECK(SafetensorsFile(dir / "m").tensors().empty());
  CHECK(parse(file_of("{}")).tensors.empty());
}

TEST_CASE("safetensors: every dtype has a name and a size that read back") {
  TempDir dir;
  for (int i = 0; i < 17; ++i) {
    const auto dtype = static_cast<Dtype>(i);
    INFO(dtype_name(dtype));
    SafetensorsWriter writer(dir / "m", {{"t", dtype, {3}}}, {});
    writer.write(as_bytes(std::string(static_cast<size_t>(3 * dtype_bytes(dtype)), 'x')));
    writer.commit();
    CHECK(SafetensorsFile(dir / "m").tensors().at(0).dtype == dtype);
  }
  CHECK(dtype_bytes(Dtype::kBF16) == 2);
  CHECK(dtype_bytes(Dtype::kC64) == 8);
  CHECK(dtype_name(Dtype::kF8E4M3) == "F8_E4M3");
}

TEST_CASE("safetensors: tensors come by offset, whatever the header's order") {
  const SafetensorsHeader header = parse(file_of("{" + tensor("late", "U8", "[2]", "[3,5]") + "," + tensor("empty", "U8", "[0]", "[3,3]") + "," + tensor("early", "U8", "[3]", "[0,3]") + "}", 5));
  REQUIRE(header.tensors.size() == 3);
  CHECK(header.tensors[0].name == "early");
  CHECK(header.tensors[1].name == "empty");
  CHECK(header.tensors[2].name == "late");
  CHECK(header.index.at("late") == 2);
}

TEST_CASE("safetensors: a header length that lies is refused") {
  refused("too few for a header", "1234567");
  refused("too few for a header", "");
  refused("does not begin with '{'", with_length(0, ""));
  refused("does not begin with '{'", file_of(" {}"));
  refused("does not begin with '{'", file_of("[]"));
  refused("reaches beyond the file of 10 bytes", with_length(3, "{}"));
  refused("a header of 9223372036854775808 bytes", with_length(uint64_t{1} << 63, "{}"));
  refused("a header of 18446744073709551615 bytes", with_length(~uint64_t{0}, "{}"));
  refused("a header of 100000001 bytes", with_length(100'000'001, "{}"));
}

TEST_CASE("safetensors: JSON of another shape is refused, deep or long as it may be") {
  refused("not JSON: byte 2 of it", file_of("{"));
  refused("not JSON", file_of("{}x"));
  refused("not JSON", file_of("{\"a\":\xff}"));
  refused("not JSON", file_of("{" + tensor("a", "U8", "[1e999]", "[0,1]") + "}", 1));
  refused("holds a number", file_of("{\"a\":1}"));
  refused("holds null", file_of("{\"a\":null}"));
  refused("holds an array", file_of("{\"a\":[]}"));
  refused("holds an object where none belongs (in 'a')", file_of("{\"a\":{\"dtype\":{}}}"));
  refused("holds an array", file_of("{\"a\":{\"shape\":[[1]]}}"));
  refused("holds an array", file_of("{\"a\":{\"dtype\":[]}}"));
  refused("holds a string", file_of("{\"a\":{\"shape\":\"2\"}}"));
  refused("holds a string", file_of("{\"a\":\"x\"}"));
  refused("holds a number", file_of("{\"a\":{\"shape\":2}}"));
  refused("holds a truth value", file_of("{\"a\":{\"shape\":[true]}}"));
  refused("the negative number -1", file_of("{" + tensor("a", "U8", "[-1]", "[0,1]") + "}", 1));
  refused("the number '1.0'", file_of("{" + tensor("a", "U8", "[1.0]", "[0,1]") + "}", 1));
  refused("holds a number", file_of("{\"__metadata__\":{\"k\":1}}"));
  refused("holds an object", file_of("{\"__metadata__\":{\"k\":{}}}"));
  refused("unknown field 'strides'", file_of("{\"a\":{\"strides\":[1]}}"));
  refused("has no 'dtype'", file_of("{\"a\":{\"shape\":[],\"data_offsets\":[0,1]}}", 1));
  refused("has no 'shape'", file_of("{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1));
  refused("has no 'data_offsets'", file_of("{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 1));
  refused("has 1 data_offsets", file_of("{" + tensor("a", "U8", "[]", "[0]") + "}", 1));
  refused("has 3 data_offsets", file_of("{" + tensor("a", "U8", "[]", "[0,1,2]") + "}", 1));
  std::string deep = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) deep += "[";
  refused("holds an array", file_of(deep));
  deep = "{\"a\":{\"shape\":";
  for (int i = 0; i < 1'000'000; ++i) deep += "{\"a\":";
  refused("holds an object", file_of(deep));
}

TEST_CASE("safetensors: duplicates are refused, not resolved in silence") {
  refused("names 'a' twice", file_of("{" + tensor("a", "U8", "[]", "[0,1]") + "," + tensor("a", "U8", "[]", "[1,2]") + "}", 2));
  refused("names 'a' twice", file_of("{" + tensor("a", "U8", "[]", "[0,1]") + "," + tensor("\\u0061", "U8", "[]", "[1,2]") + "}", 2));
  refused("names '__metadata__' twice", file_of("{\"__metadata__\":{},\"__metadata__\":{}}"));
  refused("metadata names 'k' twice", file_of("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}"));
  refused("has the field 'dtype' twice", file_of("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\"}}"));
}

TEST_CASE("safetensors: offsets, shapes and sizes that lie are refused") {
  refused("unknown dtype 'F4'", file_of("{" + tensor("a", "F4", "[2]", "[0,1]") + "}", 1));
  refused("overlaps", file_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[1,3]") + "}", 3));
  refused("overlaps", file_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[0,2]") + "}", 2));
  refused("1 bytes before tensor 'b' belong to none", file_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[1]", "[3,4]") + "}", 4));
  refused("1 bytes before tensor 'a'", file_of("{" + tensor("a", "U8", "[1]", "[1,2]") + "}", 2));
  refused("1 bytes after the last tensor", file_of("{" + tensor("a", "U8", "[1]", "[0,1]") + "}", 2));
  refused("3 bytes after the last tensor", file_of("{}", 3));
  refused("beyond its 1 bytes (a truncated file?)", file_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "}", 1));
  refused("ends at 0, before it begins at 1", file_of("{" + tensor("a", "U8", "[1]", "[1,0]") + "}", 1));
  refused("has 8 bytes, its shape and dtype need 4", file_of("{" + tensor("a", "F32", "[1]", "[0,8]") + "}", 8));
  refused("ends at byte 18446744073709551615", file_of("{" + tensor("a", "U8", "[1]", "[0,18446744073709551615]") + "}", 1));
  refused("the number '18446744073709551616'", file_of("{" + tensor("a", "U8", "[1]", "[0,18446744073709551616]") + "}", 1));
  refused("dimension of 9223372036854775808", file_of("{" + tensor("a", "U8", "[9223372036854775808]", "[0,1]") + "}", 1));
  refused("overflows 63 bits", file_of("{" + tensor("a", "U8", "[4294967296,4294967296]", "[0,0]") + "}"));
  refused("overflows 63 bits", file_of("{" + tensor("a", "U8", "[4294967296,4294967296,0]", "[0,0]") + "}"));
  refused("overflows 63 bits", file_of("{" + tensor("a", "F64", "[2305843009213693952]", "[0,0]") + "}"));
}

TEST_CASE("safetensors: a message shows a hostile name tamely") {
  refused("tensor 'a\\x1b[2J' has the unknown dtype", file_of("{" + tensor("a\\u001b[2J", "X", "[]", "[0,1]") + "}", 1));
  refused("...' has the unknown dtype", file_of("{" + tensor(std::string(5000, 'n'), "X", "[]", "[0,1]") + "}", 1));
}

TEST_CASE("safetensors: errors of a file name it") {
  TempDir dir;
  write_text(dir / "m", "short");
  expect_error(ExitCode::kInput, (dir / "m").string(), [&] { SafetensorsFile file(dir / "m"); });
  expect_error(ExitCode::kInput, (dir / "none").string(), [&] { SafetensorsFile file(dir / "none"); });
}

TEST_CASE("safetensors: a file cut at any byte is refused") {
  const std::string whole = file_of("{" + tensor("a", "U8", "[2]", "[0,2]") + "," + tensor("b", "U8", "[2]", "[2,4]") + "}", 4);
  CHECK(parse(whole).tensors.size() == 2);
  for (size_t size = 0; size < whole.size(); ++size) expect_error(ExitCode::kInput, "", [&] { parse(whole.substr(0, size)); });
}

TEST_CASE("safetensors: writing other than announced is our bug") {
  TempDir dir;
  expect_error(ExitCode::kBug, "two tensors named 'a'", [&] { SafetensorsWriter(dir / "m", {{"a", Dtype::kU8, {1}}, {"a", Dtype::kU8, {1}}}, {}); });
  expect_error(ExitCode::kBug, "__metadata__", [&] { SafetensorsWriter(dir / "m", {{"__metadata__", Dtype::kU8, {1}}}, {}); });
  expect_error(ExitCode::kBug, "impossible shape", [&] { SafetensorsWriter(dir / "m", {{"a", Dtype::kU8, {-1}}}, {}); });
  SafetensorsWriter writer(dir / "m", {{"a", Dtype::kU8, {2}}}, {});
  expect_error(ExitCode::kBug, "has 1 bytes, announced were 2", [&] { writer.write(as_bytes("x")); });
  expect_error(ExitCode::kBug, "1 tensors announced, 0 written", [&] { writer.commit(); });
  writer.write(as_bytes("xy"));
  expect_error(ExitCode::kBug, "more tensors", [&] { writer.write(as_bytes("x")); });
  writer.commit();
}

TEST_CASE("full disk: a safetensors file in the middle of its tensors leaves nothing, and the old one stays") {
  SmallDisk disk(64 << 10);
  if (disk.path().empty()) return skip("mounting a tmpfs is not permitted");
  const std::string tensor_bytes(20'000, 'x');
  const std::vector<TensorSpec> one{{"a", Dtype::kU8, {20'000}}};
  {
    SafetensorsWriter writer(disk.path() / "m", one, {});
    writer.write(as_bytes(tensor_bytes));
    writer.commit();
  }
  expect_error(ExitCode::kMachine, "No space left", [&] {
    SafetensorsWriter writer(disk.path() / "m", {{"a", Dtype::kU8, {20'000}}, {"b", Dtype::kU8, {20'000}}, {"c", Dtype::kU8, {20'000}}}, {});
    for (int i = 0; i < 3; ++i) writer.write(as_bytes(tensor_bytes));
    writer.commit();
  });
  CHECK(disk.num_entries() == 1);
  CHECK(SafetensorsFile(disk.path() / "m").tensors().size() == 1);
}

// Files that the Python library wrote: each loads, and written again in its order comes out byte for byte.
TEST_CASE("safetensors: files of the Python library read and rewrite to the same bytes", "[golden]") {
  const auto folder = golden_folder();
  if (folder.empty()) return skip("no golden folder (FETTLE_GOLDEN)");
  TempDir dir;
  int num_files = 0;
  for (const auto& path : files_below(folder, ".safetensors")) {
    INFO(path);
    const SafetensorsFile file(path);
    std::vector<TensorSpec> specs;
    for (const TensorInfo& info : file.tensors()) specs.push_back({info.name, info.dtype, info.shape});
    SafetensorsWriter writer(dir / "again", specs, file.metadata());
    for (const TensorInfo& info : file.tensors()) writer.write(file.bytes(info));
    writer.commit();
    const MappedFile before(path);
    const MappedFile after(dir / "again");
    CHECK(before.bytes().size() == after.bytes().size());
    CHECK(std::equal(before.bytes().begin(), before.bytes().end(), after.bytes().begin(), after.bytes().end()));
    ++num_files;
  }
  if (num_files == 0) return skip("no .safetensors files in the golden folder");
}
