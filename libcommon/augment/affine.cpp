#include "augment/affine.h"

#include <smmintrin.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "base/errors.h"

namespace fettle {
namespace {

constexpr std::string_view kNames[] = {"nearest", "bilinear", "bicubic"};

}  // namespace

std::string_view interpolation_name(Interpolation interpolation) { return kNames[static_cast<size_t>(interpolation)]; }

Interpolation parse_interpolation(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (name == kNames[i]) return static_cast<Interpolation>(i);
  }
  FT_FAIL(ExitCode::kUsage, "interpolation '{}' is not known, expected one of: nearest, bilinear, bicubic", name);
}

namespace pixel_ops {
namespace {

double radians(double degrees) { return degrees * (std::numbers::pi / 180.0); }

// ---- which output pixels of a row have their source inside ---------------------------------------------------------------

struct Range {
  int64_t first = 0, last = 0;  // [first, last)
};

Range common(const Range& a, const Range& b) {
  const int64_t first = std::max(a.first, b.first);
  return {first, std::max(first, std::min(a.last, b.last))};
}

template <typename Predicate>
int64_t first_true(int64_t count, const Predicate& predicate) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    predicate(middle) ? high = middle : low = middle + 1;
  }
  return low;
}

// The i of 0..count-1 with 0 <= value(i) < limit, for a value that never falls (rising) or never rises.
template <typename Value, typename Limit>
Range inside(int64_t count, bool rising, Limit limit, const Value& value) {
  if (rising) return {first_true(count, [&](int64_t i) { return value(i) >= 0; }), first_true(count, [&](int64_t i) { return value(i) >= limit; })};
  return {first_true(count, [&](int64_t i) { return value(i) < limit; }), first_true(count, [&](int64_t i) { return value(i) < 0; })};
}

// ---- pixels --------------------------------------------------------------------------------------------------------------

template <int C>
void copy_pixel(const uint8_t* from, uint8_t* to) {
  for (int c = 0; c < C; ++c) to[c] = from[c];
}

template <int C>
void fill_pixels(const PixelColor& color, int64_t count, uint8_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    for (int c = 0; c < C; ++c) out[i * C + c] = color[static_cast<size_t>(c)];
  }
}

struct Target {
  int64_t height, width;
  uint8_t* pixels;
};

// ---- nearest -------------------------------------------------------------------------------------------------------------

// Only scaled and translated: positions are sums of steps, as Pillow adds them up.
template <int C>
void nearest_scaled(const uint8_t* in, const PixelShape& shape, const AffineMatrix& m, const PixelColor& fill, const Target& target) {
  const auto position = [](double value) { return value < 0 ? int64_t{-1} : static_cast<int64_t>(std::min(value, 1e15)); };
  std::vector<int64_t> columns(static_cast<size_t>(target.width));  // source offsets
  double sx = m[2] + m[0] * 0.5;
  Range valid{target.width, 0};
  for (int64_t x = 0; x < target.width; ++x, sx += m[0]) {
    const int64_t column = position(sx);
    if (column < 0 || column >= shape.width) continue;
    valid = {std::min(valid.first, x), x + 1};
    columns[static_cast<size_t>(x)] = column * C;
  }
  const int64_t count = valid.last - valid.first;
  // A step's columns are its floor or its ceiling apart: as many columns as pixels means one after the other.
  const bool shifted = count > 0 && columns[static_cast<size_t>(valid.last - 1)] - columns[static_cast<size_t>(valid.first)] == (count - 1) * C;
  double sy = m[5] + m[4] * 0.5;
  for (int64_t y = 0; y < target.height; ++y, sy += m[4]) {
    uint8_t* const out = target.pixels + y * target.width * C;
    const int64_t line = position(sy);
    if (line < 0 || line >= shape.height || count <= 0) {
      fill_pixels<C>(fill, target.width, out);
      continue;
    }
    fill_pixels<C>(fill, valid.first, out);
    fill_pixels<C>(fill, target.width - valid.last, out + valid.last * C);
    const uint8_t* const row = in + line * shape.width * C;
    if (shifted) {
      std::memcpy(out + valid.first * C, row + columns[static_cast<size_t>(valid.first)], static_cast<size_t>(count * C));
    } else {
      for (int64_t x = valid.first; x < valid.last; ++x) copy_pixel<C>(row + columns[static_cast<size_t>(x)], out + x * C);
    }
  }
}

