#include "augment/pixel_ops.h"

#include <smmintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/errors.h"

namespace fettle {

PixelBox scaled_box(const PixelBox& box, int64_t height, int64_t width, int64_t to_height, int64_t to_width) {
  const auto scaled = [](int64_t edge, int64_t from, int64_t to) { return (edge * to + from / 2) / from; };
  const int64_t top = scaled(box.top, height, to_height), left = scaled(box.left, width, to_width);
  return {top, left, scaled(box.top + box.height, height, to_height) - top, scaled(box.left + box.width, width, to_width) - left};
}

namespace pixel_ops {
namespace {

constexpr int64_t kChunk = 1536;  // values worked on at a time: fits the first-level cache, and is whole pixels

void check_shape(const PixelShape& shape) {
  FT_CHECK(shape.height >= 1 && shape.width >= 1 && (shape.channels == 1 || shape.channels == 3), "image of {} x {} x {}", shape.height, shape.width,
           shape.channels);
}

void copy(const uint8_t* in, int64_t values, uint8_t* out) {
  if (in != out) std::memcpy(out, in, static_cast<size_t>(values));
}

// A factor beyond 1024 saturates every value that differs, as 1024 does, and keeps the sum within what int holds.
float blend_factor(double factor) {
  FT_CHECK(std::isfinite(factor), "factor {}", factor);
  return std::clamp(static_cast<float>(factor), -1024.0f, 1024.0f);
}

// ---- vectors: SSE4.1, which every machine that runs this build has -------------------------------------------------------

__m128i load16(const uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
void store16(uint8_t* p, __m128i value) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), value); }

// Lanes 4 k to 4 k + 3 of sixteen bytes.
template <int k>
__m128i four_of(__m128i bytes) {
  return _mm_cvtepu8_epi32(_mm_srli_si128(bytes, 4 * k));
}

__m128i blend4(__m128i from, __m128i to, __m128 factor) {
  return _mm_cvttps_epi32(_mm_add_ps(_mm_cvtepi32_ps(from), _mm_mul_ps(factor, _mm_cvtepi32_ps(_mm_sub_epi32(to, from)))));
}

// The clipping is the packs' saturation.
__m128i blend16(__m128i from, __m128i to, __m128 factor) {
  const __m128i low = _mm_packs_epi32(blend4(four_of<0>(from), four_of<0>(to), factor), blend4(four_of<1>(from), four_of<1>(to), factor));
  const __m128i high = _mm_packs_epi32(blend4(four_of<2>(from), four_of<2>(to), factor), blend4(four_of<3>(from), four_of<3>(to), factor));
  return _mm_packus_epi16(low, high);
}

uint8_t blended(int from, int to, float factor) {
  const int value = static_cast<int>(static_cast<float>(from) + factor * static_cast<float>(to - from));
  return static_cast<uint8_t>(std::clamp(value, 0, 255));
}

// out[i] = blend(from, to[i], factor)
void blend_constant(int from, const uint8_t* to, int64_t count, float factor, uint8_t* out) {
  const __m128i all_from = _mm_set1_epi8(static_cast<char>(from));
  const __m128 factors = _mm_set1_ps(factor);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) store16(out + i, blend16(all_from, load16(to + i), factors));
  for (; i < count; ++i) out[i] = blended(from, to[i], factor);
}

// out[i] = blend(from[i], to[i], factor)
void blend(const uint8_t* from, const uint8_t* to, int64_t count, float factor, uint8_t* out) {
  const __m128 factors = _mm_set1_ps(factor);
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) store16(out + i, blend16(load16(from + i), load16(to + i), factors));
  for (; i < count; ++i) out[i] = blended(from[i], to[i], factor);
}

uint8_t grey_of(const uint8_t* rgb) { return static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16); }

// The bytes of three vectors that the three controls pick, 0 elsewhere.
__m128i gather(__m128i a, __m128i b, __m128i c, __m128i from_a, __m128i from_b, __m128i from_c) {
  return _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(a, from_a), _mm_shuffle_epi8(b, from_b)), _mm_shuffle_epi8(c, from_c));
}

