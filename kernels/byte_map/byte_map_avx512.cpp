// Two look-ups of 64 bytes in 128 entries, of which the highest bit takes one.
#include <immintrin.h>

#include "kernels/byte_map/byte_map_variants.h"

namespace fettle::kernels {

bool byte_map_has_avx512() { return __builtin_cpu_supports("avx512vbmi"); }

__attribute__((target("avx512vbmi"))) void byte_map_avx512(const ByteMapArgs& args) {
  const __m512i first = _mm512_loadu_si512(args.table), second = _mm512_loadu_si512(args.table + 64);
  const __m512i third = _mm512_loadu_si512(args.table + 128), fourth = _mm512_loadu_si512(args.table + 192);
  for (int64_t i = 0; i < args.count; i += 64) {
    const int64_t left = args.count - i;
    const __mmask64 there = left >= 64 ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
    const __m512i bytes = _mm512_maskz_loadu_epi8(there, args.in + i);
    const __m512i low = _mm512_permutex2var_epi8(first, bytes, second), high = _mm512_permutex2var_epi8(third, bytes, fourth);
    _mm512_mask_storeu_epi8(args.out + i, there, _mm512_mask_blend_epi8(_mm512_movepi8_mask(bytes), low, high));
  }
}

}  // namespace fettle::kernels
