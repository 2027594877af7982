#include <immintrin.h>

#include "kernels/batch_finish/batch_finish_convert.h"
#include "kernels/batch_finish/batch_finish_variants.h"

namespace fettle::kernels {
namespace {

struct Avx2 {
  static constexpr int kWidth = 8;
  using Reg = __m256;
  static Reg load(const float* in) { return _mm256_load_ps(in); }
  static Reg widen(const uint8_t* in) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(in))));
  }
  static Reg multiply_add(Reg x, Reg scale, Reg bias) { return _mm256_add_ps(_mm256_mul_ps(x, scale), bias); }
  static void store(float* out, Reg value) { _mm256_storeu_ps(out, value); }
  static void store(uint16_t* out, Reg value) {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    const __m128i packed = _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), packed);
  }
};

}  // namespace

ConvertVariant batch_finish_avx2() { return {convert<Avx2, float>, convert<Avx2, uint16_t>}; }

}  // namespace fettle::kernels