// L of eight pixels whose channels are 16 bits each. 38470 is no signed 16-bit number: 65536 - 27066.
__m128i grey8(__m128i red, __m128i green, __m128i blue) {
  const __m128i red_green = _mm_set1_epi32((-27066 << 16) | 19595), blue_half = _mm_set1_epi32((16384 << 16) | 7471), two = _mm_set1_epi16(2);
  const auto sum = [&](__m128i rg, __m128i b2) { return _mm_srai_epi32(_mm_add_epi32(_mm_madd_epi16(rg, red_green), _mm_madd_epi16(b2, blue_half)), 16); };
  const __m128i low = sum(_mm_unpacklo_epi16(red, green), _mm_unpacklo_epi16(blue, two));
  const __m128i high = sum(_mm_unpackhi_epi16(red, green), _mm_unpackhi_epi16(blue, two));
  return _mm_add_epi16(_mm_packs_epi32(low, high), green);
}

// L of sixteen RGB pixels.
__m128i grey16(const uint8_t* rgb) {
  const __m128i a = load16(rgb), b = load16(rgb + 16), c = load16(rgb + 32), zero = _mm_setzero_si128();
  const __m128i red = gather(a, b, c, _mm_setr_epi8(0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
                             _mm_setr_epi8(-1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14, -1, -1, -1, -1, -1),
                             _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 4, 7, 10, 13));
  const __m128i green = gather(a, b, c, _mm_setr_epi8(1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
                               _mm_setr_epi8(-1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15, -1, -1, -1, -1, -1),
                               _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 2, 5, 8, 11, 14));
  const __m128i blue = gather(a, b, c, _mm_setr_epi8(2, 5, 8, 11, 14, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
                              _mm_setr_epi8(-1, -1, -1, -1, -1, 1, 4, 7, 10, 13, -1, -1, -1, -1, -1, -1),
                              _mm_setr_epi8(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 3, 6, 9, 12, 15));
  return _mm_packus_epi16(grey8(_mm_unpacklo_epi8(red, zero), _mm_unpacklo_epi8(green, zero), _mm_unpacklo_epi8(blue, zero)),
                          grey8(_mm_unpackhi_epi8(red, zero), _mm_unpackhi_epi8(green, zero), _mm_unpackhi_epi8(blue, zero)));
}

// Sixteen pixels of one channel as vector `part` (0, 1, 2) of three that hold each three times.
__m128i tripled(__m128i grey, int part) {
  const __m128i controls[3] = {_mm_setr_epi8(0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5), _mm_setr_epi8(5, 5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9, 10, 10),
                               _mm_setr_epi8(10, 11, 11, 11, 12, 12, 12, 13, 13, 13, 14, 14, 14, 15, 15, 15)};
  return _mm_shuffle_epi8(grey, controls[part]);
}

// ---- tables --------------------------------------------------------------------------------------------------------------

using Table = std::array<uint8_t, 256>;

// out[i] = tables[channel of i][in[i]]
void look_up(const uint8_t* in, const PixelShape& shape, const std::array<Table, 3>& tables, uint8_t* out) {
  const int64_t count = shape.values();
  const size_t period = static_cast<size_t>(shape.channels);
  int64_t i = 0;
  // Eight values a load and a store; three such words are eight whole pixels.
  for (; i + 24 <= count; i += 24) {
    for (size_t word = 0; word < 3; ++word) {
      uint64_t values = 0, mapped = 0;
      std::memcpy(&values, in + i + 8 * word, 8);
      for (size_t byte = 0; byte < 8; ++byte) {
        const size_t channel = period == 1 ? 0 : (8 * word + byte) % 3;
        mapped |= uint64_t{tables[channel][values >> (8 * byte) & 255]} << (8 * byte);
      }
      std::memcpy(out + i + 8 * word, &mapped, 8);
    }
  }
  for (; i < count; ++i) out[i] = tables[static_cast<size_t>(i) % period][in[i]];
}

Table identity_table() {
  Table table;
  for (size_t i = 0; i < 256; ++i) table[i] = static_cast<uint8_t>(i);
  return table;
}

using Histogram = std::array<uint32_t, 256>;

std::array<Histogram, 3> histograms(const uint8_t* in, const PixelShape& shape) {
  // Four sets in turn, so that equal neighbours do not wait for each other's store.
  constexpr size_t kSets = 4;
  std::array<std::array<Histogram, 3>, kSets> sets{};
  const size_t channels = static_cast<size_t>(shape.channels), count = static_cast<size_t>(shape.values());
  size_t i = 0;
  if (channels == 3) {
    for (; i + 3 * kSets <= count; i += 3 * kSets) {
      for (size_t set = 0; set < kSets; ++set) {
        for (size_t c = 0; c < 3; ++c) ++sets[set][c][in[i + 3 * set + c]];
      }
    }
  } else {
    for (; i + kSets <= count; i += kSets) {
      for (size_t set = 0; set < kSets; ++set) ++sets[set][0][in[i + set]];
    }
  }
  for (; i < count; ++i) ++sets[0][i % channels][in[i]];
  for (size_t c = 0; c < channels; ++c) {
    for (size_t value = 0; value < 256; ++value) sets[0][c][value] += sets[1][c][value] + sets[2][c][value] + sets[3][c][value];
  }
  return sets[0];
}

// Sum of L over the image.
int64_t sum_of_grey(const uint8_t* in, const PixelShape& shape) {
  const int64_t count = shape.values();
  const __m128i zero = _mm_setzero_si128();
  __m128i sums = zero;  // two of 64 bits
  int64_t i = 0;
  if (shape.channels == 3) {
    for (; i + 48 <= count; i += 48) sums = _mm_add_epi64(sums, _mm_sad_epu8(grey16(in + i), zero));
  } else {
    for (; i + 16 <= count; i += 16) sums = _mm_add_epi64(sums, _mm_sad_epu8(load16(in + i), zero));
  }
  int64_t sum = _mm_cvtsi128_si64(sums) + _mm_extract_epi64(sums, 1);
  for (; i < count; i += shape.channels) sum += shape.channels == 3 ? grey_of(in + i) : in[i];
  return sum;
}

}  // namespace

