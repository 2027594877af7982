#pragma once
// The passes of byte_conv on one thread; one source for all instruction sets.

#include "kernels/byte_conv/byte_conv_variants.h"
#include "kernels/support/vectors.h"

namespace fettle::kernels {
namespace {

constexpr int64_t kValues = 256;  // of a byte

// Calls f(bytes of the token, how many there are up to `kernel`, the token's row, its index in its file) for tokens [first, last).
template <class F>
inline void each_token(const ByteConvShape& s, int64_t first, int64_t last, const F& f) {
  int64_t file = 0, above = s.files;  // the file of the first token: the last one that begins at or before it
  while (above - file > 1) {
    const int64_t middle = file + (above - file) / 2;
    if (s.token_offsets[middle] <= first) file = middle; else above = middle;
  }
  for (int64_t row = first; row < last; ++row) {
    while (row >= s.token_offsets[file + 1]) ++file;
    const int64_t token = row - s.token_offsets[file], length = s.byte_offsets[file + 1] - s.byte_offsets[file];
    const int64_t begin = token * s.stride, left = begin < length ? length - begin : 0;
    f(s.bytes + s.byte_offsets[file] + (left > 0 ? begin : 0), left < s.kernel ? left : s.kernel, row, token);
  }
}

// kVectors vectors V of a row at a time, held in registers. `table`: that of the cut from this column of it on, whose rows are `pitch` apart.
template <class V, int kVectors, class Y>
inline void sum_rows(const ByteConvShape& s, const ByteConvForward& a, const float* table, int64_t pitch, int64_t first, int64_t last, int64_t column) {
  constexpr int64_t kStep = sizeof(V) / sizeof(float);
  each_token(s, first, last, [&](const uint8_t* x, int64_t taps, int64_t row, int64_t token) {
    V sum[kVectors] = {};
    const float* base = table;
    for (int64_t j = 0; j < taps; ++j, base += kValues * pitch) {
      const float* from = base + x[j] * pitch;
      for (int i = 0; i < kVectors; ++i) sum[i] += value_at<V>(from + i * kStep);
    }
    if (a.positions != nullptr) {
      for (int i = 0; i < kVectors; ++i) sum[i] += value_at<V>(a.positions + token * s.width + column + i * kStep);
    }
    Y* const to = static_cast<Y*>(a.y) + row * s.width + column;
    for (int i = 0; i < kVectors; ++i) store(to + i * kStep, sum[i]);
  });
}

// The columns of a cut: all in one pass over the tokens, or where they are fewer by vectors and single floats.
template <class Y>
void forward_as(const ByteConvShape& s, const ByteConvForward& a, const float* table, int64_t first, int64_t last, int64_t column, int64_t columns) {
  if (columns == kByteConvColumns) return sum_rows<Floats, kByteConvColumns / kLanes, Y>(s, a, table, kByteConvColumns, first, last, column);
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) sum_rows<Floats, 1, Y>(s, a, table + c, columns, first, last, column + c);
  for (; c < columns; ++c) sum_rows<float, 1, Y>(s, a, table + c, columns, first, last, column + c);
}

template <class Y>
void pack_as(const Y* from, int64_t width, int64_t rows, int64_t columns, float* packed) {
  for (int64_t row = 0; row < rows; ++row, from += width, packed += kByteConvColumns) {
    int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) store(packed + c, value_at<Floats>(from + c));
    for (; c < columns; ++c) store(packed + c, value_at<float>(from + c));
    for (; c < kByteConvColumns; ++c) packed[c] = 0;
  }
}

// The columns of a row of the gradient in registers.
struct Cells {
  static constexpr int kVectors = kByteConvColumns / kLanes;
  Floats sum[kVectors];

  inline void read(const float* from, int64_t columns) {
    if (columns == kByteConvColumns) {
      for (int i = 0; i < kVectors; ++i) load(from + i * kLanes, sum[i]);
    } else {
      float values[kByteConvColumns] = {};
      for (int64_t c = 0; c < columns; ++c) values[c] = from[c];
      memcpy(sum, values, sizeof values);
    }
  }
  inline void add(const float* row) {
    for (int i = 0; i < kVectors; ++i) sum[i] += value_at<Floats>(row + i * kLanes);
  }
  inline void write(float* to, int64_t columns) const {
    if (columns == kByteConvColumns) {
      for (int i = 0; i < kVectors; ++i) store(to + i * kLanes, sum[i]);
    } else {
      float values[kByteConvColumns];
      memcpy(values, sum, sizeof values);
      for (int64_t c = 0; c < columns; ++c) to[c] = values[c];
    }
  }
};

template <bool kPair>
void add_lists_as(const ByteConvLists& lists, float* to, float* before, int64_t stride, int64_t columns) {
  for (int v = 0; v < 256; ++v) {
    const uint16_t *entry = lists.order + lists.starts[v], *const end = lists.order + lists.starts[v + 1];
    if (entry == end) continue;
    Cells cells, cells_before;
    cells.read(to + v * stride, columns);
    if constexpr (kPair) cells_before.read(before + v * stride, columns);
    for (; entry != end; ++entry) {
      const float* const row = lists.packed + *entry * kByteConvColumns;
      cells.add(row);
      if constexpr (kPair) cells_before.add(row - kByteConvColumns);
    }
    cells.write(to + v * stride, columns);
    if constexpr (kPair) cells_before.write(before + v * stride, columns);
  }
}

void forward(const ByteConvShape& s, const ByteConvForward& a, const float* packed, int64_t first, int64_t last, int64_t column, int64_t columns) {
  (a.y_dtype == DType::kF32 ? forward_as<float> : forward_as<uint16_t>)(s, a, packed, first, last, column, columns);
}

void pack(const ByteConvShape& s, const ByteConvBackward& a, int64_t row, int64_t rows, int64_t column, int64_t columns, float* packed) {
  const int64_t at = row * s.width + column;
  a.dy_dtype == DType::kF32 ? pack_as(static_cast<const float*>(a.dy) + at, s.width, rows, columns, packed)
                            : pack_as(static_cast<const uint16_t*>(a.dy) + at, s.width, rows, columns, packed);
}

void add_lists(const ByteConvLists& lists, float* to, float* before, int64_t stride, int64_t columns) {
  (before == nullptr ? add_lists_as<false> : add_lists_as<true>)(lists, to, before, stride, columns);
}

constexpr ByteConvVariant kVariant = {forward, pack, add_lists};

}  // namespace
}  // namespace fettle::kernels
