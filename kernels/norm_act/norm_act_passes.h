#pragma once
// The passes of norm_act on one thread; one source for all instruction sets.

#include "kernels/norm_act/norm_act_variants.h"
#include "kernels/support/vectors.h"

namespace fettle::kernels {
namespace {

// By element in memory: what it is computed in, alone and as a vector. Functions on values are templates over both.
template <class T>
struct Element;
template <>
struct Element<float> {
  using One = float;
  using Many = Floats;
};
template <>
struct Element<uint16_t> {  // bf16
  using One = float;
  using Many = Floats;
};
template <>
struct Element<double> {
  using One = double;
  using Many = Doubles;
};

// Sums in double of a vector's lanes, on top of what is at `from`.
template <class V>
struct Sum;
template <>
struct Sum<float> {
  double total = 0;
  inline void add(float a) { total += static_cast<double>(a); }
  inline void add_product(float a, float b) { total += static_cast<double>(a) * static_cast<double>(b); }
  inline void read(const double* from) { total = *from; }
  inline void write(double* to) const { *to = total; }
};
template <>
struct Sum<double> {
  double total = 0;
  inline void add(double a) { total += a; }
  inline void add_product(double a, double b) { total += a * b; }
  inline void read(const double* from) { total = *from; }
  inline void write(double* to) const { *to = total; }
};
template <>
struct Sum<Doubles> {
  Doubles total = {};
  inline void add(const Doubles& a) { total += a; }
  inline void add_product(const Doubles& a, const Doubles& b) { total += a * b; }
  inline void read(const double* from) { memcpy(&total, from, sizeof total); }
  inline void write(double* to) const { memcpy(to, &total, sizeof total); }
};
template <>
struct Sum<Floats> {
  Doubles low = {}, high = {};
  static inline Doubles widened(const Floats& a, int half) {
    HalfFloats part;
    memcpy(&part, reinterpret_cast<const char*>(&a) + half * (kBytes / 2), sizeof part);
    return __builtin_convertvector(part, Doubles);
  }
  inline void add(const Floats& a) {
    low += widened(a, 0);
    high += widened(a, 1);
  }
  inline void add_product(const Floats& a, const Floats& b) {
    low += widened(a, 0) * widened(b, 0);
    high += widened(a, 1) * widened(b, 1);
  }
  inline void read(const double* from) {
    memcpy(&low, from, sizeof low);
    memcpy(&high, from + kLanes / 2, sizeof high);
  }
  inline void write(double* to) const {
    memcpy(to, &low, sizeof low);
    memcpy(to + kLanes / 2, &high, sizeof high);
  }
};

using Act = NormActivation;

template <Act kAct, class V>
inline V activated(const V& z) {
  const V zero = {};
  if constexpr (kAct == Act::kRelu) return z < zero ? zero : z;
  if constexpr (kAct == Act::kRelu6) {
    const V low = z < zero ? zero : z;
    return low > zero + 6 ? zero + 6 : low;
  }
  if constexpr (kAct == Act::kHardswish) {
    const V shifted = z + 3, low = shifted < zero ? zero : shifted;
    return z * (low > zero + 6 ? zero + 6 : low) / 6;
  }
  return z;
}

// dy * act', from z or, where it says the same, from act(z).
template <Act kAct, class V>
inline V gradient(const V& dy, const V& z) {
  const V zero = {};
  if constexpr (kAct == Act::kRelu) return z <= zero ? zero : dy;
  if constexpr (kAct == Act::kRelu6) {
    const V high = z >= zero + 6 ? zero : dy;
    return z <= zero ? zero : high;
  }
  if constexpr (kAct == Act::kHardswish) {
    const V middle = dy * (z / 3 + static_cast<float>(0.5));
    const V high = z > zero + 3 ? dy : middle;
    return z < zero - 3 ? zero : high;
  }
  return dy;
}

// ---- sums: strips of channels whose sums stay in registers ----

// bf16 is summed up in f32 over this many rows: sums of 16 products of two numbers of 8 bits lose next to nothing. Wide rows are
// walked in groups, so that a strip's reads are streams side by side; the next group's lines are asked for on the way.
constexpr int64_t kGroup = 16;

// Sum of values and of products, of kCount vectors of channels.
template <class T, class V, int kCount>
struct StripSums {
  static constexpr bool kInGroups = sizeof(T) == 2;
  Sum<V> sum[kCount], product[kCount];
  V group_sum[kCount], group_product[kCount];

