#include "kernels/byte_conv/byte_conv.h"

#include <catch2/catch.hpp>

#include <memory>
#include <random>
#include <vector>

#include "kernels/byte_conv/byte_conv_variants.h"
#include "tests/kernels/batch_finish_reference.h"

using namespace fettle;
using namespace fettle::kernels;
using test::from_bf16;
using test::round_to_bf16;

namespace {

struct Files {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> byte_offsets{0}, token_offsets{0};

  void add(int64_t length, int64_t tokens, std::mt19937& generator) {
    for (int64_t i = 0; i < length; ++i) bytes.push_back(static_cast<uint8_t>(generator()));
    byte_offsets.push_back(byte_offsets.back() + length);
    token_offsets.push_back(token_offsets.back() + tokens);
  }
  ByteConvShape shape(int64_t kernel, int64_t stride, int64_t width) const {
    return {.files = static_cast<int64_t>(byte_offsets.size()) - 1, .bytes = bytes.data(), .byte_offsets = byte_offsets.data(), .token_offsets = token_offsets.data(),
            .kernel = kernel, .stride = stride, .width = width};
  }
  int64_t tokens() const { return token_offsets.back(); }
};

std::vector<float> numbers(size_t count, std::mt19937& generator) {
  std::normal_distribution<float> normal;
  std::vector<float> values(count);
  for (float& value : values) value = normal(generator);
  return values;
}

std::vector<uint16_t> as_bf16(const std::vector<float>& values) {
  std::vector<uint16_t> rounded;
  for (const float value : values) rounded.push_back(round_to_bf16(value));
  return rounded;
}

std::vector<float> widened(const std::vector<uint16_t>& values) {
  std::vector<float> all;
  for (const uint16_t value : values) all.push_back(from_bf16(value));
  return all;
}

// f(file, token, row, tap, byte) for every byte that a token sees, in the header's order of additions.
template <class F>
void each_byte(const ByteConvShape& s, const F& f) {
  for (int64_t file = 0; file < s.files; ++file) {
    const int64_t length = s.byte_offsets[file + 1] - s.byte_offsets[file];
    for (int64_t row = s.token_offsets[file]; row < s.token_offsets[file + 1]; ++row) {
      const int64_t token = row - s.token_offsets[file];
      for (int64_t j = 0; j < s.kernel && token * s.stride + j < length; ++j) f(file, token, row, j, s.bytes[s.byte_offsets[file] + token * s.stride + j]);
    }
  }
}

std::vector<float> plain_forward(const ByteConvShape& s, const std::vector<float>& table, const std::vector<float>& positions) {
  const auto width = static_cast<size_t>(s.width);
  std::vector<float> y(static_cast<size_t>(s.token_offsets[s.files]) * width);
  each_byte(s, [&](int64_t, int64_t, int64_t row, int64_t tap, uint8_t byte) {
    for (size_t c = 0; c < width; ++c) y[static_cast<size_t>(row) * width + c] += table[static_cast<size_t>(byte * s.kernel + tap) * width + c];
  });
  for (int64_t file = 0; file < s.files && !positions.empty(); ++file) {
    for (int64_t row = s.token_offsets[file]; row < s.token_offsets[file + 1]; ++row) {
      for (size_t c = 0; c < width; ++c) y[static_cast<size_t>(row) * width + c] += positions[static_cast<size_t>(row - s.token_offsets[file]) * width + c];
    }
  }
  return y;
}

std::vector<float> plain_backward(const ByteConvShape& s, const std::vector<float>& dy) {
  const auto width = static_cast<size_t>(s.width);
  std::vector<float> dtable(static_cast<size_t>(s.kernel) * 256 * width);
  each_byte(s, [&](int64_t, int64_t, int64_t row, int64_t tap, uint8_t byte) {
    for (size_t c = 0; c < width; ++c) dtable[static_cast<size_t>(byte * s.kernel + tap) * width + c] += dy[static_cast<size_t>(row) * width + c];
  });
  return dtable;
}

// Exactly as much as is asked for, so that the address sanitizer sees what goes beyond.
using Workspace = std::unique_ptr<float[]>;
Workspace workspace_of(const ByteConvShape& shape) { return std::make_unique<float[]>(static_cast<size_t>(byte_conv_workspace({}, shape))); }

void require_ok(Status status) {
  INFO(status_text(status));
  REQUIRE(status == Status::kOk);
}

void check_all(const Files& files, int64_t kernel, int64_t stride, int64_t width, std::mt19937& generator) {
  ByteConvShape shape = files.shape(kernel, stride, width);
  INFO("kernel " << kernel << ", stride " << stride << ", width " << width << ", tokens " << files.tokens());
  const auto values = static_cast<size_t>(files.tokens() * width);
  const std::vector<float> table = numbers(static_cast<size_t>(kernel * 256 * width), generator);
  const std::vector<float> positions = numbers(values, generator);  // more rows than any file needs
  const std::vector<float> dy = numbers(values, generator);
  const std::vector<uint16_t> small_dy = as_bf16(dy);
  const std::vector<float> want = plain_forward(shape, table, {}), want_placed = plain_forward(shape, table, positions);
  const std::vector<float> want_dtable = plain_backward(shape, dy), want_small_dtable = plain_backward(shape, widened(small_dy));
  for (const int threads : {1, 3}) {
    shape.num_threads = threads;
    std::vector<float> y(values, 7.0F), dtable(table.size(), 7.0F);
    std::vector<uint16_t> small_y(values, 7);
    const Workspace workspace = workspace_of(shape);
    require_ok(byte_conv_forward({}, shape, {.table = table.data(), .y = y.data(), .workspace = workspace.get()}, {}));
    CHECK(y == want);
    require_ok(byte_conv_forward({}, shape, {.table = table.data(), .positions = positions.data(), .y = small_y.data(), .y_dtype = DType::kBF16, .workspace = workspace.get()}, {}));
    CHECK(small_y == as_bf16(want_placed));
    require_ok(byte_conv_backward({}, shape, {.dy = dy.data(), .dtable = dtable.data(), .workspace = workspace.get()}, {}));
    CHECK(dtable == want_dtable);
    require_ok(byte_conv_backward({}, shape, {.dy = small_dy.data(), .dy_dtype = DType::kBF16, .dtable = dtable.data(), .workspace = workspace.get()}, {}));
    CHECK(dtable == want_small_dtable);
  }
}

}  // namespace

