// The CPU path works on tiles of one image that fit the first-level cache. What must change place (a mirrored row, or
// planes for kNchw) is rearranged as bytes into a small scratch buffer, a quarter or half of what is written; the
// arithmetic then runs over consecutive values. Channels-last without a flip needs no rearranging at all.

#include <omp.h>
#include <smmintrin.h>

#include <algorithm>
#include <array>

#include "kernels/batch_finish/batch_finish_convert.h"
#include "kernels/batch_finish/batch_finish_variants.h"

namespace fettle::kernels {
namespace {

struct Sse {
  static constexpr int kWidth = 4;
  using Reg = __m128;
  static Reg load(const float* in) { return _mm_load_ps(in); }
  static Reg widen(const uint8_t* in) {
    int32_t four;
    memcpy(&four, in, sizeof four);
    return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
  }
  static Reg multiply_add(Reg x, Reg scale, Reg bias) { return _mm_add_ps(_mm_mul_ps(x, scale), bias); }
  static void store(float* out, Reg value) { _mm_storeu_ps(out, value); }
  static void store(uint16_t* out, Reg value) {
    const __m128i bits = _mm_castps_si128(value);
    const __m128i odd = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    const __m128i rounded = _mm_srli_epi32(_mm_add_epi32(bits, _mm_add_epi32(odd, _mm_set1_epi32(0x7fff))), 16);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), _mm_packus_epi32(rounded, rounded));
  }
};

using Mask = std::array<uint8_t, 16>;
constexpr uint8_t kZero = 0x80;  // pshufb writes 0

__m128i load16(const uint8_t* in) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(in)); }
__m128i load16(const Mask& mask) { return load16(mask.data()); }
void store16(uint8_t* out, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(out), value); }

// Five RGB pixels that end at byte 15, last pixel first; byte 15 of the result is of no use.
constexpr Mask kMirrorRgb = {13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, kZero};
constexpr Mask kMirrorGrey = {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0};

// Where channel `channel` of 16 RGB pixels lies in the `part`-th 16 of their 48 bytes.
constexpr Mask plane_mask(int channel, int part, bool mirror) {
  Mask mask{};
  for (int i = 0; i < 16; ++i) {
    const int at = 3 * (mirror ? 15 - i : i) + channel - 16 * part;
    mask[static_cast<size_t>(i)] = at >= 0 && at < 16 ? static_cast<uint8_t>(at) : kZero;
  }
  return mask;
}

template <bool kMirror>
constexpr std::array<Mask, 9> kPlaneMasks = {
    plane_mask(0, 0, kMirror), plane_mask(0, 1, kMirror), plane_mask(0, 2, kMirror), plane_mask(1, 0, kMirror), plane_mask(1, 1, kMirror),
    plane_mask(1, 2, kMirror), plane_mask(2, 0, kMirror), plane_mask(2, 1, kMirror), plane_mask(2, 2, kMirror)};

// out[i] = in[n - 1 - i] for pixels of `channels` bytes. May write up to 15 bytes beyond the row.
void mirror_row(const uint8_t* in, int64_t n, int channels, uint8_t* out) {
  int64_t left = n;
  if (channels == 1) {
    for (; left >= 16; left -= 16, out += 16) store16(out, _mm_shuffle_epi8(load16(in + left - 16), load16(kMirrorGrey)));
  } else if (channels == 3) {
    // From the end, so that the byte of no use is overwritten by the next store, and no load leaves the row.
    for (; 3 * left >= 16; left -= 5, out += 15) store16(out, _mm_shuffle_epi8(load16(in + 3 * left - 16), load16(kMirrorRgb)));
  }
  for (; left > 0; --left, out += channels) {
    for (int c = 0; c < channels; ++c) out[c] = in[(left - 1) * channels + c];
  }
}

// planes[c * stride + i] = in[i * channels + c], mirrored: in[(n - 1 - i) * channels + c].
template <bool kMirror>
void split_row(const uint8_t* in, int64_t n, int channels, uint8_t* planes, int64_t stride) {
  int64_t i = 0;
  if (channels == 3) {
    for (; i + 16 <= n; i += 16) {
      const __m128i part[3] = {load16(in + 3 * i), load16(in + 3 * i + 16), load16(in + 3 * i + 32)};
      uint8_t* to = planes + (kMirror ? n - 16 - i : i);
      for (int c = 0; c < 3; ++c) {
        __m128i plane = _mm_setzero_si128();
        for (int p = 0; p < 3; ++p) {
          plane = _mm_or_si128(plane, _mm_shuffle_epi8(part[p], load16(kPlaneMasks<kMirror>[static_cast<size_t>(3 * c + p)])));
        }
        store16(to + c * stride, plane);
      }
    }
  }
  for (; i < n; ++i) {
    for (int c = 0; c < channels; ++c) planes[c * stride + (kMirror ? n - 1 - i : i)] = in[i * channels + c];
  }
}

constexpr int64_t kScratchBytes = 8192;  // with four times as many bytes of output it stays in a 48 KiB first-level cache
constexpr int64_t kBytesPerThread = 32768;  // of input; below this, waking a thread costs more than it saves