  inline void read(const double* sums, int64_t channels) {
    for (int i = 0; i < kCount; ++i) {
      sum[i].read(sums + i * kWidth);
      product[i].read(sums + channels + i * kWidth);
    }
  }
  inline void write(double* sums, int64_t channels) const {
    for (int i = 0; i < kCount; ++i) {
      sum[i].write(sums + i * kWidth);
      product[i].write(sums + channels + i * kWidth);
    }
  }
  inline void begin_group() {
    for (int i = 0; i < kCount; ++i) group_sum[i] = group_product[i] = V{};
  }
  inline void add(int i, const V& a, const V& b) {
    if constexpr (kInGroups) {
      group_sum[i] += a;
      group_product[i] += a * b;
    } else {
      sum[i].add(a);
      product[i].add_product(a, b);
    }
  }
  inline void end_group() {
    for (int i = 0; i < kCount && kInGroups; ++i) {
      sum[i].add(group_sum[i]);
      product[i].add(group_product[i]);
    }
  }
  static constexpr int kWidth = sizeof(V) / sizeof(typename Element<T>::One);
};

// strip<V, count>(first row, last row, channel): all rows at once where one strip is a whole row, else groups of rows that the nearest
// cache holds.
template <class T, int kCount, class Strip>
inline void over_strips(int64_t first, int64_t last, int64_t begin, int64_t end, const Strip& strip) {
  using One = typename Element<T>::One;
  using Many = typename Element<T>::Many;
  constexpr int kWidth = sizeof(Many) / sizeof(One);
  const int64_t width = end - begin, step = width <= kCount * kWidth ? last - first : width < 256 ? 256 / width * kGroup : kGroup;
  for (int64_t from = first; from < last; from += step) {
    const int64_t to = from + step < last ? from + step : last;
    int64_t c = begin;
    for (; c + kCount * kWidth <= end; c += kCount * kWidth) strip.template operator()<Many, kCount>(from, to, c);
    for (; c + kWidth <= end; c += kWidth) strip.template operator()<Many, 1>(from, to, c);
    for (; c < end; ++c) strip.template operator()<One, 1>(from, to, c);
  }
}

inline void clear(double* sums, int64_t channels, int64_t begin, int64_t end) {
  for (int64_t c = begin; c < end; ++c) sums[c] = sums[channels + c] = 0;
}

// Vectors of a strip: 16 channels, as far as the registers go.
template <class T>
constexpr int kStrip = sizeof(typename Element<T>::Many) / sizeof(typename Element<T>::One) >= 16 ? 1 : 2;

template <class T>
void sums_of(const NormActShape& shape, const T* x, int64_t first, int64_t last, int64_t begin, int64_t end, double* sums) {
  const int64_t channels = shape.channels;
  clear(sums, channels, begin, end);
  over_strips<T, kStrip<T>>(first, last, begin, end, [=]<class V, int kCount>(int64_t from, int64_t to, int64_t channel) {
    StripSums<T, V, kCount> strip;
    strip.read(sums + channel, channels);
    const T* row = x + from * channels + channel;
    for (int64_t group = from; group < to; group += kGroup) {
      strip.begin_group();
      for (int64_t r = group; r < to && r < group + kGroup; ++r, row += channels) {
        __builtin_prefetch(row + kGroup * channels);
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
          const V value = value_at<V>(row + i * strip.kWidth);
          strip.add(i, value, value);
        }
      }
      strip.end_group();
    }
    strip.write(sums + channel, channels);
  });
}

template <class T, Act kAct, bool kFromY, bool kKeepG>
void gradient_sums_by(const NormActShape& shape, const NormActGradientSums& args, int64_t first, int64_t last, int64_t begin, int64_t end, double* sums) {
  using One = typename Element<T>::One;
  constexpr bool kFromX = kAct != Act::kNone && !kFromY;
  const int64_t channels = shape.channels;
  const T *all_x = static_cast<const T*>(args.x), *all_dy = static_cast<const T*>(args.dy), *all_y = static_cast<const T*>(args.y);
  T* all_g = static_cast<T*>(args.g);
  const One *scales = static_cast<const One*>(args.scale), *shifts = static_cast<const One*>(args.shift);
  clear(sums, channels, begin, end);
  over_strips<T, kStrip<T>>(first, last, begin, end, [=]<class V, int kCount>(int64_t from, int64_t to, int64_t channel) {
    StripSums<T, V, kCount> strip;
    strip.read(sums + channel, channels);
    V scale[kCount] = {}, shift[kCount] = {};
    for (int i = 0; i < kCount && kFromX; ++i) {
      load(scales + channel + i * strip.kWidth, scale[i]);
      load(shifts + channel + i * strip.kWidth, shift[i]);
    }
    int64_t at = from * channels + channel;
    for (int64_t group = from; group < to; group += kGroup) {
      strip.begin_group();
      for (int64_t r = group; r < to && r < group + kGroup; ++r, at += channels) {
        __builtin_prefetch(all_x + at + kGroup * channels);
        __builtin_prefetch(all_dy + at + kGroup * channels);
        if (kFromY) __builtin_prefetch(all_y + at + kGroup * channels);
#pragma GCC unroll 4
        for (int i = 0; i < kCount; ++i) {
          const int64_t here = at + i * strip.kWidth;
          const V x = value_at<V>(all_x + here);
          V g = value_at<V>(all_dy + here);
          if constexpr (kFromX) g = gradient<kAct>(g, x * scale[i] + shift[i]);
          if constexpr (kFromY) g = gradient<kAct>(g, value_at<V>(all_y + here));
          if constexpr (kKeepG) store(all_g + here, g);
          strip.add(i, g, x);
        }
      }
      strip.end_group();
    }
    strip.write(sums + channel, channels);
  });
}

// ---- one value after the other: whole rows ----

// each<V>(index, channel) for all values of rows [first, last).
template <class T, class Each>
inline void over_values(const NormActShape& shape, int64_t first, int64_t last, const Each& each) {
  using One = typename Element<T>::One;
  using Many = typename Element<T>::Many;
  constexpr int kWidth = sizeof(Many) / sizeof(One);
  const int64_t channels = shape.channels;
  for (int64_t row = first * channels; row < last * channels; row += channels) {
    int64_t c = 0;
    for (; c + kWidth <= channels; c += kWidth) each.template operator()<Many>(row + c, c);
    for (; c < channels; ++c) each.template operator()<One>(row + c, c);
  }
}

template <class T, Act kAct, bool kResidual>
void forward_by(const NormActShape& shape, const NormActForward& args, int64_t first, int64_t last) {
  using One = typename Element<T>::One;
  const T *x = static_cast<const T*>(args.x), *residual = static_cast<const T*>(args.residual);
  const One *scale = static_cast<const One*>(args.scale), *shift = static_cast<const One*>(args.shift);
  T* y = static_cast<T*>(args.y);
  over_values<T>(shape, first, last, [=]<class V>(int64_t at, int64_t channel) {
    V z = value_at<V>(x + at) * value_at<V>(scale + channel) + value_at<V>(shift + channel);
    if constexpr (kResidual) z = z + value_at<V>(residual + at);
    store(y + at, activated<kAct>(z));
  });
}

template <class T, Act kAct, bool kBatchStatistics>
void backward_by(const NormActShape& shape, const NormActBackward& args, int64_t first, int64_t last) {
  using One = typename Element<T>::One;
  const T *all_x = static_cast<const T*>(args.x), *dy = static_cast<const T*>(args.dy);
  const One *scales = static_cast<const One*>(args.scale), *shifts = static_cast<const One*>(args.shift), *means = static_cast<const One*>(args.mean),
            *slopes = static_cast<const One*>(args.slope), *offsets = static_cast<const One*>(args.offset);
  T* all_dx = static_cast<T*>(args.dx);
  over_values<T>(shape, first, last, [=]<class V>(int64_t at, int64_t channel) {
    const V scale = value_at<V>(scales + channel);
    V x = {}, g = value_at<V>(dy + at);
    if constexpr (kAct != Act::kNone || kBatchStatistics) x = value_at<V>(all_x + at);
    if constexpr (kAct != Act::kNone) g = gradient<kAct>(g, x * scale + value_at<V>(shifts + channel));
    V dx = g * scale;
    if constexpr (kBatchStatistics) dx = dx + (x - value_at<V>(means + channel)) * value_at<V>(slopes + channel) + value_at<V>(offsets + channel);
    store(all_dx + at, dx);
  });
}

// ---- from values to types ----

// f<T>() of the shape's element.
template <class F>
inline void by_element(const NormActShape& shape, const F& f) {
  switch (shape.dtype) {
    case DType::kF32: return f.template operator()<float>();
    case DType::kBF16: return f.template operator()<uint16_t>();
    case DType::kF64: return f.template operator()<double>();
  }
}

// f<T, activation>() of both.
template <class F>
inline void by_form(const NormActShape& shape, const F& f) {
  by_element(shape, [&]<class T>() {
    switch (shape.activation) {
      case Act::kNone: return f.template operator()<T, Act::kNone>();
      case Act::kRelu: return f.template operator()<T, Act::kRelu>();
      case Act::kRelu6: return f.template operator()<T, Act::kRelu6>();
      case Act::kHardswish: return f.template operator()<T, Act::kHardswish>();
    }
  });
}

void sums(const NormActShape& shape, const NormActSums& args, int64_t first, int64_t last, int64_t begin, int64_t end, double* to) {
  by_element(shape, [&]<class T>() { sums_of<T>(shape, static_cast<const T*>(args.x), first, last, begin, end, to); });
}

void forward(const NormActShape& shape, const NormActForward& args, int64_t first, int64_t last) {
  by_form(shape, [&]<class T, Act kAct>() {
    args.residual != nullptr ? forward_by<T, kAct, true>(shape, args, first, last) : forward_by<T, kAct, false>(shape, args, first, last);
  });
}

void gradient_sums(const NormActShape& shape, const NormActGradientSums& args, int64_t first, int64_t last, int64_t begin, int64_t end, double* to) {
  by_form(shape, [&]<class T, Act kAct>() {
    const bool keep = args.g != nullptr;
    if constexpr (kAct == Act::kRelu || kAct == Act::kRelu6) {
      if (args.y != nullptr) {
        return keep ? gradient_sums_by<T, kAct, true, true>(shape, args, first, last, begin, end, to)
                    : gradient_sums_by<T, kAct, true, false>(shape, args, first, last, begin, end, to);
      }
    }
    keep ? gradient_sums_by<T, kAct, false, true>(shape, args, first, last, begin, end, to)
         : gradient_sums_by<T, kAct, false, false>(shape, args, first, last, begin, end, to);
  });
}

void backward(const NormActShape& shape, const NormActBackward& args, int64_t first, int64_t last) {
  by_form(shape, [&]<class T, Act kAct>() {
    args.mean != nullptr ? backward_by<T, kAct, true>(shape, args, first, last) : backward_by<T, kAct, false>(shape, args, first, last);
  });
}

constexpr NormActVariant kVariant = {sums, forward, gradient_sums, backward};

}  // namespace
}  // namespace fettle::kernels