// Steps of 2^-16, which hold positions up to 32,768.
template <int C>
void nearest_fixed(const uint8_t* in, const PixelShape& shape, const AffineMatrix& m, const PixelColor& fill, const Target& target) {
  const auto fixed = [](double value) { return static_cast<int64_t>(std::floor(value * 65536.0 + 0.5)); };
  const int64_t step_x = fixed(m[0]), step_y = fixed(m[3]), pitch = shape.width * C;
  int64_t first_x = fixed(m[2] + m[0] * 0.5 + m[1] * 0.5), first_y = fixed(m[5] + m[3] * 0.5 + m[4] * 0.5);
  for (int64_t y = 0; y < target.height; ++y, first_x += fixed(m[1]), first_y += fixed(m[4])) {
    uint8_t* const out = target.pixels + y * target.width * C;
    const Range valid = common(inside(target.width, step_x >= 0, shape.width << 16, [&](int64_t i) { return first_x + step_x * i; }),
                               inside(target.width, step_y >= 0, shape.height << 16, [&](int64_t i) { return first_y + step_y * i; }));
    fill_pixels<C>(fill, valid.first, out);
    fill_pixels<C>(fill, target.width - valid.last, out + valid.last * C);
    int64_t sx = first_x + step_x * valid.first, sy = first_y + step_y * valid.first, x = valid.first;
    const auto source = [&] { return in + (sy >> 16) * pitch + (sx >> 16) * C; };
    if constexpr (C == 3) {
      // Four bytes at a time, of which the next pixel overwrites one; not where the row ends or may read the image's last pixel.
      const int64_t steps = valid.last - valid.first - 1;
      const bool at_end = std::max(sx, sx + step_x * steps) >> 16 == shape.width - 1 && std::max(sy, sy + step_y * steps) >> 16 == shape.height - 1;
      for (; !at_end && x + 1 < valid.last; ++x, sx += step_x, sy += step_y) std::memcpy(out + x * C, source(), 4);
    }
    for (; x < valid.last; ++x, sx += step_x, sy += step_y) copy_pixel<C>(source(), out + x * C);
  }
}

// Positions beyond that, in sums of double steps.
template <int C>
void nearest_far(const uint8_t* in, const PixelShape& shape, const AffineMatrix& m, const PixelColor& fill, const Target& target) {
  double first_x = m[2] + m[1] * 0.5 + m[0] * 0.5, first_y = m[5] + m[4] * 0.5 + m[3] * 0.5;
  for (int64_t y = 0; y < target.height; ++y, first_x += m[1], first_y += m[4]) {
    uint8_t* const out = target.pixels + y * target.width * C;
    double sx = first_x, sy = first_y;
    for (int64_t x = 0; x < target.width; ++x, sx += m[0], sy += m[3]) {
      const bool valid = sx >= 0 && sx < static_cast<double>(shape.width) && sy >= 0 && sy < static_cast<double>(shape.height);
      if (valid) {
        copy_pixel<C>(in + (static_cast<int64_t>(sy) * shape.width + static_cast<int64_t>(sx)) * C, out + x * C);
      } else {
        fill_pixels<C>(fill, 1, out + x * C);
      }
    }
  }
}

template <int C>
void nearest(const uint8_t* in, const PixelShape& shape, const AffineMatrix& m, const PixelColor& fill, const Target& target) {
  if (m[1] == 0 && m[3] == 0) return nearest_scaled<C>(in, shape, m, fill, target);
  const auto near = [&](int64_t column, int64_t line) {
    const auto x = static_cast<double>(column), y = static_cast<double>(line);
    return std::abs(x * m[0] + y * m[1] + m[2]) < 32768.0 && std::abs(x * m[3] + y * m[4] + m[5]) < 32768.0;
  };
  const int64_t h = target.height, w = target.width;
  const bool fits = near(0, 0) && near(w, h) && near(0, h) && near(w, 0);
  (fits ? nearest_fixed<C> : nearest_far<C>)(in, shape, m, fill, target);
}