void brightness(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out) {
  check_shape(shape);
  blend_constant(0, in, shape.values(), blend_factor(factor), out);
}

void contrast(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out) {
  check_shape(shape);
  const double mean = static_cast<double>(sum_of_grey(in, shape)) / static_cast<double>(shape.height * shape.width);
  blend_constant(static_cast<int>(mean + 0.5), in, shape.values(), blend_factor(factor), out);
}

void saturation(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out) {
  check_shape(shape);
  const float f = blend_factor(factor);
  const __m128 factors = _mm_set1_ps(f);
  const int64_t count = shape.values();
  if (shape.channels == 1) return copy(in, count, out);
  int64_t i = 0;
  for (; i + 48 <= count; i += 48) {
    const __m128i grey = grey16(in + i);
    for (int part = 0; part < 3; ++part) store16(out + i + 16 * part, blend16(tripled(grey, part), load16(in + i + 16 * part), factors));
  }
  for (; i < count; i += 3) {
    const int grey = grey_of(in + i);
    for (int64_t c = 0; c < 3; ++c) out[i + c] = blended(grey, in[i + c], f);
  }
}

void grayscale(const uint8_t* in, const PixelShape& shape, int64_t out_channels, uint8_t* out) {
  check_shape(shape);
  FT_CHECK(out_channels == 1 || out_channels == 3, "{} channels", out_channels);
  const int64_t pixels = shape.height * shape.width;
  if (shape.channels == 1 && out_channels == 1) return copy(in, pixels, out);
  int64_t i = 0;
  for (; i + 16 <= pixels; i += 16) {
    const __m128i grey = shape.channels == 1 ? load16(in + i) : grey16(in + 3 * i);
    if (out_channels == 1) {
      store16(out + i, grey);
    } else {
      for (int part = 0; part < 3; ++part) store16(out + 3 * i + 16 * part, tripled(grey, part));
    }
  }
  for (; i < pixels; ++i) {
    const uint8_t grey = shape.channels == 1 ? in[i] : grey_of(in + 3 * i);
    for (int64_t c = 0; c < out_channels; ++c) out[i * out_channels + c] = grey;
  }
}

