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

template <class V, int kVectors, class Y>
inline void scatter_rows(const ByteConvShape& s, const Y* dy, float* table, int64_t pitch, int64_t tap, int64_t tap_end) {
  constexpr int64_t kStep = sizeof(V) / sizeof(float);
  each_token(s, 0, s.token_offsets[s.files], [&](const uint8_t* x, int64_t taps, int64_t row, int64_t) {
    const Y* const from = dy + row * s.width;
    V added[kVectors];
    for (int i = 0; i < kVectors; ++i) added[i] = value_at<V>(from + i * kStep);
    const int64_t end = taps < tap_end ? taps : tap_end;
    float* base = table;
    for (int64_t j = tap; j < end; ++j, base += kValues * pitch) {
      float* const to = base + x[j] * pitch;
      for (int i = 0; i < kVectors; ++i) store(to + i * kStep, value_at<V>(to + i * kStep) + added[i]);
    }
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
void backward_as(const ByteConvShape& s, const ByteConvBackward& a, float* table, int64_t tap, int64_t tap_end, int64_t column, int64_t columns) {
  const Y* const dy = static_cast<const Y*>(a.dy) + column;
  if (columns == kByteConvColumns) return scatter_rows<Floats, kByteConvColumns / kLanes, Y>(s, dy, table, kByteConvColumns, tap, tap_end);
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) scatter_rows<Floats, 1, Y>(s, dy + c, table + c, columns, tap, tap_end);
  for (; c < columns; ++c) scatter_rows<float, 1, Y>(s, dy + c, table + c, columns, tap, tap_end);
}

void forward(const ByteConvShape& s, const ByteConvForward& a, const float* packed, int64_t first, int64_t last, int64_t column, int64_t columns) {
  (a.y_dtype == DType::kF32 ? forward_as<float> : forward_as<uint16_t>)(s, a, packed, first, last, column, columns);
}

void backward(const ByteConvShape& s, const ByteConvBackward& a, float* packed, int64_t tap, int64_t tap_end, int64_t column, int64_t columns) {
  (a.dy_dtype == DType::kF32 ? backward_as<float> : backward_as<uint16_t>)(s, a, packed, tap, tap_end, column, columns);
}

constexpr ByteConvVariant kVariant = {forward, backward};

}  // namespace
}  // namespace fettle::kernels