// ---- bilinear and bicubic ------------------------------------------------------------------------------------------------

// Source rows and columns of one output pixel: N rows, N columns, and how far between the middle two.
template <int N>
struct Support {
  const uint8_t* rows[N];
  int64_t columns[N];  // offsets in a row
  double dx, dy;
};

struct Linear {
  static constexpr int kTaps = 2;
  static double between(const double* v, double d) { return v[0] + (v[1] - v[0]) * d; }
  static uint8_t finish(double value) { return static_cast<uint8_t>(value); }
};

struct Cubic {
  static constexpr int kTaps = 4;
  static double between(const double* v, double d) {
    const double p1 = v[1];
    const double p2 = -v[0] + v[2];
    const double p3 = 2 * (v[0] - v[1]) + v[2] - v[3];
    const double p4 = -v[0] + v[1] - v[2] + v[3];
    return p1 + d * (p2 + d * (p3 + d * p4));
  }
  static uint8_t finish(double value) { return static_cast<uint8_t>(std::clamp(value, 0.0, 255.0)); }
};

template <typename Kernel, int C>
void interpolate_pixel(const Support<Kernel::kTaps>& support, uint8_t* out) {
  constexpr int N = Kernel::kTaps;
  for (int c = 0; c < C; ++c) {
    double rows[N];
    for (int j = 0; j < N; ++j) {
      double values[N];
      for (int i = 0; i < N; ++i) values[i] = support.rows[j][support.columns[i] + c];
      rows[j] = Kernel::between(values, support.dx);
    }
    out[c] = Kernel::finish(Kernel::between(rows, support.dy));
  }
}

// The same for RGB with all taps inside: `corner` is the first of them. Lanes are channels; the fourth is not used.
struct RgbRow {
  // The three bytes at p, and what follows, as 32-bit lanes.
  static __m128i pixel(const uint8_t* p) {
    int32_t bytes;
    std::memcpy(&bytes, p, 4);
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes));
  }
  // The same without touching what follows, by touching what precedes.
  static __m128i last_pixel(const uint8_t* p) {
    uint32_t bytes;
    std::memcpy(&bytes, p - 1, 4);
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(static_cast<int32_t>(bytes >> 8)));
  }
};

struct Lanes {
  __m128d low, high;  // channels 0 and 1, channel 2
  explicit Lanes(__m128i v) : low(_mm_cvtepi32_pd(v)), high(_mm_cvtepi32_pd(_mm_srli_si128(v, 8))) {}
  Lanes(__m128d l, __m128d h) : low(l), high(h) {}
  friend Lanes operator+(const Lanes& a, const Lanes& b) { return {_mm_add_pd(a.low, b.low), _mm_add_pd(a.high, b.high)}; }
  friend Lanes operator-(const Lanes& a, const Lanes& b) { return {_mm_sub_pd(a.low, b.low), _mm_sub_pd(a.high, b.high)}; }
  friend Lanes operator*(__m128d d, const Lanes& a) { return {_mm_mul_pd(d, a.low), _mm_mul_pd(d, a.high)}; }
};

// Truncated; the packs clip.
void store_rgb(const Lanes& value, uint8_t* out) {
  const __m128i whole = _mm_unpacklo_epi64(_mm_cvttpd_epi32(value.low), _mm_cvttpd_epi32(value.high));
  const __m128i words = _mm_packs_epi32(whole, whole);
  const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
  std::memcpy(out, &bytes, 3);
}

void interpolate_rgb(Linear, const uint8_t* corner, int64_t pitch, __m128d dx, __m128d dy, uint8_t* out) {
  const auto row = [&](const uint8_t* p) {
    const __m128i a = RgbRow::pixel(p), b = RgbRow::last_pixel(p + 3);
    return Lanes(a) + dx * Lanes(_mm_sub_epi32(b, a));
  };
  const Lanes first = row(corner), second = row(corner + pitch);
  store_rgb(first + dy * (second - first), out);
}