void sharpness(const uint8_t* in, const PixelShape& shape, double factor, uint8_t* out) {
  check_shape(shape);
  const float f = blend_factor(factor);
  const int64_t pitch = shape.width * shape.channels, step = shape.channels;
  if (shape.height < 3 || shape.width < 3) return copy(in, shape.values(), out);
  std::memcpy(out, in, static_cast<size_t>(pitch));
  std::memcpy(out + (shape.height - 1) * pitch, in + (shape.height - 1) * pitch, static_cast<size_t>(pitch));
  uint16_t columns[kChunk + 6];  // sums of three rows, with a pixel on either side
  uint8_t smooth[kChunk];
  for (int64_t y = 1; y + 1 < shape.height; ++y) {
    const uint8_t* const above = in + (y - 1) * pitch;
    const uint8_t* const row = above + pitch;
    const uint8_t* const below = row + pitch;
    uint8_t* const target = out + y * pitch;
    for (int64_t c = 0; c < step; ++c) target[c] = row[c], target[pitch - 1 - c] = row[pitch - 1 - c];
    for (int64_t first = step; first < pitch - step; first += kChunk) {
      const int64_t size = std::min(kChunk, pitch - step - first);
      const int64_t left = first - step;
      for (int64_t i = 0; i < size + 2 * step; ++i) columns[i] = static_cast<uint16_t>(above[left + i] + row[left + i] + below[left + i]);
      for (int64_t i = 0; i < size; ++i) {
        const auto sum = static_cast<uint16_t>(columns[i] + columns[i + step] + columns[i + 2 * step] + 4 * row[first + i]);
        // (sum + 6) / 13 is sum / 13 rounded; 5042 / 65536 divides by 13 exactly below 6,553.
        smooth[i] = static_cast<uint8_t>(static_cast<uint32_t>(sum + 6) * 5042 >> 16);
      }
      blend(smooth, row + first, size, f, target + first);
    }
  }
}

void hue(const uint8_t* in, const PixelShape& shape, double shift, uint8_t* out) {
  check_shape(shape);
  FT_CHECK(shift >= -0.5 && shift <= 0.5, "hue shift {}", shift);
  if (shape.channels == 1) return copy(in, shape.values(), out);
  // What depends on one of the 8-bit values alone; float and double as Pillow mixes them.
  struct Sector {
    float fraction;
    uint8_t odd;
    uint8_t shifts[3];  // of the packed v, p and side (below) that become red, green, blue
  };
  // Around the circle: v is the largest channel, p the smallest, q falls from v to p in odd sectors, t rises in even ones.
  constexpr uint8_t kV = 0, kP = 8, kSide = 16;
  constexpr uint8_t kShifts[6][3] = {{kV, kSide, kP}, {kSide, kV, kP}, {kP, kV, kSide}, {kP, kSide, kV}, {kSide, kP, kV}, {kV, kP, kSide}};
  std::array<Sector, 256> sectors;  // of the hue after the turn
  std::array<float, 256> shares;    // saturation / 255
  const auto turn = static_cast<uint8_t>(static_cast<int>(shift * 255));
  for (size_t i = 0; i < 256; ++i) {
    const auto turned = static_cast<float>(static_cast<uint8_t>(i + turn));
    const int index = static_cast<int>(turned * 6.0 / 255.0);
    const uint8_t* const shifts = kShifts[index % 6];
    sectors[i] = {static_cast<float>(turned * 6.0 / 255.0 - static_cast<float>(index)), static_cast<uint8_t>(index % 2), {shifts[0], shifts[1], shifts[2]}};
    shares[i] = static_cast<float>(static_cast<float>(i) / 255.0);
  }
  // Half away from zero, exactly; never negative here.
  const auto rounded = [](double value) {
    const int whole = static_cast<int>(value);
    return static_cast<uint32_t>(whole) + (value - whole >= 0.5 ? 1u : 0u);
  };
  const int64_t count = shape.values();
  for (int64_t i = 0; i < count; i += 3) {
    const int r = in[i], g = in[i + 1], b = in[i + 2];
    const int largest = std::max(r, std::max(g, b)), smallest = std::min(r, std::min(g, b));
    if (smallest == largest) {
      out[i] = out[i + 1] = out[i + 2] = static_cast<uint8_t>(largest);
      continue;
    }
    // The angle is base + (largest - first) / range - (largest - second) / range sixths. Pillow adds in double where base is not 0;
    // the difference of two such quotients is exact there, so that it does not matter where it is.
    const bool red = r == largest, green = !red && g == largest;
    const int first = red ? b : green ? r : g, second = red ? g : green ? b : r;
    const double base = red ? 0.0 : green ? 2.0 : 4.0;
    const auto range = static_cast<float>(largest - smallest);
    const float quotient1 = static_cast<float>(largest - first) / range, quotient2 = static_cast<float>(largest - second) / range;
    const auto sixths = static_cast<float>(base + quotient1 - quotient2);
    const double turns = sixths / 6.0 + 1.0;  // 5/6..11/6, of which the fraction counts
    const auto angle = static_cast<float>(turns - (turns >= 1.0 ? 1.0 : 0.0));
    const Sector& sector = sectors[static_cast<size_t>(static_cast<int>(angle * 255.0))];
    const float s = shares[static_cast<size_t>(static_cast<int>(range / static_cast<float>(largest) * 255.0))];
    const auto value = static_cast<double>(largest);
    const double falling = s * sector.fraction, rising = s * (1.0 - sector.fraction);
    const uint32_t p = rounded(value * (1.0 - s)), side = rounded(value * (1.0 - (sector.odd != 0 ? falling : rising)));
    const uint32_t packed = static_cast<uint32_t>(largest) | p << 8 | side << 16;
    for (int64_t c = 0; c < 3; ++c) out[i + c] = static_cast<uint8_t>(packed >> sector.shifts[c]);
  }
}

