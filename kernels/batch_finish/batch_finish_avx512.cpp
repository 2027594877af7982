#include <immintrin.h>

#include "kernels/batch_finish/batch_finish_convert.h"

namespace fettle::kernels {
namespace {

__m512 multiply_add(__m128i bytes, const float* scale, const float* bias) {
  return _mm512_add_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)), _mm512_load_ps(scale)), _mm512_load_ps(bias));
}

struct Avx512F32 {
  using Out = float;
  static int source(int i) { return i; }
  static void finish16(__m128i bytes, const float* scale, const float* bias, float* out) {
    _mm512_storeu_ps(out, multiply_add(bytes, scale, bias));
  }
};

// Integer rounding, not the AVX512-BF16 instruction: that one takes subnormal numbers for zero.
struct Avx512Bf16 {
  using Out = uint16_t;
  static int source(int i) { return i; }
  static void finish16(__m128i bytes, const float* scale, const float* bias, uint16_t* out) {
    const __m512i bits = _mm512_castps_si512(multiply_add(bytes, scale, bias));
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }
};

}  // namespace

FinishVariant batch_finish_avx512() { return {finish_rows<Avx512F32>, finish_rows<Avx512Bf16>}; }

}  // namespace fettle::kernels