TEST_CASE("byte_conv: a hand-worked file") {
  // Two taps, width 1; table[v][j] = v + 1000 j. Bytes 1 2 3, stride 1: the last token sees one byte.
  std::vector<float> table(512);
  for (size_t v = 0; v < 256; ++v) table[2 * v] = static_cast<float>(v), table[2 * v + 1] = static_cast<float>(1000 + v);
  const std::vector<uint8_t> bytes = {1, 2, 3, 2};
  const std::vector<int64_t> byte_offsets = {0, 3, 4}, token_offsets = {0, 4, 5};
  const ByteConvShape shape{.files = 2, .bytes = bytes.data(), .byte_offsets = byte_offsets.data(), .token_offsets = token_offsets.data(), .kernel = 2, .stride = 1, .width = 1};
  const std::vector<float> positions = {0.5F, 0.25F, 0, 0.125F};
  std::vector<float> y(5);
  const Workspace workspace = workspace_of(shape);
  require_ok(byte_conv_forward({}, shape, {.table = table.data(), .positions = positions.data(), .y = y.data(), .workspace = workspace.get()}, {}));
  CHECK(y == std::vector<float>{1003.5F, 1005.25F, 3, 0.125F, 2.5F});  // 1 + 1002, 2 + 1003, 3, beyond the file, the second file
  const std::vector<float> dy = {1, 10, 100, 1000, 10000};
  std::vector<float> dtable(512, -1);
  require_ok(byte_conv_backward({}, shape, {.dy = dy.data(), .dtable = dtable.data(), .workspace = workspace.get()}, {}));
  std::vector<float> want(512);
  want[2 * 1] = 1, want[2 * 2] = 10 + 10000, want[2 * 3] = 100, want[2 * 2 + 1] = 1, want[2 * 3 + 1] = 10;
  CHECK(dtable == want);
}

