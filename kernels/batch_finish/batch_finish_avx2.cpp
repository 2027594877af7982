#include <immintrin.h>

#include "kernels/batch_finish/batch_finish_convert.h"

namespace fettle::kernels {
namespace {

__m256 multiply_add(__m256i bytes, const float* scale, const float* bias) {
  return _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(bytes), _mm256_load_ps(scale)), _mm256_load_ps(bias));
}

struct Avx2F32 {
  using Out = float;
  static int source(int i) { return i; }
  static void finish16(__m128i bytes, const float* scale, const float* bias, float* out) {
    _mm256_storeu_ps(out, multiply_add(_mm256_cvtepu8_epi32(bytes), scale, bias));
    _mm256_storeu_ps(out + 8, multiply_add(_mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)), scale + 8, bias + 8));
  }
};

// The bits plus what makes the upper half the nearest bf16, ties to even.
__m256i rounded(__m256 value) {
  const __m256i bits = _mm256_castps_si256(value);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  return _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
}

// Even values in one register, odd ones in the other: their upper halves interleave with one shift and one blend.
struct Avx2Bf16 {
  using Out = uint16_t;
  static int source(int i) { return i < 8 ? 2 * i : 2 * (i - 8) + 1; }
  static void finish16(__m128i bytes, const float* scale, const float* bias, uint16_t* out) {
    const __m256i pairs = _mm256_cvtepu16_epi32(bytes);
    const __m256i even = rounded(multiply_add(_mm256_and_si256(pairs, _mm256_set1_epi32(0xff)), scale, bias));
    const __m256i odd = rounded(multiply_add(_mm256_srli_epi32(pairs, 8), scale + 8, bias + 8));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xaa));
  }
};

}  // namespace

FinishVariant batch_finish_avx2() { return {finish_rows<Avx2F32>, finish_rows<Avx2Bf16>}; }

}  // namespace fettle::kernels