void posterize(const uint8_t* in, const PixelShape& shape, int64_t bits, uint8_t* out) {
  check_shape(shape);
  FT_CHECK(bits >= 1 && bits <= 8, "{} bits", bits);
  const auto mask = static_cast<uint8_t>(0xFF00 >> bits);
  const int64_t count = shape.values();
  for (int64_t i = 0; i < count; ++i) out[i] = in[i] & mask;
}

void solarize(const uint8_t* in, const PixelShape& shape, double threshold, uint8_t* out) {
  check_shape(shape);
  FT_CHECK(!std::isnan(threshold), "threshold {}", threshold);
  const int64_t count = shape.values();
  if (threshold > 255) return copy(in, count, out);
  const auto first = static_cast<uint8_t>(std::ceil(std::max(threshold, 0.0)));
  for (int64_t i = 0; i < count; ++i) out[i] = in[i] >= first ? static_cast<uint8_t>(255 - in[i]) : in[i];
}

void invert(const uint8_t* in, const PixelShape& shape, uint8_t* out) {
  check_shape(shape);
  const int64_t count = shape.values();
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<uint8_t>(255 - in[i]);
}

void autocontrast(const uint8_t* in, const PixelShape& shape, uint8_t* out) {
  check_shape(shape);
  // 48 values at a time are whole pixels: lane i belongs to channel i mod channels.
  constexpr int64_t kLanes = 48;
  uint8_t low[kLanes], high[kLanes];
  const int64_t count = shape.values();
  int64_t i = 0;
  __m128i lows[3], highs[3];
  for (int part = 0; part < 3; ++part) lows[part] = _mm_set1_epi8(-1), highs[part] = _mm_setzero_si128();
  for (; i + kLanes <= count; i += kLanes) {
    for (int part = 0; part < 3; ++part) {
      const __m128i values = load16(in + i + 16 * part);
      lows[part] = _mm_min_epu8(lows[part], values);
      highs[part] = _mm_max_epu8(highs[part], values);
    }
  }
  for (int part = 0; part < 3; ++part) store16(low + 16 * part, lows[part]), store16(high + 16 * part, highs[part]);
  for (int64_t lane = 0; i < count; ++i, ++lane) low[lane] = std::min(low[lane], in[i]), high[lane] = std::max(high[lane], in[i]);
  std::array<Table, 3> tables;
  for (int64_t c = 0; c < shape.channels; ++c) {
    int lowest = 255, highest = 0;
    for (int64_t lane = c; lane < kLanes; lane += shape.channels) lowest = std::min<int>(lowest, low[lane]), highest = std::max<int>(highest, high[lane]);
    Table& table = tables[static_cast<size_t>(c)];
    table = identity_table();
    if (lowest >= highest) continue;
    const double scale = 255.0 / (highest - lowest);
    const double offset = -lowest * scale;
    for (int value = 0; value < 256; ++value) table[static_cast<size_t>(value)] = static_cast<uint8_t>(std::clamp(static_cast<int>(value * scale + offset), 0, 255));
  }
  look_up(in, shape, tables, out);
}

