#pragma once
// The arithmetic of batch_finish for one instruction set, given as a struct V of a few operations on kWidth values.
// Everything sits in an unnamed namespace and calls nothing from the standard library: the files that include this are
// compiled with different instruction sets, and the linker must not take one file's copy of a function for another's.

#include <stdint.h>
#include <string.h>

namespace fettle::kernels {
namespace {

// Rounds a finite float to bf16, to nearest, ties to even.
[[maybe_unused]] inline uint16_t bf16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

inline void store_value(float* out, float value) { *out = value; }
inline void store_value(uint16_t* out, float value) { *out = bf16_bits(value); }

// kPeriod 0: any period, the constants repeated kWidth times, so that every period-th vector of a block sees its own.
template <class V, int kPeriod, class Out>
void convert_run(const uint8_t* in, int64_t count, int period, const float* scale, const float* bias, Out* out) {
  constexpr int kMaxPeriod = kPeriod == 0 ? 16 : kPeriod;
  const int vectors = kPeriod == 0 ? period : kPeriod;  // a block
  alignas(64) float scales[kMaxPeriod * V::kWidth];
  alignas(64) float biases[kMaxPeriod * V::kWidth];
  for (int i = 0, c = 0; i < vectors * V::kWidth; ++i) {
    scales[i] = scale[c];
    biases[i] = bias[c];
    if (++c == vectors) c = 0;
  }
  const int64_t block = static_cast<int64_t>(vectors) * V::kWidth;
  int64_t i = 0;
  if constexpr (kPeriod != 0) {
    typename V::Reg s[kPeriod], b[kPeriod];
    for (int v = 0; v < kPeriod; ++v) {
      s[v] = V::load(scales + v * V::kWidth);
      b[v] = V::load(biases + v * V::kWidth);
    }
    for (; i + block <= count; i += block) {
#pragma GCC unroll 4
      for (int v = 0; v < kPeriod; ++v) V::store(out + i + v * V::kWidth, V::multiply_add(V::widen(in + i + v * V::kWidth), s[v], b[v]));
    }
  } else {
    for (; i + block <= count; i += block) {
      for (int v = 0; v < vectors; ++v) {
        const int64_t at = v * V::kWidth;
        V::store(out + i + at, V::multiply_add(V::widen(in + i + at), V::load(scales + at), V::load(biases + at)));
      }
    }
  }
  for (int c = 0; i < count; ++i) {
    const float product = static_cast<float>(in[i]) * scale[c];
    store_value(out + i, product + bias[c]);
    if (++c == vectors) c = 0;
  }
}

template <class V, class Out>
void convert(const uint8_t* in, int64_t count, int period, const float* scale, const float* bias, void* out) {
  auto* values = static_cast<Out*>(out);
  switch (period) {
    case 1: return convert_run<V, 1>(in, count, period, scale, bias, values);
    case 3: return convert_run<V, 3>(in, count, period, scale, bias, values);
    default: return convert_run<V, 0>(in, count, period, scale, bias, values);
  }
}

}  // namespace
}  // namespace fettle::kernels
