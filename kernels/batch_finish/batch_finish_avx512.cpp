#include <immintrin.h>

#include "kernels/batch_finish/batch_finish_convert.h"
#include "kernels/batch_finish/batch_finish_variants.h"

namespace fettle::kernels {
namespace {

struct Avx512 {
  static constexpr int kWidth = 16;
  using Reg = __m512;
  static Reg load(const float* in) { return _mm512_load_ps(in); }
  static Reg widen(const uint8_t* in) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(in))));
  }
  static Reg multiply_add(Reg x, Reg scale, Reg bias) { return _mm512_add_ps(_mm512_mul_ps(x, scale), bias); }
  static void store(float* out, Reg value) { _mm512_storeu_ps(out, value); }
  // Integer rounding, not the AVX512-BF16 instruction: that one takes subnormal numbers for zero.
  static void store(uint16_t* out, Reg value) {
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(rounded));
  }
};

}  // namespace

ConvertVariant batch_finish_avx512() { return {convert<Avx512, float>, convert<Avx512, uint16_t>}; }

}  // namespace fettle::kernels
