#include "io/torch_file.h"

#include <catch2/catch.hpp>

#include <cstring>

#include "base/text.h"
#include "io/file.h"
#include "io/pickle.h"
#include "io/zip.h"
#include "tests/support/expect_error.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;
using namespace std::string_literals;

namespace {

std::filesystem::path fixture(const std::string& name) { return source_folder() / "tests/libcommon/io/torch_files" / name; }

std::string contents(const std::string& name) { return read_file(fixture(name), 1 << 20); }

std::span<const uint8_t> as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

void refused(const std::string& part, const std::string& file) {
  expect_error(ExitCode::kInput, part, [&] { index_torch_file(as_bytes(file), "'f'"); });
}

template <typename T>
std::vector<T> elements(const TorchFile& file, const TorchTensor& tensor) {
  std::vector<T> values((tensor.end - tensor.begin) / sizeof(T));
  std::memcpy(values.data(), file.bytes(tensor).data(), values.size() * sizeof(T));
  return values;
}

const TorchTensor& named(const TorchFile& file, const std::string& name) {
  for (const TorchTensor& tensor : file.tensors()) {
    if (tensor.name == name) return tensor;
  }
  FAIL("no tensor " << name);
  return file.tensors()[0];
}

// A pickle of protocol 2 with this body.
std::string pickle(const std::string& body) { return "\x80\x02"s + body + "."; }

void pickle_refused(const std::string& part, const std::string& body) {
  INFO(quote(body, 300));
  expect_error(ExitCode::kInput, part, [&] { read_pickle(as_bytes(pickle(body)), "'p'"); });
}

}  // namespace

TEST_CASE("torch file: what PyTorch wrote is found, in every format") {
  const auto& [name, key] = GENERATE(table<std::string, std::string>({{"state_dict.pt", ""}, {"checkpoint.pt", "state_dict"}, {"state_dict_legacy.pt", ""}, {"protocol4.pt", ""}}));
  INFO(name);
  const TorchFile file(fixture(name));
  CHECK(file.key() == key);
  REQUIRE(file.tensors().size() == 11);
  std::vector<std::string> names;
  for (const TorchTensor& tensor : file.tensors()) names.push_back(tensor.name);
  CHECK(names == std::vector<std::string>{"whole", "transposed", "part", "parameter", "half", "bfloat", "count", "flags", "empty", "bytes", "ключ"});

  const TorchTensor& whole = named(file, "whole");
  CHECK(whole.dtype == Dtype::kF32);
  CHECK(whole.shape == std::vector<int64_t>{4, 6});
  CHECK(whole.strides == std::vector<int64_t>{6, 1});
  const std::vector<float> values = elements<float>(file, whole);
  REQUIRE(values.size() == 24);
  for (size_t i = 0; i < values.size(); ++i) CHECK(values[i] == static_cast<float>(i));

  const TorchTensor& transposed = named(file, "transposed");
  CHECK(transposed.shape == std::vector<int64_t>{6, 4});
  CHECK(transposed.strides == std::vector<int64_t>{1, 6});
  CHECK((transposed.begin == whole.begin && transposed.end == whole.end));

  // Rows 1 and 2, columns 2 and 3: from element 8 to element 15.
  const TorchTensor& part = named(file, "part");
  CHECK(part.shape == std::vector<int64_t>{2, 2});
  CHECK(part.strides == std::vector<int64_t>{6, 1});
  CHECK(part.begin == whole.begin + 8 * sizeof(float));
  CHECK(elements<float>(file, part) == std::vector<float>{8, 9, 10, 11, 12, 13, 14, 15});

  CHECK(elements<float>(file, named(file, "parameter")) == std::vector<float>{1.5f, -2.25f});
  CHECK(named(file, "half").dtype == Dtype::kF16);
  CHECK(elements<uint16_t>(file, named(file, "half")) == std::vector<uint16_t>{0x3800, 0x7bff});
  CHECK(named(file, "bfloat").dtype == Dtype::kBF16);
  CHECK(elements<uint16_t>(file, named(file, "bfloat")) == std::vector<uint16_t>{0x3f80, 0xc040});
  CHECK(named(file, "count").shape.empty());
  CHECK(elements<int64_t>(file, named(file, "count")) == std::vector<int64_t>{7});
  CHECK(named(file, "flags").dtype == Dtype::kBool);
  CHECK(elements<uint8_t>(file, named(file, "flags")) == std::vector<uint8_t>{1, 0, 1});
  CHECK(named(file, "empty").shape == std::vector<int64_t>{0, 3});
  CHECK(file.bytes(named(file, "empty")).empty());
  CHECK(elements<uint8_t>(file, named(file, "bytes")) == std::vector<uint8_t>{0, 255});
  CHECK(elements<double>(file, named(file, "ключ")) == std::vector<double>{2});
}

