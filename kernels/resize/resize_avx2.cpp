// A weight of 23 bits does not fit the 16-bit products that two taps share (vpmaddwd), so it goes in as two halves whose sums
// are put together at the end: exact, as integers modulo 2^32 are, and half the work of 32-bit products.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/resize/resize_variants.h"

namespace fettle::kernels {
namespace {

__m256i pair_of(const void* low, const void* high) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(low))),
                                 _mm_loadu_si128(static_cast<const __m128i*>(high)), 1);
}

// Two weights next to each other, in every 32-bit lane.
__m256i two_weights(const int16_t* weights) {
  int32_t both;
  std::memcpy(&both, weights, sizeof both);
  return _mm256_set1_epi32(both);
}

__m256i joined(__m256i high, __m256i low) {
  return _mm256_srai_epi32(_mm256_add_epi32(_mm256_slli_epi32(high, kResizeLowBits), low), kResizeWeightBits);
}

// One pixel of three channels in two rows, one row in each half of the registers, as 32-bit sums; four taps a step, each of which reads
// 16 bytes.
__m256i pixel_rgb(const uint8_t* row_a, const uint8_t* row_b, const int16_t* weights, int64_t steps) {
  // Of four pixels r g b r g b r g b r g b: the first two as r0 r1 g0 g1 b0 b1 in 16 bits, then the last two.
  const __m256i first_two = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1));
  const __m256i last_two = _mm256_broadcastsi128_si256(_mm_setr_epi8(6, -1, 9, -1, 7, -1, 10, -1, 8, -1, 11, -1, -1, -1, -1, -1));
  __m256i high = _mm256_setzero_si256(), low = _mm256_set1_epi32(1 << (kResizeWeightBits - 1));
  for (int64_t step = 0; step < steps; ++step, weights += 8, row_a += 12, row_b += 12) {
    const __m256i pixels = pair_of(row_a, row_b);
    const __m256i a = _mm256_shuffle_epi8(pixels, first_two), b = _mm256_shuffle_epi8(pixels, last_two);
    high = _mm256_add_epi32(high, _mm256_add_epi32(_mm256_madd_epi16(a, two_weights(weights)), _mm256_madd_epi16(b, two_weights(weights + 2))));
    low = _mm256_add_epi32(low, _mm256_add_epi32(_mm256_madd_epi16(a, two_weights(weights + 4)), _mm256_madd_epi16(b, two_weights(weights + 6))));
  }
  return joined(high, low);
}

// Four pixels of two rows a turn, so that what follows the sums is shared; the last pixels of a row one by one. Every pixel takes the
// same number of steps, known to the compiler where it is small (kSteps > 0): a loop whose length changes from pixel to pixel is
// mispredicted, and costs more than the taps of weight zero.
template <int64_t kSteps>
void two_rows_rgb(const uint8_t* row_a, const uint8_t* row_b, const ResizeTaps& taps, int64_t steps, uint8_t* out_a, uint8_t* out_b, int64_t out_width) {
  const __m256i packed = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
  const int32_t* const first = taps.first;
  const int16_t* split = taps.split;
  const int64_t stride = taps.stride * 2;
  const auto sums = [&](int64_t x) {
    const int64_t offset = int64_t{first[x]} * 3;
    const int16_t* const weights = split;
    split += stride;
    return pixel_rgb(row_a + offset, row_b + offset, weights, kSteps > 0 ? kSteps : steps);
  };
  int64_t x = 0;
  // Sixteen bytes are written for twelve: two pixels more must follow.
  for (; x + 6 <= out_width; x += 4) {
    const __m256i one = sums(x), two = sums(x + 1), three = sums(x + 2), four = sums(x + 3);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_packus_epi16(_mm256_packs_epi32(one, two), _mm256_packs_epi32(three, four)), packed);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out_a + x * 3), _mm256_castsi256_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out_b + x * 3), _mm256_extracti128_si256(bytes, 1));
  }
  for (; x < out_width; ++x) {
    const __m256i words = _mm256_packs_epi32(sums(x), _mm256_setzero_si256());
    const __m256i bytes = _mm256_packus_epi16(words, words);
    const int32_t a = _mm256_extract_epi32(bytes, 0), b = _mm256_extract_epi32(bytes, 4);
    std::memcpy(out_a + x * 3, &a, 3);
    std::memcpy(out_b + x * 3, &b, 3);
  }
}