struct Tiles {
  int64_t rows;       // a tile, the last one of an image may have fewer
  int64_t per_image;
  int64_t total;
};

Tiles plan_tiles(const BatchFinishArgs& args) {
  const int64_t rows = std::clamp<int64_t>(kScratchBytes / (args.width * args.channels), 1, args.height);
  const int64_t per_image = (args.height + rows - 1) / rows;
  return {rows, per_image, per_image * args.batch};
}

class Worker {
 public:
  Worker(const BatchFinishArgs& args, const ScaleBias& affine, ConvertRun convert)
      : args_(args), affine_(affine), convert_(convert), tiles_(plan_tiles(args)), out_bytes_(dtype_bytes(args.out_dtype)) {}

  const Tiles& tiles() const { return tiles_; }

  void run(int64_t first, int64_t last) const {
    for (int64_t t = first; t < last; ++t) {
      const int64_t row = t % tiles_.per_image * tiles_.rows;
      tile(t / tiles_.per_image, row, std::min(tiles_.rows, args_.height - row));
    }
  }

 private:
  void tile(int64_t image, int64_t first_row, int64_t rows) const {
    const int channels = args_.channels;
    const int64_t area = args_.height * args_.width;
    const uint8_t* in = args_.in + (image * area + first_row * args_.width) * channels;
    const bool mirror = args_.flip != nullptr && args_.flip[image] != 0;
    const bool planar = args_.out_layout == ImageLayout::kNchw && channels > 1;
    if (!planar && !mirror) {
      return convert_(in, rows * args_.width * channels, channels, affine_.scale, affine_.bias,
                      out_at((image * area + first_row * args_.width) * channels));
    }
    alignas(64) uint8_t scratch[kScratchBytes + 64];
    // Unmirrored rows follow each other: one long row. A row beyond the scratch buffer goes in segments.
    const int64_t width = mirror ? args_.width : rows * args_.width;
    const int64_t height = mirror ? rows : 1;
    const int64_t stride = kScratchBytes / channels;  // pixels that fit
    const int64_t rows_at_once = std::max<int64_t>(1, stride / width);
    for (int64_t y = 0; y < height; y += rows_at_once) {
      const int64_t k = std::min(rows_at_once, height - y);
      for (int64_t x = 0; x < width; x += stride) {
        const int64_t n = std::min(stride, width - x);
        for (int64_t j = 0; j < k; ++j) {
          const uint8_t* from = in + ((y + j) * width + (mirror ? width - x - n : x)) * channels;
          if (!planar) {
            mirror_row(from, n, channels, scratch + j * n * channels);
          } else if (mirror) {
            split_row<true>(from, n, channels, scratch + j * n, stride);
          } else {
            split_row<false>(from, n, channels, scratch + j * n, stride);
          }
        }
        const int64_t pixel = first_row * args_.width + y * width + x;  // in the image
        if (!planar) {
          convert_(scratch, k * n * channels, channels, affine_.scale, affine_.bias, out_at((image * area + pixel) * channels));
          continue;
        }
        for (int c = 0; c < channels; ++c) {
          convert_(scratch + c * stride, k * n, 1, affine_.scale + c, affine_.bias + c, out_at((image * channels + c) * area + pixel));
        }
      }
    }
  }

  void* out_at(int64_t value) const { return static_cast<char*>(args_.out) + value * out_bytes_; }

  const BatchFinishArgs& args_;
  const ScaleBias& affine_;
  ConvertRun convert_;
  Tiles tiles_;
  int64_t out_bytes_;
};

ConvertVariant variant(Isa isa) {
  switch (isa) {
    case Isa::kAvx512: return batch_finish_avx512();
    case Isa::kAvx2: return batch_finish_avx2();
    case Isa::kBaseline: break;
  }
  return batch_finish_baseline();
}

}  // namespace

ConvertVariant batch_finish_baseline() { return {convert<Sse, float>, convert<Sse, uint16_t>}; }

void batch_finish_cpu(const BatchFinishArgs& args, const ScaleBias& affine, Isa isa) {
  const int64_t values = args.batch * args.height * args.width * args.channels;
  if (values == 0) return;
  const ConvertVariant chosen = variant(isa);
  const Worker worker(args, affine, args.out_dtype == DType::kF32 ? chosen.to_f32 : chosen.to_bf16);
  const int64_t total = worker.tiles().total;
  const int64_t wanted = args.num_threads > 0 ? args.num_threads : omp_get_max_threads();
  const int64_t useful = std::min(total, (values + kBytesPerThread - 1) / kBytesPerThread);
  const int threads = static_cast<int>(std::min(wanted, useful));
  if (threads == 1) return worker.run(0, total);
#pragma omp parallel num_threads(threads)
  {
    const int64_t index = omp_get_thread_num(), count = omp_get_num_threads();
    worker.run(total * index / count, total * (index + 1) / count);
  }
}

}  // namespace fettle::kernels