TEST_CASE("torch file: published weights in the legacy format are read") {
  const std::filesystem::path folder = data_folder() / "weights" / "cifar10_resnet";
  if (!std::filesystem::is_directory(folder)) return skip("no CIFAR-10 weights");
  for (const std::filesystem::path& path : files_below(folder, ".th")) {
    INFO(path.string());
    const TorchFile file(path);
    CHECK(file.key() == "state_dict");
    CHECK(named(file, "module.conv1.weight").shape == std::vector<int64_t>{16, 3, 3, 3});
    CHECK(named(file, "module.linear.bias").shape == std::vector<int64_t>{10});
  }
}

TEST_CASE("torch file: what would run code, holds no weights or is something else is refused by name") {
  expect_error(ExitCode::kInput, "asks for 'argparse.Namespace', and nothing is called", [] { TorchFile(fixture("namespace.pt")); });
  expect_error(ExitCode::kInput, "is a TorchScript program, expected weights", [] { TorchFile(fixture("script.pt")); });
  refused("begins neither as its ZIP nor as its legacy format", "{}");
  refused("begins neither as its ZIP nor as its legacy format", "");
  // posix.system("id"), as an attack would have it.
  pickle_refused("asks for 'posix.system'", "cposix\nsystem\nX\x02\x00\x00\x00id\x85R"s);
  pickle_refused("asks for 'builtins.eval'", "X\x08\x00\x00\x00" "builtinsX\x04\x00\x00\x00" "eval\x93"s);
}

TEST_CASE("torch file: one that is cut short anywhere is refused, or as good as whole") {
  for (const std::string name : {"state_dict.pt", "state_dict_legacy.pt"}) {
    const std::string file = contents(name);
    for (size_t size = 0; size < file.size(); ++size) {
      INFO(name << " cut to " << size);
      refused("'f' ", file.substr(0, size));
    }
  }
}

TEST_CASE("torch file: a changed byte never reads beyond the file, and in a storage is noticed") {
  for (const std::string name : {"state_dict.pt", "state_dict_legacy.pt"}) {
    const std::string file = contents(name);
    for (size_t at = 0; at < file.size(); ++at) {
      for (const char change : {'\x01', '\x80', '\xff'}) {
        std::string changed = file;
        changed[at] = static_cast<char>(changed[at] ^ change);
        try {
          for (const TorchTensor& tensor : index_torch_file(as_bytes(changed), "'f'").tensors) REQUIRE((tensor.begin <= tensor.end && tensor.end <= file.size()));
        } catch (const Error& error) {
          REQUIRE(error.code() == ExitCode::kInput);
        }
      }
    }
  }
  const TorchFile file(fixture("state_dict.pt"));
  std::string changed = contents("state_dict.pt");
  changed[named(file, "whole").begin] ^= 1;
  refused("is damaged: the checksum of 'state_dict/data/0' is wrong", changed);
}

