#pragma once
// The work of batch_finish on one thread, for one instruction set and one output type, given as a struct V:
//   V::Out                                element of the output, float or uint16_t (bf16)
//   V::source(i)                          which of 16 values sits at place i of V's registers
//   V::finish16(bytes, scale, bias, out)  16 values: out[j] = bytes[j] * scale + bias, the constants in register order
// Everything sits in an unnamed namespace and calls no inline function of the standard library: the files that include
// this are compiled for different instruction sets, and the linker must not take one file's copy of a function for
// another's.

#include <smmintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/batch_finish/batch_finish_variants.h"

namespace fettle::kernels {
namespace {

// Rounds a finite float to bf16, to nearest, ties to even.
[[maybe_unused]] inline uint16_t bf16_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}
[[maybe_unused]] inline void store_value(float* out, float value) { *out = value; }
[[maybe_unused]] inline void store_value(uint16_t* out, float value) { *out = bf16_bits(value); }

inline __m128i load16(const uint8_t* in) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(in)); }

// How 16 RGB pixels, 48 bytes in three parts, become three blocks of 16 values: block p takes byte `mask[p][part][i]` of
// each part (0x80: none). Planar blocks are channels, the others are the pixels in a row; mirrored ones run backwards.
struct RgbOrder {
  alignas(16) uint8_t mask[3][3][16];
  bool used[3][3];
};
constexpr RgbOrder rgb_order(bool planar, bool mirror) {
  RgbOrder order{};
  for (int block = 0; block < 3; ++block) {
    for (int i = 0; i < 16; ++i) {
      const int pixel = planar ? i : (16 * block + i) / 3;
      const int channel = planar ? block : (16 * block + i) % 3;
      const int from = 3 * (mirror ? 15 - pixel : pixel) + channel;
      for (int part = 0; part < 3; ++part) {
        const bool here = from / 16 == part;
        order.mask[block][part][i] = here ? static_cast<uint8_t>(from % 16) : uint8_t{0x80};
        order.used[block][part] = order.used[block][part] || here;
      }
    }
  }
  return order;
}
template <bool kPlanar, bool kMirror>
constexpr RgbOrder kRgbOrder = rgb_order(kPlanar, kMirror);

constexpr int64_t kPrefetchBytes = 1024;

template <class V>
class Finisher {
 public:
  using Out = typename V::Out;

  Finisher(const BatchFinishArgs& args, const ScaleBias& affine) : args_(args), affine_(affine), channels_(args.channels) {
    // Channels-last values repeat their constants every `channels` blocks of 16; planes have one constant each.
    for (int block = 0; block < channels_; ++block) {
      for (int i = 0; i < 16; ++i) {
        const int channel = planar() ? block : (16 * block + V::source(i)) % channels_;
        scale_[16 * block + i] = affine.scale[channel];
        bias_[16 * block + i] = affine.bias[channel];
      }
    }
  }

  // Rows [first, last) of the batch's B * H rows.
  void run(int64_t first, int64_t last) const {
    while (first < last) {
      const int64_t image = first / args_.height, row = first % args_.height;
      const int64_t end = (image + 1) * args_.height;
      const int64_t rows = (last < end ? last : end) - first;
      finish_rows(image, row, rows);
      first += rows;
    }
  }

 private:
  bool planar() const { return args_.out_layout == ImageLayout::kNchw && channels_ > 1; }

  void finish_rows(int64_t image, int64_t first_row, int64_t rows) const {
    const int64_t area = args_.height * args_.width, offset = first_row * args_.width;
    const bool mirror = args_.flip != nullptr && args_.flip[image] != 0;
    // Rows that are not mirrored follow each other: one long row.
    const int64_t width = mirror ? args_.width : rows * args_.width;
    const uint8_t* in = args_.in + (image * area + offset) * channels_;
    Out* out = static_cast<Out*>(args_.out) + image * area * channels_ + (planar() ? offset : offset * channels_);
    const int64_t step = planar() ? width : width * channels_;  // from row to row of out
    if (!planar() && !mirror) return finish_run(in, width * channels_, out);
    for (int64_t y = 0; y < (mirror ? rows : 1); ++y, in += width * channels_, out += step) {
      if (width >= 16 && channels_ == 1) {
        mirror_grey(in, width, out);
      } else if (width >= 16 && channels_ == 3) {
        if (!planar()) {
          rgb<false, true>(in, width, out, 16);
        } else if (mirror) {
          rgb<true, true>(in, width, out, area);
        } else {
          rgb<true, false>(in, width, out, area);
        }
      } else {
        any(in, width, mirror, out, planar() ? area : 1, planar() ? 1 : channels_);
      }
    }
  }

