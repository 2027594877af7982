#include "kernels/resize/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/resize/resize_variants.h"

namespace fettle::kernels {
namespace {

constexpr int64_t kMaxSide = int64_t{1} << 20;
constexpr int64_t kMaxBytes = int64_t{1} << 40;
constexpr int64_t kLine = 64;

int64_t aligned(int64_t bytes) { return (bytes + kLine - 1) / kLine * kLine; }

struct Axis {
  int64_t in = 0, out = 0;
  double start = 0, length = 0;
  double radius = 0;  // of the filter, widened

  bool is_copy() const { return start == 0 && length == static_cast<double>(in) && in == out; }
  int64_t stride() const { return (static_cast<int64_t>(std::ceil(radius)) * 2 + 1 + 3) / 4 * 4; }
  int64_t bytes() const { return is_copy() ? 0 : 2 * aligned(out * 4) + 2 * aligned(out * stride() * 4) + aligned(stride() * 8); }
  double center(int64_t i) const { return start + (static_cast<double>(i) + 0.5) * (length / static_cast<double>(out)); }
};

double filter_radius(ResizeFilter filter) { return filter == ResizeFilter::kBox ? 0.5 : filter == ResizeFilter::kBilinear ? 1 : 2; }

double filter_value(ResizeFilter filter, double x) {
  if (filter == ResizeFilter::kBox) return x > -0.5 && x <= 0.5 ? 1 : 0;
  x = std::abs(x);
  if (filter == ResizeFilter::kBilinear) return x < 1 ? 1 - x : 0;
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

Axis make_axis(int64_t in, int64_t out, double start, double length, ResizeFilter filter) {
  Axis axis{in, out, start, length, 0};
  axis.radius = filter_radius(filter) * std::max(length / static_cast<double>(out), 1.0);
  return axis;
}

// The taps of an axis whose source begins at pixel `origin`, in axis.bytes() of memory.
ResizeTaps make_taps(const Axis& axis, ResizeFilter filter, int64_t origin, uint8_t* memory) {
  ResizeTaps taps{};
  taps.stride = axis.stride();
  taps.first = reinterpret_cast<int32_t*>(memory);
  taps.count = reinterpret_cast<int32_t*>(memory += aligned(axis.out * 4));
  taps.weights = reinterpret_cast<int32_t*>(memory += aligned(axis.out * 4));
  taps.split = reinterpret_cast<int16_t*>(memory += aligned(axis.out * taps.stride * 4));
  auto* const values = reinterpret_cast<double*>(memory + aligned(axis.out * taps.stride * 4));
  const double narrowing = 1 / std::max(axis.length / static_cast<double>(axis.out), 1.0);
  for (int64_t i = 0; i < axis.out; ++i) {
    const double center = axis.center(i);
    const auto first = std::max<int64_t>(static_cast<int64_t>(center - axis.radius + 0.5), 0);
    const auto last = std::min<int64_t>(static_cast<int64_t>(center + axis.radius + 0.5), axis.in);
    const int64_t count = last - first;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      values[k] = filter_value(filter, (static_cast<double>(k + first) - center + 0.5) * narrowing);
      sum += values[k];
    }
    int32_t* const weights = taps.weights + i * taps.stride;
    int16_t* const split = taps.split + i * taps.stride * 2;
    for (int64_t k = 0; k < taps.stride; ++k) {
      const double weight = k < count && sum != 0 ? values[k] / sum * (1 << kResizeWeightBits) : 0;
      weights[k] = static_cast<int32_t>(weight < 0 ? weight - 0.5 : weight + 0.5);
      const int64_t at = k / 4 * 8 + k % 4;
      split[at] = static_cast<int16_t>(weights[k] >> kResizeLowBits);
      split[at + 4] = static_cast<int16_t>(weights[k] & ((1 << kResizeLowBits) - 1));
    }
    taps.first[i] = static_cast<int32_t>(first - origin);
    taps.count[i] = static_cast<int32_t>(count);
  }
  return taps;
}

bool sizes_fit(const ResizeArgs& args) {
  for (const int64_t side : {args.in_height, args.in_width, args.out_height, args.out_width}) {
    if (side < 1 || side > kMaxSide) return false;
  }
  if (args.channels < 1 || args.channels > 4 || args.in_stride < args.in_width * args.channels || args.in_stride > kMaxBytes / args.in_height) return false;
  if (args.out_height * args.out_width > kMaxBytes / args.channels) return false;
  // Comparisons that a NaN fails.
  return args.top >= 0 && args.left >= 0 && args.height > 0 && args.width > 0 && args.top + args.height <= static_cast<double>(args.in_height) &&
         args.left + args.width <= static_cast<double>(args.in_width);
}

// The part of an axis that its taps look at.
struct Span {
  int64_t first, count;
};
Span needed(const Axis& axis) {
  if (axis.is_copy()) return {0, axis.in};
  const auto first = std::max<int64_t>(static_cast<int64_t>(axis.center(0) - axis.radius + 0.5), 0);
  const auto last = std::min<int64_t>(static_cast<int64_t>(axis.center(axis.out - 1) + axis.radius + 0.5), axis.in);
  return {first, last - first};
}

struct Plan {
  Axis x, y;
  Span columns, rows;
  bool vertical_first;
  int64_t between_bytes;  // 0 unless both passes run

