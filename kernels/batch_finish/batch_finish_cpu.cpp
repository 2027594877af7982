// The CPU path: rows shared out to threads, the variant chosen, and the variant of the build's baseline.

#include <omp.h>
#include <smmintrin.h>

#include <algorithm>

#include "kernels/batch_finish/batch_finish_convert.h"

namespace fettle::kernels {
namespace {

__m128 multiply_add(__m128i bytes, const float* scale, const float* bias) {
  return _mm_add_ps(_mm_mul_ps(_mm_cvtepi32_ps(bytes), _mm_load_ps(scale)), _mm_load_ps(bias));
}

struct BaselineF32 {
  using Out = float;
  static int source(int i) { return i; }
  static void finish16(__m128i bytes, const float* scale, const float* bias, float* out) {
    _mm_storeu_ps(out, multiply_add(_mm_cvtepu8_epi32(bytes), scale, bias));
    _mm_storeu_ps(out + 4, multiply_add(_mm_cvtepu8_epi32(_mm_srli_si128(bytes, 4)), scale + 4, bias + 4));
    _mm_storeu_ps(out + 8, multiply_add(_mm_cvtepu8_epi32(_mm_srli_si128(bytes, 8)), scale + 8, bias + 8));
    _mm_storeu_ps(out + 12, multiply_add(_mm_cvtepu8_epi32(_mm_srli_si128(bytes, 12)), scale + 12, bias + 12));
  }
};

__m128i rounded(__m128 value) {
  const __m128i bits = _mm_castps_si128(value);
  const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
  return _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0x7fff)), odd);
}

// Even values in one register, odd ones in the other, as in the AVX2 variant; eight at a time.
struct BaselineBf16 {
  using Out = uint16_t;
  static int source(int i) { return i / 8 * 8 + (i % 8 < 4 ? 2 * (i % 4) : 2 * (i % 4) + 1); }
  static void finish8(__m128i bytes, const float* scale, const float* bias, uint16_t* out) {
    const __m128i pairs = _mm_cvtepu16_epi32(bytes);
    const __m128i even = rounded(multiply_add(_mm_and_si128(pairs, _mm_set1_epi32(0xff)), scale, bias));
    const __m128i odd = rounded(multiply_add(_mm_srli_epi32(pairs, 8), scale + 4, bias + 4));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm_blend_epi16(_mm_srli_epi32(even, 16), odd, 0xaa));
  }
  static void finish16(__m128i bytes, const float* scale, const float* bias, uint16_t* out) {
    finish8(bytes, scale, bias, out);
    finish8(_mm_srli_si128(bytes, 8), scale + 8, bias + 8, out + 8);
  }
};

constexpr int64_t kValuesPerThread = 32768;  // below this, waking a thread costs more than it saves

FinishVariant variant(Isa isa) {
  switch (isa) {
    case Isa::kAvx512: return batch_finish_avx512();
    case Isa::kAvx2: return batch_finish_avx2();
    case Isa::kBaseline: break;
  }
  return batch_finish_baseline();
}

}  // namespace

FinishVariant batch_finish_baseline() { return {finish_rows<BaselineF32>, finish_rows<BaselineBf16>}; }

void batch_finish_cpu(const BatchFinishArgs& args, const ScaleBias& affine, Isa isa) {
  const int64_t rows = args.batch * args.height, values = rows * args.width * args.channels;
  if (values == 0) return;
  const FinishVariant chosen = variant(isa);
  const FinishRows finish = args.out_dtype == DType::kF32 ? chosen.to_f32 : chosen.to_bf16;
  const int64_t wanted = args.num_threads > 0 ? args.num_threads : omp_get_max_threads();
  const int64_t useful = std::min(rows, (values + kValuesPerThread - 1) / kValuesPerThread);
  const int threads = static_cast<int>(std::min(wanted, useful));
  if (threads == 1) return finish(args, affine, 0, rows);
#pragma omp parallel num_threads(threads)
  {
    const int64_t index = omp_get_thread_num(), count = omp_get_num_threads();
    finish(args, affine, rows * index / count, rows * (index + 1) / count);
  }
}

}  // namespace fettle::kernels
