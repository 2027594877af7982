#pragma once
// The passes of segment_attention on one thread; one source for all instruction sets.

#include "kernels/segment_attention/segment_attention_variants.h"
#include "kernels/support/vectors.h"

namespace fettle::kernels {
namespace {

typedef int32_t Ints __attribute__((vector_size(kBytes)));

inline Floats all(float value) { return Floats{} + value; }

#if FT_VECTOR_BYTES == 16
inline Floats multiply_add(Floats a, Floats b, Floats c) { return a * b + c; }
constexpr int kTileRows = 4, kTileVectors = 2;
#elif FT_VECTOR_BYTES == 32
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
constexpr int kTileRows = 6, kTileVectors = 2;
#else
inline Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
constexpr int kTileRows = 6, kTileVectors = 4;
#endif

// ---- products --------------------------------------------------------------------------------------------------------

// A left factor by its elements: element (row, k) at at[row * by_row + k * by_k].
struct Left {
  const float* at;
  int64_t by_row, by_k;
};
struct Rows {
  float* at;
  int64_t pitch;  // whole vectors
};

template <int kRows, int kVectors>
inline void tile(const Left& a, const Rows& b, const Rows& c, int64_t depth) {
  Floats sum[kRows][kVectors] = {};
  const float* from = a.at;
  const float* right = b.at;
  for (int64_t k = 0; k < depth; ++k, from += a.by_k, right += b.pitch) {
    Floats row[kVectors];
    for (int v = 0; v < kVectors; ++v) load(right + v * kLanes, row[v]);
    for (int r = 0; r < kRows; ++r) {
      const Floats value = all(from[r * a.by_row]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = multiply_add(value, row[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) store(c.at + r * c.pitch + v * kLanes, sum[r][v]);
  }
}

// One row of tiles; kRows counts down to what is left.
template <int kRows>
inline void tiles(int64_t rows, const Left& a, const Rows& b, const Rows& c, int64_t columns, int64_t depth) {
  if constexpr (kRows > 0) {
    if (rows < kRows) return tiles<kRows - 1>(rows, a, b, c, columns, depth);
    int64_t column = 0;
    for (; column + kTileVectors * kLanes <= columns; column += kTileVectors * kLanes) tile<kRows, kTileVectors>(a, {b.at + column, b.pitch}, {c.at + column, c.pitch}, depth);
    for (; column < columns; column += kLanes) tile<kRows, 1>(a, {b.at + column, b.pitch}, {c.at + column, c.pitch}, depth);
  }
}

// c = a b: a [rows, depth], b [depth, columns], columns whole vectors.
void multiply(const Left& a, const Rows& b, const Rows& c, int64_t rows, int64_t columns, int64_t depth) {
  for (int64_t row = 0; row < rows; row += kTileRows) {
    tiles<kTileRows>(rows - row, {a.at + row * a.by_row, a.by_row, a.by_k}, b, {c.at + row * c.pitch, c.pitch}, columns, depth);
  }
}

// ---- rows in and out -------------------------------------------------------------------------------------------------

// A head's rows of a tensor of T.
template <class T>
struct HeadRows {
  T* at;
  int64_t pitch;
};

// to = factor * from, by rows with zeros behind them up to the pitch.
template <class T>
void read(const HeadRows<const T>& from, int64_t rows, int64_t width, float factor, const Rows& to) {
  for (int64_t row = 0; row < rows; ++row) {
    const T* const x = from.at + row * from.pitch;
    float* const y = to.at + row * to.pitch;
    int64_t c = 0;
    for (; c + kLanes <= width; c += kLanes) store(y + c, all(factor) * value_at<Floats>(x + c));
    for (; c < width; ++c) store(y + c, factor * value_at<float>(x + c));
    for (; c < to.pitch; ++c) y[c] = 0;
  }
}

// to[c][row] = from[row][c], with zeros behind the rows up to the pitch.
template <class T>
void read_turned(const HeadRows<const T>& from, int64_t rows, int64_t width, const Rows& to) {
  for (int64_t row = 0; row < rows; ++row) {
    const T* const x = from.at + row * from.pitch;
    for (int64_t c = 0; c < width; ++c) to.at[c * to.pitch + row] = value_at<float>(x + c);
  }
  for (int64_t c = 0; c < width; ++c) {
    for (int64_t row = rows; row < to.pitch; ++row) to.at[c * to.pitch + row] = 0;
  }
}

template <class T>
void write_row(const float* from, int64_t width, float factor, T* to) {
  int64_t c = 0;
  for (; c + kLanes <= width; c += kLanes) store(to + c, all(factor) * value_at<Floats>(from + c));
  for (; c < width; ++c) store(to + c, factor * from[c]);
}

template <class T>
void write(const Rows& from, int64_t rows, int64_t width, float factor, const HeadRows<T>& to) {
  for (int64_t row = 0; row < rows; ++row) write_row(from.at + row * from.pitch, width, factor, to.at + row * to.pitch);
}

// ---- softmax ---------------------------------------------------------------------------------------------------------

// exp(x) for x <= 88, by 2^n times a polynomial of the rest (Cephes, expf); 0 below -87.
inline Floats exponential(Floats x) {
  const Floats bounded = x > -87.0F ? x : all(-87.0F);
  constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to a whole number
  const Floats whole = (bounded * 1.44269504088896341F + kRounder) - kRounder;
  const Floats rest = multiply_add(whole, all(2.12194440e-4F), multiply_add(whole, all(-0.693359375F), bounded));
  constexpr float kCoefficients[] = {1.3981999507e-3F, 8.3334519073e-3F, 4.1665795894e-2F, 1.6666665459e-1F, 5.0000001201e-1F};
  Floats sum = all(1.9875691500e-4F);
  for (const float coefficient : kCoefficients) sum = multiply_add(sum, rest, all(coefficient));
  const Floats power = multiply_add(sum, rest * rest, rest + 1.0F);
  const Ints exponent = (__builtin_convertvector(whole, Ints) + 127) << 23;
  Floats scale;
  memcpy(&scale, &exponent, sizeof scale);
  const Floats result = power * scale;
  // A comparison with NaN is false: NaN stays.
  return x < -87.0F ? Floats{} : (x == x ? result : x);
}

inline float largest(const Floats& values) {
  float most = values[0];
  for (int i = 1; i < kLanes; ++i) most = values[i] > most ? values[i] : most;
  return most;
}
inline float sum_of(const Floats& values) {
  float sum = 0;
  for (int i = 0; i < kLanes; ++i) sum += values[i];
  return sum;
}

struct RowSums {
  float most, sum;
};

// row[j] = exp(row[j] - max) up to `length`, zeros behind it up to `padded`.
inline RowSums exponentials(float* row, int64_t length, int64_t padded) {
  for (int64_t j = length; j < padded; ++j) row[j] = -__builtin_inff();
  Floats most = value_at<Floats>(row), sum = {};
  for (int64_t j = kLanes; j < padded; j += kLanes) {
    const Floats values = value_at<Floats>(row + j);
    most = values > most ? values : most;
  }
  const float top = largest(most);
  for (int64_t j = 0; j < padded; j += kLanes) {
    const Floats values = exponential(value_at<Floats>(row + j) - top);
    sum += values;
    store(row + j, values);
  }
  return {top, sum_of(sum)};
}

// ---- passes ----------------------------------------------------------------------------------------------------------

struct Room {
  Rows q, k, dout, result;     // [length, width]
  Rows k_turned, v_turned;     // [width, length]
  Rows map, dmap;              // [length, length]
  float* of_rows;              // [2, length]
};

Room room_of(const SegmentAttentionShape& s, float* at) {
  const int64_t columns = segment_attention_padded(s.width), keys = segment_attention_padded(s.length);
  const auto take = [&](int64_t rows, int64_t pitch) {
    const Rows taken{at, pitch};
    at += rows * pitch;
    return taken;
  };
  Room room{};
  room.q = take(s.length, columns);
  room.k = take(s.length, columns);
  room.dout = take(s.length, columns);
  room.result = take(s.length, columns);
  room.k_turned = take(s.width, keys);
  room.v_turned = take(s.width, keys);
  room.map = take(s.length, keys);
  room.dmap = take(s.length, keys);
  room.of_rows = at;
  return room;
}

// The head's part of qkv: 0, 1, 2 are q, k, v.
template <class T>
HeadRows<T> part_of(T* qkv, const SegmentAttentionShape& s, int64_t segment, int64_t head, int64_t part) {
  const int64_t pitch = 3 * s.heads * s.width;
  return {qkv + segment * s.length * pitch + (part * s.heads + head) * s.width, pitch};
}
template <class T>
HeadRows<T> rows_of(T* out, const SegmentAttentionShape& s, int64_t segment, int64_t head) {
  const int64_t pitch = s.heads * s.width;
  return {out + segment * s.length * pitch + head * s.width, pitch};
}

// map = q k^T / sqrt(width): leaves the scaled q in room.q.
template <class T>
void scores(const SegmentAttentionShape& s, const Room& room, const T* qkv, int64_t segment, int64_t head) {
  const float scale = 1 / __builtin_sqrtf(static_cast<float>(s.width));
  read(part_of(qkv, s, segment, head, 0), s.length, s.width, scale, room.q);
  read_turned(part_of(qkv, s, segment, head, 1), s.length, s.width, room.k_turned);
  multiply({room.q.at, room.q.pitch, 1}, room.k_turned, room.map, s.length, room.map.pitch, s.width);
}

template <class T>
void forward_as(const SegmentAttentionShape& s, const SegmentAttentionForward& a) {
  const Room room = room_of(s, a.workspace);
  const T* const qkv = static_cast<const T*>(a.qkv);
  for (int64_t segment = 0; segment < s.segments; ++segment) {
    for (int64_t head = 0; head < s.heads; ++head) {
      scores(s, room, qkv, segment, head);
      float* const logsumexp = a.logsumexp == nullptr ? nullptr : a.logsumexp + segment * s.length * s.heads + head;
      for (int64_t row = 0; row < s.length; ++row) {
        const RowSums sums = exponentials(room.map.at + row * room.map.pitch, s.length, room.map.pitch);
        room.of_rows[row] = 1 / sums.sum;
        if (logsumexp != nullptr) logsumexp[row * s.heads] = sums.most + __builtin_logf(sums.sum);
      }
      read(part_of(qkv, s, segment, head, 2), s.length, s.width, 1, room.k);  // v: k is not needed any more
      multiply({room.map.at, room.map.pitch, 1}, room.k, room.result, s.length, room.result.pitch, s.length);
      const HeadRows<T> out = rows_of(static_cast<T*>(a.out), s, segment, head);
      for (int64_t row = 0; row < s.length; ++row) write_row(room.result.at + row * room.result.pitch, s.width, room.of_rows[row], out.at + row * out.pitch);
    }
  }
}

template <class T>
void backward_as(const SegmentAttentionShape& s, const SegmentAttentionBackward& a) {
  const Room room = room_of(s, a.workspace);
  const T* const qkv = static_cast<const T*>(a.qkv);
  T* const dqkv = static_cast<T*>(a.dqkv);
  const float scale = 1 / __builtin_sqrtf(static_cast<float>(s.width));
  const int64_t keys = room.map.pitch, columns = room.q.pitch;
  for (int64_t segment = 0; segment < s.segments; ++segment) {
    for (int64_t head = 0; head < s.heads; ++head) {
      const HeadRows<const T> dout = rows_of(static_cast<const T*>(a.dout), s, segment, head), out = rows_of(static_cast<const T*>(a.out), s, segment, head);
      read(out, s.length, s.width, 1, room.result);
      read(dout, s.length, s.width, 1, room.dout);
      for (int64_t row = 0; row < s.length; ++row) {
        Floats sum = {};
        for (int64_t c = 0; c < columns; c += kLanes) {
          sum = multiply_add(value_at<Floats>(room.dout.at + row * columns + c), value_at<Floats>(room.result.at + row * columns + c), sum);
        }
        room.of_rows[row] = sum_of(sum);
      }
      scores(s, room, qkv, segment, head);
      read_turned(part_of(qkv, s, segment, head, 2), s.length, s.width, room.v_turned);
      multiply({room.dout.at, columns, 1}, room.v_turned, room.dmap, s.length, keys, s.width);
      const float* const logsumexp = a.logsumexp + segment * s.length * s.heads + head;
      for (int64_t row = 0; row < s.length; ++row) {
        float *const p = room.map.at + row * keys, *const d = room.dmap.at + row * keys;
        for (int64_t j = s.length; j < keys; ++j) p[j] = -__builtin_inff();
        for (int64_t j = 0; j < keys; j += kLanes) {
          const Floats values = exponential(value_at<Floats>(p + j) - logsumexp[row * s.heads]);
          store(p + j, values);
          store(d + j, values * (value_at<Floats>(d + j) - room.of_rows[row]));
        }
      }
      multiply({room.map.at, 1, keys}, room.dout, room.result, s.length, columns, s.length);
      write(room.result, s.length, s.width, 1, part_of(dqkv, s, segment, head, 2));
      multiply({room.dmap.at, 1, keys}, room.q, room.result, s.length, columns, s.length);
      write(room.result, s.length, s.width, 1, part_of(dqkv, s, segment, head, 1));  // q is scaled
      read(part_of(qkv, s, segment, head, 1), s.length, s.width, 1, room.k);
      multiply({room.dmap.at, keys, 1}, room.k, room.result, s.length, columns, s.length);
      write(room.result, s.length, s.width, scale, part_of(dqkv, s, segment, head, 0));
    }
  }
}

void forward(const SegmentAttentionShape& s, const SegmentAttentionForward& a) { (s.dtype == DType::kF32 ? forward_as<float> : forward_as<uint16_t>)(s, a); }
void backward(const SegmentAttentionShape& s, const SegmentAttentionBackward& a) { (s.dtype == DType::kF32 ? backward_as<float> : backward_as<uint16_t>)(s, a); }

constexpr SegmentAttentionVariant kVariant = {forward, backward};

}  // namespace
}  // namespace fettle::kernels