void horizontal(const uint8_t* in, int64_t in_stride, int64_t rows, int64_t readable, int channels, const ResizeTaps& taps, uint8_t* out, int64_t out_width) {
  if (channels != 3) return resize_baseline().horizontal(in, in_stride, rows, readable, channels, taps, out, out_width);
  const int64_t steps = (*std::max_element(taps.count, taps.count + out_width) + 3) / 4;
  const auto two_rows = steps == 1 ? two_rows_rgb<1> : steps == 2 ? two_rows_rgb<2> : steps == 3 ? two_rows_rgb<3> : two_rows_rgb<0>;
  // A step reads 16 bytes for four taps, and taps of weight zero may lie behind the row: rows that end too near to the end of the memory
  // are left to the plain loops.
  const int64_t row_end = (int64_t{*std::max_element(taps.first, taps.first + out_width)} + 4 * (steps - 1)) * 3 + 16;
  int64_t y = 0;
  for (; y < rows && y * in_stride + row_end <= readable; y += 2) {
    const bool second = y + 1 < rows && (y + 1) * in_stride + row_end <= readable;
    const uint8_t* const row = in + y * in_stride;
    uint8_t* const to = out + y * out_width * 3;
    two_rows(row, second ? row + in_stride : row, taps, steps, to, second ? to + out_width * 3 : to, out_width);
    if (!second) {
      ++y;
      break;
    }
  }
  if (y < rows) resize_baseline().horizontal(in + y * in_stride, in_stride, rows - y, 0, channels, taps, out + y * out_width * 3, out_width);
}

constexpr int64_t kBlock = 32;  // bytes

// One output row of row_bytes >= kBlock bytes from `count` input rows, two of them a step; kSteps as above. A last row without a partner
// is its own, with the partner's weight of zero.
template <int64_t kSteps>
void row_of(const uint8_t* in, int64_t in_stride, int64_t row_bytes, const int16_t* split, int64_t count, uint8_t* out) {
  const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(1 << (kResizeWeightBits - 1));
  const int64_t steps = kSteps > 0 ? kSteps : (count + 1) / 2;
  // The last block ends with the row and overlaps the one before.
  for (int64_t x = 0; x < row_bytes; x += kBlock) {
    const int64_t begin = std::min(x, row_bytes - kBlock);
    const uint8_t* row = in + begin;
    __m256i high[4] = {zero, zero, zero, zero}, low[4] = {half, half, half, half};
    for (int64_t step = 0; step < steps; ++step, row += 2 * in_stride) {
      const int16_t* const weights = split + step / 2 * 8 + step % 2 * 2;
      const __m256i weights_high = two_weights(weights), weights_low = two_weights(weights + 4);
      const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row));
      const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + (2 * step + 1 < count ? in_stride : 0)));
      const __m256i front = _mm256_unpacklo_epi8(a, b), back = _mm256_unpackhi_epi8(a, b);
      const __m256i words[4] = {_mm256_unpacklo_epi8(front, zero), _mm256_unpackhi_epi8(front, zero), _mm256_unpacklo_epi8(back, zero),
                                _mm256_unpackhi_epi8(back, zero)};
      for (int i = 0; i < 4; ++i) {
        high[i] = _mm256_add_epi32(high[i], _mm256_madd_epi16(words[i], weights_high));
        low[i] = _mm256_add_epi32(low[i], _mm256_madd_epi16(words[i], weights_low));
      }
    }
    const __m256i front = _mm256_packs_epi32(joined(high[0], low[0]), joined(high[1], low[1]));
    const __m256i back = _mm256_packs_epi32(joined(high[2], low[2]), joined(high[3], low[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + begin), _mm256_packus_epi16(front, back));
  }
}

void vertical(const uint8_t* in, int64_t in_stride, int64_t row_bytes, const ResizeTaps& taps, uint8_t* out, int64_t out_height) {
  if (row_bytes < kBlock) return resize_baseline().vertical(in, in_stride, row_bytes, taps, out, out_height);
  for (int64_t y = 0; y < out_height; ++y, out += row_bytes) {
    const int64_t count = taps.count[y];
    const auto row = count <= 2 ? row_of<1> : count <= 4 ? row_of<2> : row_of<0>;
    row(in + taps.first[y] * in_stride, in_stride, row_bytes, taps.split + y * taps.stride * 2, count, out);
  }
}

}  // namespace

ResizeVariant resize_avx2() { return {horizontal, vertical}; }

}  // namespace fettle::kernels