TEST_CASE("byte_conv: every number has the bits of the plain loops, for any threads") {
  std::mt19937 generator(3);
  for (const int64_t width : {1, 3, 15, 16, 31, 33, 47, 48, 50, 96, 192, 200}) {
    Files files;
    for (const int64_t length : {0, 1, 7, 200, 33}) files.add(length, (length + 3) / 4, generator);
    files.add(40, 60, generator);  // most of them beyond the file
    files.add(1000, 3, generator);  // fewer than there could be
    check_all(files, 8, 4, width, generator);
  }
  for (const int64_t kernel : {1, 2, 5, 32}) {
    Files files;
    files.add(3001, 3001 / std::max<int64_t>(1, kernel / 2), generator);
    check_all(files, kernel, std::max<int64_t>(1, kernel / 2), 64, generator);
    check_all(files, kernel, kernel + 2, 20, generator);
  }
  {  // more rows than one run of the backward pass, with files' ends about the run's
    Files files;
    for (const int64_t length : {8189, 3, 9000, 0, 5}) files.add(length, (length + 1) / 2, generator);
    check_all(files, 4, 2, 5, generator);
    check_all(files, 7, 2, 3, generator);
  }
  {  // one row each; one byte fills most of the file
    Files files;
    for (int i = 0; i < 3000; ++i) files.add(3, 2, generator);
    check_all(files, 4, 2, 2, generator);
    Files alike;
    alike.add(40000, 9999, generator);
    for (size_t i = 0; i < alike.bytes.size(); ++i) alike.bytes[i] = i % 5 == 0 ? alike.bytes[i] : 0xff;
    check_all(alike, 8, 4, 33, generator);
  }
  Files none;
  check_all(none, 4, 2, 16, generator);
  none.add(0, 0, generator);
  check_all(none, 4, 2, 16, generator);
}

TEST_CASE("byte_conv: what it cannot do it says") {
  std::mt19937 generator(4);
  Files files;
  files.add(16, 4, generator);
  const ByteConvShape good = files.shape(4, 2, 8);
  std::vector<float> table(4 * 256 * 8), y(4 * 8);
  const Workspace workspace = workspace_of(good);
  const ByteConvForward forward{.table = table.data(), .y = y.data(), .workspace = workspace.get()};
  const auto with = [&](auto change) {
    ByteConvShape shape = good;
    change(shape);
    return byte_conv_forward({}, shape, forward, {});
  };
  CHECK(with([](ByteConvShape&) {}) == Status::kOk);
  CHECK(with([](ByteConvShape& s) { s.kernel = 0; }) == Status::kBadSize);
  CHECK(with([](ByteConvShape& s) { s.kernel = kByteConvMaxKernel + 1; }) == Status::kBadSize);
  CHECK(with([](ByteConvShape& s) { s.stride = 0; }) == Status::kBadSize);
  CHECK(with([](ByteConvShape& s) { s.stride = INT64_MAX; }) == Status::kBadSize);
  CHECK(with([](ByteConvShape& s) { s.width = INT64_MAX / 512; }) == Status::kBadSize);
  CHECK(with([](ByteConvShape& s) { s.num_threads = -1; }) == Status::kBadSize);
  CHECK(with([](ByteConvShape& s) { s.bytes = nullptr; }) == Status::kNullPointer);
  CHECK(with([](ByteConvShape& s) { s.byte_offsets = nullptr; }) == Status::kNullPointer);
  const std::vector<int64_t> descending = {0, -1}, late = {1, 4};
  CHECK(with([&](ByteConvShape& s) { s.token_offsets = descending.data(); }) == Status::kBadSize);
  CHECK(with([&](ByteConvShape& s) { s.byte_offsets = late.data(); }) == Status::kBadSize);
  CHECK(byte_conv_forward({}, good, {.y = y.data(), .workspace = workspace.get()}, {}) == Status::kNullPointer);
  CHECK(byte_conv_forward({}, good, {.table = table.data(), .y = y.data()}, {}) == Status::kNullPointer);
  CHECK(byte_conv_backward({}, good, {.dy = y.data(), .dtable = table.data()}, {}) == Status::kNullPointer);
  CHECK(byte_conv_forward({}, good, {.table = table.data(), .y = y.data(), .y_dtype = DType::kF64}, {}) == Status::kBadDType);
  CHECK(byte_conv_forward({.kind = DeviceKind::kCuda}, good, forward, {}) == Status::kNoCudaModule);
  CHECK(byte_conv_backward({}, good, {.dy = y.data()}, {}) == Status::kNullPointer);
  CHECK(byte_conv_backward({}, good, {.dy = y.data(), .dy_dtype = DType::kF64, .dtable = table.data()}, {}) == Status::kBadDType);
}