void interpolate_rgb(Cubic, const uint8_t* corner, int64_t pitch, __m128d dx, __m128d dy, uint8_t* out) {
  // The coefficients of a row are whole numbers, and exact.
  const auto row = [&](const uint8_t* p) {
    const __m128i v0 = RgbRow::pixel(p), v1 = RgbRow::pixel(p + 3), v2 = RgbRow::pixel(p + 6), v3 = RgbRow::last_pixel(p + 9);
    const __m128i near = _mm_sub_epi32(v0, v1), far = _mm_sub_epi32(v2, v3);
    const __m128i p2 = _mm_sub_epi32(v2, v0), p3 = _mm_add_epi32(_mm_add_epi32(near, near), far), p4 = _mm_sub_epi32(_mm_setzero_si128(), _mm_add_epi32(near, far));
    return Lanes(v1) + dx * (Lanes(p2) + dx * (Lanes(p3) + dx * Lanes(p4)));
  };
  const Lanes v0 = row(corner), v1 = row(corner + pitch), v2 = row(corner + 2 * pitch), v3 = row(corner + 3 * pitch);
  const Lanes p2 = v2 - v0, p3 = _mm_set1_pd(2) * (v0 - v1) + v2 - v3, p4 = v1 - v0 - v2 + v3;
  store_rgb(v1 + dy * (p2 + dy * (p3 + dy * p4)), out);
}

template <typename Kernel, int C>
void interpolated(const uint8_t* in, const PixelShape& shape, const AffineMatrix& m, const PixelColor& fill, const Target& target) {
  constexpr int N = Kernel::kTaps;
  constexpr int64_t kBefore = N / 2 - 1;  // taps left of the one that the position is in
  const auto width = static_cast<double>(shape.width), height = static_cast<double>(shape.height);
  const int64_t pitch = shape.width * C;
  // m[0] (x + 0.5) and m[3] (x + 0.5), the same in all rows.
  std::vector<double> steps(static_cast<size_t>(2 * target.width));
  for (int64_t x = 0; x < target.width; ++x) {
    steps[static_cast<size_t>(2 * x)] = m[0] * (static_cast<double>(x) + 0.5);
    steps[static_cast<size_t>(2 * x + 1)] = m[3] * (static_cast<double>(x) + 0.5);
  }
  for (int64_t y = 0; y < target.height; ++y) {
    uint8_t* const out = target.pixels + y * target.width * C;
    const double row_x = m[1] * (static_cast<double>(y) + 0.5), row_y = m[4] * (static_cast<double>(y) + 0.5);
    const auto source_x = [&](int64_t x) { return steps[static_cast<size_t>(2 * x)] + row_x + m[2]; };
    const auto source_y = [&](int64_t x) { return steps[static_cast<size_t>(2 * x + 1)] + row_y + m[5]; };
    const auto within = [&](double margin, double limit_x, double limit_y) {
      return common(inside(target.width, m[0] >= 0, limit_x, [&](int64_t x) { return source_x(x) - margin; }),
                    inside(target.width, m[3] >= 0, limit_y, [&](int64_t x) { return source_y(x) - margin; }));
    };
    const Range valid = within(0, width, height);
    // All taps inside: no edge to look after.
    Range core = common(valid, within(0.5 + kBefore, width - (N - 1), height - (N - 1)));
    if (core.first >= core.last) core = {valid.last, valid.last};
    fill_pixels<C>(fill, valid.first, out);
    fill_pixels<C>(fill, target.width - valid.last, out + valid.last * C);
    const auto edges = [&](int64_t first, int64_t last) {
      for (int64_t x = first; x < last; ++x) {
        const double sx = source_x(x) - 0.5, sy = source_y(x) - 0.5;
        const double left = std::floor(sx), top = std::floor(sy);
        Support<N> support;
        support.dx = sx - left;
        support.dy = sy - top;
        for (int i = 0; i < N; ++i) {
          support.columns[i] = std::clamp<int64_t>(static_cast<int64_t>(left) - kBefore + i, 0, shape.width - 1) * C;
          support.rows[i] = in + std::clamp<int64_t>(static_cast<int64_t>(top) - kBefore + i, 0, shape.height - 1) * pitch;
        }
        interpolate_pixel<Kernel, C>(support, out + x * C);
      }
    };
    edges(valid.first, core.first);
    for (int64_t x = core.first; x < core.last; ++x) {
      const double sx = source_x(x) - 0.5, sy = source_y(x) - 0.5;
      const auto left = static_cast<int64_t>(sx), top = static_cast<int64_t>(sy);  // not negative here
      const double dx = sx - static_cast<double>(left), dy = sy - static_cast<double>(top);
      const uint8_t* const corner = in + (top - kBefore) * pitch + (left - kBefore) * C;
      if constexpr (C == 3) {
        interpolate_rgb(Kernel(), corner, pitch, _mm_set1_pd(dx), _mm_set1_pd(dy), out + x * C);
      } else {
        Support<N> support;
        support.dx = dx;
        support.dy = dy;
        for (int i = 0; i < N; ++i) support.columns[i] = i * C, support.rows[i] = corner + i * pitch;
        interpolate_pixel<Kernel, C>(support, out + x * C);
      }
    }
    edges(core.last, valid.last);
  }
}

