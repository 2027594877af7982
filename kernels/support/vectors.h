#pragma once
// Vectors of FT_VECTOR_BYTES bytes in GCC's vector types, and how they are read and written: one source for all instruction sets.
// Everything sits in an unnamed namespace and calls no inline function of the standard library: the files that include this are compiled for
// different instruction sets, and the linker must not take one file's copy of a function for another's.

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

namespace fettle::kernels {
namespace {

constexpr int kBytes = FT_VECTOR_BYTES;
typedef float Floats __attribute__((vector_size(kBytes)));
typedef double Doubles __attribute__((vector_size(kBytes)));
typedef float HalfFloats __attribute__((vector_size(kBytes / 2)));
typedef uint32_t Words __attribute__((vector_size(kBytes)));
typedef uint16_t Shorts __attribute__((vector_size(kBytes / 2)));
constexpr int kLanes = kBytes / 4;

// What GCC's conversions between vectors of words and of shorts do badly.
#if FT_VECTOR_BYTES == 16
inline Words widened(const Shorts& s) {
  return reinterpret_cast<Words>(_mm_cvtepu16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(&s))));
}
inline Shorts narrowed(const Words& w) {
  Shorts s;
  _mm_storel_epi64(reinterpret_cast<__m128i*>(&s), _mm_packus_epi32(reinterpret_cast<__m128i>(w), _mm_setzero_si128()));
  return s;
}
#elif FT_VECTOR_BYTES == 32
inline Words widened(const Shorts& s) { return reinterpret_cast<Words>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(s))); }
inline Shorts narrowed(const Words& w) {
  const __m256i all = reinterpret_cast<__m256i>(w);
  return reinterpret_cast<Shorts>(_mm_packus_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
}
#else
inline Words widened(const Shorts& s) { return reinterpret_cast<Words>(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(s))); }
inline Shorts narrowed(const Words& w) { return reinterpret_cast<Shorts>(_mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(w))); }
#endif

template <class V>
inline void load(const void* from, V& value) { memcpy(&value, from, sizeof value); }
inline void load(const uint16_t* from, float& value) {
  const uint32_t bits = static_cast<uint32_t>(*from) << 16;
  memcpy(&value, &bits, sizeof value);
}
inline void load(const uint16_t* from, Floats& value) {
  Shorts shorts;
  memcpy(&shorts, from, sizeof shorts);
  const Words bits = widened(shorts) << 16;
  memcpy(&value, &bits, sizeof value);
}

template <class V, class T>
inline V value_at(const T* from) {
  V value;
  load(from, value);
  return value;
}

template <class V>
inline void store(void* to, const V& value) { memcpy(to, &value, sizeof value); }
// To nearest, ties to even; a NaN stays one.
inline void store(uint16_t* to, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  *to = static_cast<uint16_t>(value != value ? 0x7fc0u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
inline void store(uint16_t* to, const Floats& value) {
  Words bits;
  memcpy(&bits, &value, sizeof bits);
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Shorts shorts = narrowed(value != value ? Words{} + 0x7fc0u : rounded);
  memcpy(to, &shorts, sizeof shorts);
}

}  // namespace
}  // namespace fettle::kernels