  // Consecutive values, channels-last.
  void finish_run(const uint8_t* in, int64_t count, Out* out) const {
    const int64_t group = 16 * static_cast<int64_t>(channels_);
    int64_t i = 0;
    if (channels_ == 1) {
      for (; i + group <= count; i += group) V::finish16(load16(in + i), scale_, bias_, out + i);
    } else {
      for (; i + group <= count; i += group) {
        for (int at = 0; at < group; at += 16) V::finish16(load16(in + i + at), scale_ + at, bias_ + at, out + i + at);
      }
    }
    for (int channel = 0; i < count; ++i) {
      store_value(out + i, value(in[i], channel));
      if (++channel == channels_) channel = 0;
    }
  }

  // Mirrored rows are written forwards and read backwards. The processor's prefetch expects one direction: it is told what
  // the same place of a row some kilobyte further on will need. The last 16 pixels of a row may overlap the ones before:
  // they are written twice, with the same values.
  static void prefetch_ahead(const uint8_t* from, int64_t row_bytes) {
    const int64_t distance = row_bytes >= kPrefetchBytes ? row_bytes : kPrefetchBytes / row_bytes * row_bytes;
    _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(from) + static_cast<uintptr_t>(distance)), _MM_HINT_T0);
  }

  void mirror_grey(const uint8_t* in, int64_t width, Out* out) const {
    const __m128i backwards = _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t x = 0; x < width; x += 16) {
      if (x + 16 > width) x = width - 16;
      const uint8_t* from = in + width - 16 - x;
      prefetch_ahead(from, width);
      V::finish16(_mm_shuffle_epi8(load16(from), backwards), scale_, bias_, out + x);
    }
  }

  // `block_step`: from one block of 16 values to the next in out, a plane or 16.
  template <bool kPlanar, bool kMirror>
  void rgb(const uint8_t* in, int64_t width, Out* out, int64_t block_step) const {
    constexpr const RgbOrder& order = kRgbOrder<kPlanar, kMirror>;
    for (int64_t x = 0; x < width; x += 16) {
      if (x + 16 > width) x = width - 16;
      const uint8_t* from = in + 3 * (kMirror ? width - 16 - x : x);
      if (kMirror) prefetch_ahead(from, 3 * width);
      const __m128i part[3] = {load16(from), load16(from + 16), load16(from + 32)};
      Out* to = out + (kPlanar ? x : 3 * x);
#pragma GCC unroll 3
      for (int block = 0; block < 3; ++block) {
        __m128i bytes = _mm_setzero_si128();
#pragma GCC unroll 3
        for (int p = 0; p < 3; ++p) {
          if (order.used[block][p]) bytes = _mm_or_si128(bytes, _mm_shuffle_epi8(part[p], load16(order.mask[block][p])));
        }
        V::finish16(bytes, scale_ + 16 * block, bias_ + 16 * block, to + block * block_step);
      }
    }
  }

  // Narrow rows and unusual channel counts, value by value.
  void any(const uint8_t* in, int64_t width, bool mirror, Out* out, int64_t channel_step, int64_t pixel_step) const {
    for (int64_t x = 0; x < width; ++x) {
      const uint8_t* pixel = in + (mirror ? width - 1 - x : x) * channels_;
      for (int c = 0; c < channels_; ++c) store_value(out + x * pixel_step + c * channel_step, value(pixel[c], c));
    }
  }

  float value(uint8_t in, int channel) const {
    const float product = static_cast<float>(in) * affine_.scale[channel];
    return product + affine_.bias[channel];
  }

  const BatchFinishArgs& args_;
  const ScaleBias& affine_;
  const int channels_;
  alignas(64) float scale_[16 * kBatchFinishMaxChannels];
  alignas(64) float bias_[16 * kBatchFinishMaxChannels];
};

template <class V>
void finish_rows(const BatchFinishArgs& args, const ScaleBias& affine, int64_t first_row, int64_t last_row) {
  Finisher<V>(args, affine).run(first_row, last_row);
}

}  // namespace
}  // namespace fettle::kernels