template <int C>
void transform_channels(const uint8_t* in, const PixelShape& shape, const AffineMatrix& matrix, Interpolation interpolation, const PixelColor& fill,
                        const Target& target) {
  switch (interpolation) {
    case Interpolation::kNearest: return nearest<C>(in, shape, matrix, fill, target);
    case Interpolation::kBilinear: return interpolated<Linear, C>(in, shape, matrix, fill, target);
    case Interpolation::kBicubic: return interpolated<Cubic, C>(in, shape, matrix, fill, target);
  }
}

// ---- rotation ------------------------------------------------------------------------------------------------------------

// To 15 decimals, half to even of the exact value, as Python's round(): 6.1e-17 becomes 0.
double rounded(double value) {
  char text[64];
  const auto written = std::to_chars(text, text + sizeof text, value, std::chars_format::fixed, 15);
  double result = 0;
  std::from_chars(text, written.ptr, result);
  return result;
}

double in_circle(double degrees) {
  const double rest = std::fmod(degrees, 360.0);
  return rest < 0 ? rest + 360.0 : rest;
}

// Where (x, y) of the output lies in the source.
void map_point(const AffineMatrix& m, double x, double y, double& sx, double& sy) {
  sx = m[0] * x + m[1] * y + m[2];
  sy = m[3] * x + m[4] * y + m[5];
}

AffineMatrix rotation_matrix(const PixelShape& shape, double degrees) {
  const double angle = -radians(degrees);
  AffineMatrix m = {rounded(std::cos(angle)), rounded(std::sin(angle)), 0, rounded(-std::sin(angle)), rounded(std::cos(angle)), 0};
  const double center_x = static_cast<double>(shape.width) / 2, center_y = static_cast<double>(shape.height) / 2;
  double x = 0, y = 0;
  map_point(m, -center_x, -center_y, x, y);
  m[2] = x + center_x;
  m[5] = y + center_y;
  return m;
}

// Quarter turns counter-clockwise that only move pixels: 0..3, or -1.
int quarter_turns(const PixelShape& shape, double degrees, bool expand) {
  if (degrees == 0) return 0;
  if (degrees == 180) return 2;
  if (expand || shape.width == shape.height) return degrees == 90 ? 1 : degrees == 270 ? 3 : -1;
  return -1;
}

template <int C>
void turn_pixels(const uint8_t* in, const PixelShape& shape, int turns, uint8_t* out) {
  const int64_t h = shape.height, w = shape.width;
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      const int64_t to = turns == 2 ? (h - 1 - y) * w + (w - 1 - x) : turns == 1 ? (w - 1 - x) * h + y : x * h + (h - 1 - y);
      copy_pixel<C>(in + (y * w + x) * C, out + to * C);
    }
  }
}

void turn(const uint8_t* in, const PixelShape& shape, int turns, uint8_t* out) {
  if (turns == 0) {
    std::memcpy(out, in, static_cast<size_t>(shape.values()));
  } else {
    (shape.channels == 1 ? turn_pixels<1> : turn_pixels<3>)(in, shape, turns, out);
  }
}

}  // namespace