TEST_CASE("zip: what torch.save does not write is refused by name") {
  const std::string file = contents("state_dict.pt");
  const size_t end = file.rfind("PK\x05\x06"s), directory = file.find("PK\x01\x02"s);
  const auto with = [&](size_t at, const std::string& bytes) { return file.substr(0, at) + bytes + file.substr(at + bytes.size()); };
  const auto zip_refused = [](const std::string& part, const std::string& bytes) { expect_error(ExitCode::kInput, part, [&] { index_zip(as_bytes(bytes), "'z'"); }); };
  REQUIRE_NOTHROW(index_zip(as_bytes(file), "'z'"));
  zip_refused("it has no end record", file.substr(0, end));
  zip_refused("several disks", with(end + 4, "\x01"s));
  zip_refused("its directory reaches beyond its end", with(end + 16, "\xff\xff\xff\x7f"s));
  refused("'state_dict/data.pkl' is compressed", with(directory + 10, "\x08"s));
  zip_refused("is encrypted", with(directory + 8, "\x01"s));
  zip_refused("claims two sizes", with(directory + 20, "\x01\x00\x00\x00"s));
  zip_refused("is not where the directory says", with(directory + 42, "\x01\x00\x00\x00"s));
  zip_refused("directory ends early", with(end + 10, "\x10\x00"s));
  std::string longer = with(directory + 20, "\xff\xff\xff\x00"s);
  zip_refused("reaches beyond the archive's data", longer.replace(directory + 24, 4, "\xff\xff\xff\x00"s));
}

TEST_CASE("pickle: malformed ones are refused in one sentence") {
  pickle_refused("its stack is empty", "");
  pickle_refused("its stack is empty", "0");
  pickle_refused("a mark is missing", "t");
  pickle_refused("nothing is memorised as 7", "h\x07"s);
  pickle_refused("opcode 0x69", "i");  // INST
  pickle_refused("expected a list to append to", "}Na");
  pickle_refused("a key has no value", "}(Nu");
  pickle_refused("expected a function", "N)R");
  pickle_refused("expected a function's arguments", "ccollections\nOrderedDict\nNR");
  pickle_refused("cannot be called", "ctorch\nFloatStorage\n)R");
  pickle_refused("a persistent id is no storage", ")Q");
  pickle_refused("a text is not UTF-8", "X\x01\x00\x00\x00\xff"s);
  pickle_refused("it ends early", "X\xff\xff\xff\xff"s);
  pickle_refused("it ends early", "\x8d\xff\xff\xff\xff\xff\xff\xff\xff"s);
  expect_error(ExitCode::kInput, "of protocol 1", [] { read_pickle(as_bytes("\x80\x01N."), "'p'"); });
  expect_error(ExitCode::kInput, "it does not begin", [] { read_pickle(as_bytes("(dp0\n."), "'p'"); });
  // Lists that hold themselves are legal and lead nowhere.
  const std::string circle = pickle("]q\x01h\x01"s + "a");
  CHECK(std::holds_alternative<PickleList>(read_pickle(as_bytes(circle), "'p'").values[0]));
  // Integers of any length; negative ones.
  const std::string small = pickle("\x8a\x02\xff\xff"s);
  CHECK(std::get<int64_t>(read_pickle(as_bytes(small), "'p'").values[0]) == -1);
  const std::string large = pickle("\x8a\x09" "123456789"s);
  CHECK(std::holds_alternative<PickleOther>(read_pickle(as_bytes(large), "'p'").values[0]));
}

TEST_CASE("pickle: a short file that would grow without end is refused") {
  // OrderedDict of a list of pairs, again and again.
  std::string body = "ccollections\nOrderedDict\nq\x00]q\x01("s;
  for (int i = 0; i < 4000; ++i) body += "NN\x86"s;
  body += "e0h\x01\x85q\x02"s;
  for (int i = 0; i < 4000; ++i) body += "h\x00h\x02R0"s;
  pickle_refused("it holds more than 5000000 values", body);
}