void equalize(const uint8_t* in, const PixelShape& shape, uint8_t* out) {
  check_shape(shape);
  const std::array<Histogram, 3> counts = histograms(in, shape);
  std::array<Table, 3> tables;
  const int64_t pixels = shape.height * shape.width;
  for (size_t c = 0; c < static_cast<size_t>(shape.channels); ++c) {
    const Histogram& histogram = counts[c];
    size_t largest = 255;
    while (histogram[largest] == 0) --largest;
    const int64_t step = (pixels - histogram[largest]) / 255;
    tables[c] = identity_table();
    if (step == 0) continue;
    int64_t before = step / 2;
    for (size_t value = 0; value < 256; ++value) {
      tables[c][value] = static_cast<uint8_t>(std::min<int64_t>(before / step, 255));
      before += histogram[value];
    }
  }
  look_up(in, shape, tables, out);
}

void gaussian_blur(const uint8_t* in, const PixelShape& shape, int64_t size, double sigma, uint8_t* out) {
  check_shape(shape);
  const int64_t radius = size / 2;
  FT_CHECK(size >= 1 && size % 2 == 1 && sigma > 0, "blur of size {}, sigma {}", size, sigma);
  FT_CHECK(radius < shape.height && radius < shape.width, "blur of size {} on {} x {}", size, shape.height, shape.width);
  std::vector<double> exact(static_cast<size_t>(size));
  double sum = 0;
  for (int64_t k = 0; k < size; ++k) {
    const auto distance = static_cast<double>(k - radius);
    sum += exact[static_cast<size_t>(k)] = std::exp(-distance * distance / (2 * sigma * sigma));
  }
  std::vector<float> weights;
  for (const double weight : exact) weights.push_back(static_cast<float>(weight / sum));

  const int64_t pitch = shape.width * shape.channels, margin = radius * shape.channels;
  // One row after the vertical pass, with its mirrored margins, and its sums in the horizontal one.
  std::vector<float> between(static_cast<size_t>(pitch + 2 * margin)), sums(static_cast<size_t>(pitch));
  float* const row = between.data() + margin;
  for (int64_t y = 0; y < shape.height; ++y) {
    std::fill(row, row + pitch, 0.0f);
    for (int64_t k = 0; k < size; ++k) {
      int64_t from = std::abs(y + k - radius);
      if (from >= shape.height) from = 2 * (shape.height - 1) - from;
      const uint8_t* const values = in + from * pitch;
      const float weight = weights[static_cast<size_t>(k)];
      for (int64_t i = 0; i < pitch; ++i) row[i] += weight * static_cast<float>(values[i]);
    }
    for (int64_t x = 1; x <= radius; ++x) {
      for (int64_t c = 0; c < shape.channels; ++c) {
        row[-x * shape.channels + c] = row[x * shape.channels + c];
        row[(shape.width - 1 + x) * shape.channels + c] = row[(shape.width - 1 - x) * shape.channels + c];
      }
    }
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (int64_t k = 0; k < size; ++k) {
      const float* const values = row + (k - radius) * shape.channels;
      const float weight = weights[static_cast<size_t>(k)];
      for (int64_t i = 0; i < pitch; ++i) sums[static_cast<size_t>(i)] += weight * values[i];
    }
    // Adding and taking away 1.5 * 2^23 rounds half to even. The weights' sum may be a little above 1.
    constexpr float kRound = 0x1.8p23f;
    for (int64_t i = 0; i < pitch; ++i) out[y * pitch + i] = static_cast<uint8_t>(std::min((sums[static_cast<size_t>(i)] + kRound) - kRound, 255.0f));
  }
}

void erase(uint8_t* image, const PixelShape& shape, const PixelBox& box, const PixelColor& color) {
  check_shape(shape);
  FT_CHECK(box.top >= 0 && box.left >= 0 && box.height >= 0 && box.width >= 0 && box.top + box.height <= shape.height && box.left + box.width <= shape.width,
           "box {} {} {} {} in {} x {}", box.top, box.left, box.height, box.width, shape.height, shape.width);
  for (int64_t y = box.top; y < box.top + box.height; ++y) {
    uint8_t* const row = image + (y * shape.width + box.left) * shape.channels;
    for (int64_t x = 0; x < box.width; ++x) {
      for (int64_t c = 0; c < shape.channels; ++c) row[x * shape.channels + c] = color[static_cast<size_t>(c)];
    }
  }
}

}  // namespace pixel_ops
}  // namespace fettle