void transform(const uint8_t* in, const PixelShape& shape, const AffineMatrix& matrix, Interpolation interpolation, const PixelColor& fill, int64_t out_height,
               int64_t out_width, uint8_t* out) {
  FT_CHECK(shape.height >= 1 && shape.width >= 1 && (shape.channels == 1 || shape.channels == 3) && out_height >= 1 && out_width >= 1,
           "image of {} x {} x {} to {} x {}", shape.height, shape.width, shape.channels, out_height, out_width);
  for (const double entry : matrix) FT_CHECK(std::isfinite(entry), "matrix entry {}", entry);
  (shape.channels == 1 ? transform_channels<1> : transform_channels<3>)(in, shape, matrix, interpolation, fill, {out_height, out_width, out});
}

AffineMatrix inverse_affine(const AffineParameters& p) {
  FT_CHECK(p.scale > 0, "scale {}", p.scale);
  const double angle = radians(p.angle_degrees), shear_x = radians(p.shear_x_degrees), shear_y = radians(p.shear_y_degrees);
  // R Shy Shx without the scale has determinant 1.
  const double a = std::cos(angle - shear_y) / std::cos(shear_y);
  const double b = -std::cos(angle - shear_y) * std::tan(shear_x) / std::cos(shear_y) - std::sin(angle);
  const double c = std::sin(angle - shear_y) / std::cos(shear_y);
  const double d = -std::sin(angle - shear_y) * std::tan(shear_x) / std::cos(shear_y) + std::cos(angle);
  AffineMatrix m = {d / p.scale, -b / p.scale, 0, -c / p.scale, a / p.scale, 0};
  m[2] = m[0] * (-p.center_x - p.translate_x) + m[1] * (-p.center_y - p.translate_y) + p.center_x;
  m[5] = m[3] * (-p.center_x - p.translate_x) + m[4] * (-p.center_y - p.translate_y) + p.center_y;
  return m;
}

void affine(const uint8_t* in, const PixelShape& shape, const AffineParameters& parameters, Interpolation interpolation, const PixelColor& fill, uint8_t* out) {
  transform(in, shape, inverse_affine(parameters), interpolation, fill, shape.height, shape.width, out);
}

void rotate(const uint8_t* in, const PixelShape& shape, double degrees, Interpolation interpolation, const PixelColor& fill, uint8_t* out) {
  const double angle = in_circle(degrees);
  const int turns = quarter_turns(shape, angle, false);
  if (turns >= 0) return turn(in, shape, turns, out);
  transform(in, shape, rotation_matrix(shape, angle), interpolation, fill, shape.height, shape.width, out);
}

PixelShape expanded_shape(const PixelShape& shape, double degrees) {
  const double angle = in_circle(degrees);
  const int turns = quarter_turns(shape, angle, true);
  if (turns >= 0) return turns % 2 == 0 ? shape : PixelShape{shape.width, shape.height, shape.channels};
  const AffineMatrix m = rotation_matrix(shape, angle);
  const auto w = static_cast<double>(shape.width), h = static_cast<double>(shape.height);
  double x[4], y[4];
  map_point(m, 0, 0, x[0], y[0]);
  map_point(m, w, 0, x[1], y[1]);
  map_point(m, w, h, x[2], y[2]);
  map_point(m, 0, h, x[3], y[3]);
  const auto extent = [](const double* v) {
    return static_cast<int64_t>(std::ceil(*std::max_element(v, v + 4))) - static_cast<int64_t>(std::floor(*std::min_element(v, v + 4)));
  };
  return {extent(y), extent(x), shape.channels};
}

void rotate_expanded(const uint8_t* in, const PixelShape& shape, double degrees, Interpolation interpolation, const PixelColor& fill, uint8_t* out) {
  const double angle = in_circle(degrees);
  const int turns = quarter_turns(shape, angle, true);
  if (turns >= 0) return turn(in, shape, turns, out);
  const PixelShape expanded = expanded_shape(shape, degrees);
  AffineMatrix m = rotation_matrix(shape, angle);
  double x = 0, y = 0;
  map_point(m, -static_cast<double>(expanded.width - shape.width) / 2.0, -static_cast<double>(expanded.height - shape.height) / 2.0, x, y);
  m[2] = x;
  m[5] = y;
  transform(in, shape, m, interpolation, fill, expanded.height, expanded.width, out);
}

}  // namespace pixel_ops
}  // namespace fettle
