#include "kernels/byte_conv/byte_conv_rows.h"

#include <algorithm>

namespace fettle::kernels {
namespace {

constexpr int64_t kRunRows = 4096;  // numbers of packed rows, with the M - 1 before them, fit 16 bits
static_assert(kRunRows + kByteConvMaxKernel < 65536);

int64_t divided_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t aligned(int64_t bytes) { return divided_up(bytes, 64) * 64; }
int64_t rows_before_a_file(const ByteConvShape& s) { return divided_up(s.kernel, s.stride) - 1; }

}  // namespace

ByteConvScratch::ByteConvScratch(const ByteConvShape& s, int64_t threads) {
  const int64_t tokens = s.token_offsets[s.files], early = rows_before_a_file(s);
  const int64_t rows = tokens + 2 * early * std::min(s.files, tokens), runs = divided_up(rows, kRunRows);  // at most
  places = std::min(s.kernel, s.stride);
  packed_rows = std::min(rows, kRunRows) + early;
  order_at = aligned((s.files + 1) * static_cast<int64_t>(sizeof(int64_t)));
  starts_at = order_at + aligned(places * rows * static_cast<int64_t>(sizeof(uint16_t)));
  packed_at = starts_at + aligned(places * runs * 257 * static_cast<int64_t>(sizeof(uint16_t)));
  bytes = packed_at + threads * packed_rows * kByteConvColumns * static_cast<int64_t>(sizeof(float));
}

ByteConvRows::ByteConvRows(const ByteConvShape& shape, int64_t* offsets) : shape_(shape), offsets_(offsets), early_(rows_before_a_file(shape)) {
  offsets_[0] = 0;
  for (int64_t file = 0; file < shape.files; ++file) {
    const int64_t rows = tokens(file) == 0 ? 0 : std::min(tokens(file) + early_, divided_up(length(file), shape.stride));
    offsets_[file + 1] = offsets_[file] + (rows == 0 ? 0 : rows + early_);
  }
}

int64_t ByteConvRows::runs() const { return divided_up(count(), kRunRows); }
int64_t ByteConvRows::run_begin(int64_t run) const { return run * kRunRows; }
int64_t ByteConvRows::run_end(int64_t run) const { return std::min(count(), (run + 1) * kRunRows); }

// f(file, first, last) for the files of rows [begin, end), with rows counted within the file: its first M - 1 are negative.
template <class F>
void ByteConvRows::over_files(int64_t begin, int64_t end, const F& f) const {
  int64_t file = std::upper_bound(offsets_, offsets_ + shape_.files + 1, begin) - offsets_ - 1;
  for (int64_t row = begin; row < end; ++file) {
    const int64_t last = std::min(end, offsets_[file + 1]), zero = offsets_[file] + early_;
    if (row < last) f(file, row - zero, last - zero);
    row = std::max(row, last);
  }
}

void ByteConvRows::sort(int64_t run, int64_t place, uint16_t* order, uint16_t* starts) const {
  uint8_t bytes[kRunRows];
  uint16_t rows[kRunRows], next[256] = {};
  int64_t count = 0, packed = early_;
  over_files(run_begin(run), run_end(run), [&](int64_t file, int64_t first, int64_t last) {
    const int64_t from = std::max<int64_t>(first, 0), to = std::min(last, divided_up(length(file) - place, shape_.stride));
    const uint8_t* const x = shape_.bytes + shape_.byte_offsets[file] + place;
    for (int64_t row = from; row < to; ++row, ++count) {
      bytes[count] = x[row * shape_.stride];
      rows[count] = static_cast<uint16_t>(packed + row - first);
      ++next[bytes[count]];
    }
    packed += last - first;
  });
  uint16_t total = 0;
  for (int v = 0; v < 256; ++v) {
    const uint16_t own = next[v];
    starts[v] = next[v] = total;
    total = static_cast<uint16_t>(total + own);
  }
  starts[256] = total;
  for (int64_t i = 0; i < count; ++i) order[next[bytes[i]]++] = rows[i];
}

void ByteConvRows::pack(int64_t run, const ByteConvBackward& args, const ByteConvVariant& variant, int64_t column, int64_t columns, float* packed) const {
  const auto zeros = [&](int64_t count) {
    std::fill_n(packed, count * kByteConvColumns, 0.0F);
    packed += count * kByteConvColumns;
  };
  const int64_t begin = run_begin(run) - early_;
  zeros(std::max<int64_t>(0, -begin));
  over_files(std::max<int64_t>(0, begin), run_end(run), [&](int64_t file, int64_t first, int64_t last) {
    const int64_t from = std::clamp<int64_t>(0, first, last), to = std::clamp(tokens(file), from, last);
    zeros(from - first);
    if (from < to) variant.pack(shape_, args, shape_.token_offsets[file] + from, to - from, column, columns, packed);
    packed += (to - from) * kByteConvColumns;
    zeros(last - to);
  });
}

}  // namespace fettle::kernels
