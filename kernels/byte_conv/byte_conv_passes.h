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

// kVectors vectors V of a row at a time, held in registers.
template <class V, int kVectors, class T, class Y>
inline void sum_rows(const ByteConvShape& s, const ByteConvForward& a, int64_t first, int64_t last, int64_t column) {
  constexpr int64_t kStep = sizeof(V) / sizeof(float);
  const T* const table = static_cast<const T*>(a.table) + column;
  each_token(s, first, last, [&](const uint8_t* x, int64_t taps, int64_t row, int64_t token) {
    V sum[kVectors] = {};
    const T* base = table;
    for (int64_t j = 0; j < taps; ++j, base += kValues * s.width) {
      const T* from = base + x[j] * s.width;
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
inline void scatter_rows(const ByteConvShape& s, const ByteConvBackward& a, int64_t tap, int64_t tap_end, int64_t column) {
  constexpr int64_t kStep = sizeof(V) / sizeof(float);
  float* const table = a.dtable + tap * kValues * s.width + column;
  each_token(s, 0, s.token_offsets[s.files], [&](const uint8_t* x, int64_t taps, int64_t row, int64_t) {
    const Y* const from = static_cast<const Y*>(a.dy) + row * s.width + column;
    V dy[kVectors];
    for (int i = 0; i < kVectors; ++i) dy[i] = value_at<V>(from + i * kStep);
    const int64_t end = taps < tap_end ? taps : tap_end;
    float* base = table;
    for (int64_t j = tap; j < end; ++j, base += kValues * s.width) {
      float* const to = base + x[j] * s.width;
      for (int i = 0; i < kVectors; ++i) store(to + i * kStep, value_at<V>(to + i * kStep) + dy[i]);
    }
  });
}

// The columns of a task: all in one pass over the tokens, or where they are fewer by vectors and single floats.
template <class T, class Y>
void forward_as(const ByteConvShape& s, const ByteConvForward& a, int64_t first, int64_t last, int64_t column, int64_t columns) {
  if (columns == kByteConvColumns) return sum_rows<Floats, kByteConvColumns / kLanes, T, Y>(s, a, first, last, column);
  for (; columns >= kLanes; columns -= kLanes, column += kLanes) sum_rows<Floats, 1, T, Y>(s, a, first, last, column);
  for (; columns > 0; --columns, ++column) sum_rows<float, 1, T, Y>(s, a, first, last, column);
}

template <class Y>
void backward_as(const ByteConvShape& s, const ByteConvBackward& a, int64_t tap, int64_t tap_end, int64_t column, int64_t columns) {
  for (int64_t row = tap * kValues; row < tap_end * kValues; ++row) memset(a.dtable + row * s.width + column, 0, sizeof(float) * static_cast<size_t>(columns));
  if (columns == kByteConvColumns) return scatter_rows<Floats, kByteConvColumns / kLanes, Y>(s, a, tap, tap_end, column);
  for (; columns >= kLanes; columns -= kLanes, column += kLanes) scatter_rows<Floats, 1, Y>(s, a, tap, tap_end, column);
  for (; columns > 0; --columns, ++column) scatter_rows<float, 1, Y>(s, a, tap, tap_end, column);
}

void forward(const ByteConvShape& s, const ByteConvForward& a, int64_t first, int64_t last, int64_t column, int64_t columns) {
  if (a.table_dtype == DType::kF32) {
    (a.y_dtype == DType::kF32 ? forward_as<float, float> : forward_as<float, uint16_t>)(s, a, first, last, column, columns);
  } else {
    (a.y_dtype == DType::kF32 ? forward_as<uint16_t, float> : forward_as<uint16_t, uint16_t>)(s, a, first, last, column, columns);
  }
}

void backward(const ByteConvShape& s, const ByteConvBackward& a, int64_t tap, int64_t tap_end, int64_t column, int64_t columns) {
  (a.dy_dtype == DType::kF32 ? backward_as<float> : backward_as<uint16_t>)(s, a, tap, tap_end, column, columns);
}

constexpr ByteConvVariant kVariant = {forward, backward};

}  // namespace
}  // namespace fettle::kernels