  explicit Plan(const ResizeArgs& args)
      : x(make_axis(args.in_width, args.out_width, args.left, args.width, args.filter)),
        y(make_axis(args.in_height, args.out_height, args.top, args.height, args.filter)),
        columns(needed(x)),
        rows(needed(y)),
        vertical_first(args.order == ResizeOrder::kVerticalFirst),
        between_bytes(x.is_copy() || y.is_copy() ? 0 : (vertical_first ? args.out_height * columns.count : rows.count * args.out_width) * args.channels) {}
};

constexpr int64_t kReadable = 64;  // bytes after the space between the passes, so that whole registers can be read at its end

}  // namespace

int64_t resize_workspace_bytes(const ResizeArgs& args) {
  if (!sizes_fit(args)) return 0;
  const Plan plan(args);
  return kLine + plan.x.bytes() + plan.y.bytes() + aligned(plan.between_bytes) + kReadable;
}

Status resize_with(const ResizeArgs& args, Isa isa) {
  if (args.filter != ResizeFilter::kBilinear && args.filter != ResizeFilter::kBicubic && args.filter != ResizeFilter::kBox) return Status::kBadValue;
  if (args.order != ResizeOrder::kHorizontalFirst && args.order != ResizeOrder::kVerticalFirst) return Status::kBadValue;
  if (!sizes_fit(args)) return Status::kBadSize;
  if (args.in == nullptr || args.out == nullptr || args.workspace == nullptr) return Status::kNullPointer;
  if (reinterpret_cast<uintptr_t>(args.workspace) % kLine != 0) return Status::kMisaligned;
  const int64_t channels = args.channels;
  const int64_t out_row = args.out_width * channels;
  const int64_t in_bytes = (args.in_height - 1) * args.in_stride + args.in_width * channels;
  if (args.in < args.out + args.out_height * out_row && args.out < args.in + in_bytes) return Status::kOverlap;

  const Plan plan(args);
  const ResizeVariant variant = isa == Isa::kBaseline ? resize_baseline() : resize_avx2();
  const int64_t skipped = plan.rows.first * args.in_stride + plan.columns.first * channels;
  const uint8_t* const corner = args.in + skipped;
  auto* const memory = static_cast<uint8_t*>(args.workspace);
  ResizeTaps across{}, down{};
  if (!plan.x.is_copy()) across = make_taps(plan.x, args.filter, plan.columns.first, memory);
  if (!plan.y.is_copy()) down = make_taps(plan.y, args.filter, plan.rows.first, memory + plan.x.bytes());
  uint8_t* const between = memory + plan.x.bytes() + plan.y.bytes();
  const int64_t between_readable = plan.between_bytes + kReadable;

  if (plan.x.is_copy() && plan.y.is_copy()) {
    for (int64_t row = 0; row < args.out_height; ++row) std::memcpy(args.out + row * out_row, corner + row * args.in_stride, static_cast<size_t>(out_row));
  } else if (plan.y.is_copy()) {
    variant.horizontal(corner, args.in_stride, args.out_height, in_bytes - skipped, args.channels, across, args.out, args.out_width);
  } else if (plan.x.is_copy()) {
    variant.vertical(corner, args.in_stride, out_row, down, args.out, args.out_height);
  } else if (plan.vertical_first) {
    const int64_t between_row = plan.columns.count * channels;
    variant.vertical(corner, args.in_stride, between_row, down, between, args.out_height);
    variant.horizontal(between, between_row, args.out_height, between_readable, args.channels, across, args.out, args.out_width);
  } else {
    variant.horizontal(corner, args.in_stride, plan.rows.count, in_bytes - skipped, args.channels, across, between, args.out_width);
    variant.vertical(between, out_row, out_row, down, args.out, args.out_height);
  }
  return Status::kOk;
}

Status resize(const ResizeArgs& args) {
  Isa isa{};
  if (const Status status = active_isa(&isa); status != Status::kOk) return status;
  return resize_with(args, isa);
}

}  // namespace fettle::kernels
