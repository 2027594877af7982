#include "kernels/norm_act/norm_act.h"

#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/norm_act/norm_act_variants.h"
#include "tests/kernels/batch_finish_reference.h"

using namespace fettle;
using namespace fettle::kernels;
using test::round_to_bf16;

namespace {

constexpr NormActivation kActivations[] = {NormActivation::kNone, NormActivation::kRelu, NormActivation::kRelu6, NormActivation::kHardswish};
constexpr DType kTypes[] = {DType::kF32, DType::kBF16, DType::kF64};

// Numbers as the kernel keeps them, and as doubles.
struct Numbers {
  std::vector<uint8_t> bytes;
  DType dtype = DType::kF32;
  size_t size = 0;

  Numbers(DType type, size_t count) : bytes(count * static_cast<size_t>(dtype_bytes(type)), 0xA5), dtype(type), size(count) {}
  double operator[](size_t i) const {
    if (dtype == DType::kF64) return at<double>(i);
    if (dtype == DType::kF32) return at<float>(i);
    return std::bit_cast<float>(static_cast<uint32_t>(at<uint16_t>(i)) << 16);
  }
  void set(size_t i, double value) {
    if (dtype == DType::kF64) return put(i, value);
    if (dtype == DType::kF32) return put(i, static_cast<float>(value));
    put(i, round_to_bf16(static_cast<float>(value)));
  }
  const void* data() const { return bytes.data(); }
  void* data() { return bytes.data(); }

 private:
  template <class T>
  T at(size_t i) const {
    T value;
    std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
    return value;
  }
  template <class T>
  void put(size_t i, T value) { std::memcpy(bytes.data() + i * sizeof value, &value, sizeof value); }
};

struct Case {
  NormActShape shape;
  bool has_residual;
  Numbers x, residual, dy, scale, shift, mean, slope, offset;
  // What comes out.
  Numbers y, g, dx;
  std::vector<double> sums, gradient_sums;

  Case(int64_t rows, int64_t channels, DType dtype, NormActivation activation, bool with_residual)
      : shape{rows, channels, dtype, activation, 1},
        has_residual(with_residual),
        x(draw(1, 0.3, 2)), residual(draw(2, 0, 1)), dy(draw(3, 0, 1)),
        scale(draw_channels(4, 0.8, 0.5)), shift(draw_channels(5, 0.2, 1)), mean(draw_channels(6, 0.3, 0.2)), slope(draw_channels(7, 0, 0.3)), offset(draw_channels(8, 0, 0.1)),
        y(dtype, x.size), g(dtype, x.size), dx(dtype, x.size),
        sums(static_cast<size_t>(2 * channels)), gradient_sums(sums.size()) {}

  // Everything, through the dispatch.
  void run(int num_threads) {
    shape.num_threads = num_threads;
    std::vector<double> workspace(static_cast<size_t>(norm_act_workspace(shape)));
    REQUIRE(norm_act_sums({}, shape, {x.data(), sums.data(), workspace.data()}, {}) == Status::kOk);
    REQUIRE(norm_act_forward({}, shape, forward_args(), {}) == Status::kOk);
    NormActGradientSums args = gradient_args();
    args.workspace = workspace.data();
    REQUIRE(norm_act_gradient_sums({}, shape, args, {}) == Status::kOk);
    REQUIRE(norm_act_backward({}, last_shape(), backward_args(), {}) == Status::kOk);
  }

  // Everything as one run of rows, with one instruction set.
  void run(const NormActVariant& variant) {
    variant.sums(shape, {x.data(), nullptr, nullptr}, 0, shape.rows, 0, shape.channels, sums.data());
    variant.forward(shape, forward_args(), 0, shape.rows);
    variant.gradient_sums(shape, gradient_args(), 0, shape.rows, 0, shape.channels, gradient_sums.data());
    variant.backward(last_shape(), backward_args(), 0, shape.rows);
  }

  NormActForward forward_args() { return {x.data(), has_residual ? residual.data() : nullptr, scale.data(), shift.data(), y.data()}; }
  NormActGradientSums gradient_args() {
    const bool from_y = has_residual && shape.activation != NormActivation::kNone;
    return {dy.data(), x.data(), from_y ? y.data() : nullptr, scale.data(), shift.data(), has_residual ? g.data() : nullptr, gradient_sums.data(), nullptr};
  }
  NormActBackward backward_args() { return {has_residual ? g.data() : dy.data(), x.data(), scale.data(), shift.data(), mean.data(), slope.data(), offset.data(), dx.data()}; }
  NormActShape last_shape() const {
    NormActShape last = shape;
    if (has_residual) last.activation = NormActivation::kNone;
    return last;
  }

  bool equals(const Case& other) const {
    const auto same = [](const std::vector<double>& a, const std::vector<double>& b) { return std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0; };
    return y.bytes == other.y.bytes && (!has_residual || g.bytes == other.g.bytes) && dx.bytes == other.dx.bytes && same(sums, other.sums) &&
           same(gradient_sums, other.gradient_sums);
  }

 private:
  Numbers draw(unsigned seed, double center, double spread) const {
    return drawn(Numbers(shape.dtype, static_cast<size_t>(shape.rows * shape.channels)), seed, center, spread);
  }
  Numbers draw_channels(unsigned seed, double center, double spread) const {
    return drawn(Numbers(shape.dtype == DType::kF64 ? DType::kF64 : DType::kF32, static_cast<size_t>(shape.channels)), seed, center, spread);
  }
  static Numbers drawn(Numbers numbers, unsigned seed, double center, double spread) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(center, spread);
    for (size_t i = 0; i < numbers.size; ++i) numbers.set(i, normal(random));
    return numbers;
  }
};

double activated(double z, NormActivation activation) {
  switch (activation) {
    case NormActivation::kNone: return z;
    case NormActivation::kRelu: return std::fmax(z, 0);
    case NormActivation::kRelu6: return std::fmin(std::fmax(z, 0), 6);
    case NormActivation::kHardswish: return z * std::fmin(std::fmax(z + 3, 0), 6) / 6;
  }
  return 0;
}

double slope_at(double z, NormActivation activation) {
  switch (activation) {
    case NormActivation::kNone: return 1;
    case NormActivation::kRelu: return z > 0;
    case NormActivation::kRelu6: return z > 0 && z < 6;
    case NormActivation::kHardswish: return z < -3 ? 0 : z > 3 ? 1 : z / 3 + 0.5;
  }
  return 0;
}

// Half a unit in the last place of what is stored, and a few of what is computed in.
double tolerance(DType dtype, double magnitude) {
  const double computed = dtype == DType::kF64 ? 1e-14 : 1e-6, stored = dtype == DType::kBF16 ? 0x1p-8 : 0;
  return (computed + stored) * magnitude + (dtype == DType::kF64 ? 1e-14 : 1e-6);
}

void check_against_formula(const Case& c) {
  const auto channels = static_cast<size_t>(c.shape.channels);
  std::vector<double> sum(channels), square(channels), g_sum(channels), g_x(channels), size(channels);
  for (size_t i = 0; i < c.x.size; ++i) {
    const size_t ch = i % channels;
    const double x = c.x[i], z = x * c.scale[ch] + c.shift[ch] + (c.has_residual ? c.residual[i] : 0);
    sum[ch] += x;
    square[ch] += x * x;
    REQUIRE(std::abs(c.y[i] - activated(z, c.shape.activation)) <= tolerance(c.shape.dtype, 4 + std::abs(z)));
    // At a kink the side is a matter of rounding: there the mask is the kernel's own.
    const double g = c.has_residual ? c.g[i] : c.dy[i] * slope_at(z, c.shape.activation);
    if (c.has_residual && std::abs(z) > 0.1 && std::abs(z - 6) > 0.1) REQUIRE(g == c.dy[i] * slope_at(z, c.shape.activation));
    const double dx = g * c.scale[ch] + (x - c.mean[ch]) * c.slope[ch] + c.offset[ch];
    if (std::abs(z) > 1e-4 && std::abs(std::abs(z) - 3) > 1e-4 && std::abs(z - 6) > 1e-4) REQUIRE(std::abs(c.dx[i] - dx) <= tolerance(c.shape.dtype, 4 + std::abs(dx)));
    g_sum[ch] += g;
    g_x[ch] += g * x;
    size[ch] += std::abs(g * x) + x * x;
  }
  for (size_t ch = 0; ch < channels; ++ch) {
    const double close = (c.shape.dtype == DType::kF64 ? 1e-13 : 1e-6) * (1 + size[ch]);
    const double exact = c.shape.dtype == DType::kBF16 ? 1e-6 : 1e-12;
    REQUIRE(std::abs(c.sums[ch] - sum[ch]) <= exact * (1 + size[ch]));
    REQUIRE(std::abs(c.sums[channels + ch] - square[ch]) <= exact * (1 + size[ch]));
    REQUIRE(std::abs(c.gradient_sums[ch] - g_sum[ch]) <= close);
    REQUIRE(std::abs(c.gradient_sums[channels + ch] - g_x[ch]) <= close);
  }
}

bool has_form(NormActivation activation, bool residual) { return !(residual && activation == NormActivation::kHardswish); }

}  // namespace

TEST_CASE("norm_act: values, sums and gradients follow the formulas") {
  for (const auto& [rows, channels] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {2, 3}, {7, 8}, {700, 16}, {129, 24}, {50, 40}, {260, 300}, {1030, 17}}) {
    for (const DType dtype : kTypes) {
      for (const NormActivation activation : kActivations) {
        for (const bool residual : {false, true}) {
          if (!has_form(activation, residual)) continue;
          INFO(rows << " x " << channels << ", type " << static_cast<int>(dtype) << ", activation " << static_cast<int>(activation) << ", residual " << residual);
          Case c(rows, channels, dtype, activation, residual);
          c.run(2);
          check_against_formula(c);
        }
      }
    }
  }
}

TEST_CASE("norm_act: every instruction set and any number of threads give the same bits") {
  for (const auto& [rows, channels] : std::vector<std::pair<int64_t, int64_t>>{{3, 5}, {260, 300}, {2500, 17}, {300, 64}}) {
    for (const DType dtype : kTypes) {
      for (const NormActivation activation : kActivations) {
        for (const bool residual : {false, true}) {
          if (!has_form(activation, residual)) continue;
          INFO(rows << " x " << channels << ", type " << static_cast<int>(dtype) << ", activation " << static_cast<int>(activation) << ", residual " << residual);
          Case plain(rows, channels, dtype, activation, residual), other = plain;
          plain.run(norm_act_baseline());
          if (cpu_isa() >= Isa::kAvx2) {
            other.run(norm_act_avx2());
            CHECK(other.equals(plain));
          }
          if (cpu_isa() >= Isa::kAvx512) {
            other.run(norm_act_avx512());
            CHECK(other.equals(plain));
          }
          plain.run(1);
          for (const int threads : {2, 3, 7}) {
            other.run(threads);
            CHECK(other.equals(plain));
          }
        }
      }
    }
  }
}

TEST_CASE("norm_act: a NaN passes, and the edges of the activations have no slope") {
  for (const DType dtype : kTypes) {
    for (const NormActivation activation : kActivations) {
      Case c(2, 40, dtype, activation, false);
      for (size_t ch = 0; ch < 40; ++ch) {
        c.scale.set(ch, 1);
        c.shift.set(ch, 0);
        c.slope.set(ch, 0);
        c.offset.set(ch, 0);
        c.dy.set(ch, 1);
        c.x.set(ch, ch % 4 == 0 ? std::numeric_limits<double>::quiet_NaN() : ch % 4 == 1 ? 0 : ch % 4 == 2 ? 6 : -std::numeric_limits<double>::infinity());
      }
      c.run(1);
      for (size_t ch = 0; ch < 40; ch += 4) {
        INFO("channel " << ch << ", type " << static_cast<int>(dtype) << ", activation " << static_cast<int>(activation));
        CHECK(std::isnan(c.y[ch]));
        CHECK(c.y[ch + 1] == 0);
        CHECK(c.y[ch + 2] == 6);
        if (activation == NormActivation::kRelu || activation == NormActivation::kRelu6) {
          CHECK(c.y[ch + 3] == 0);
          CHECK(c.dx[ch + 1] == 0);
          CHECK(c.dx[ch + 2] == (activation == NormActivation::kRelu ? 1 : 0));
        }
      }
    }
  }
}

TEST_CASE("norm_act: fixed statistics scale the gradient, in place where asked") {
  Case c(100, 24, DType::kF32, NormActivation::kRelu, false);
  c.run(1);
  NormActBackward args = c.backward_args();
  args.mean = args.slope = args.offset = nullptr;
  REQUIRE(norm_act_backward({}, c.shape, args, {}) == Status::kOk);
  for (size_t i = 0; i < c.x.size; ++i) REQUIRE(c.dx[i] == (c.y[i] > 0 ? static_cast<float>(c.dy[i] * c.scale[i % 24]) : 0));
  args.dx = c.dy.data();
  REQUIRE(norm_act_backward({}, c.shape, args, {}) == Status::kOk);
  CHECK(c.dy.bytes == c.dx.bytes);
  NormActForward forward = c.forward_args();
  forward.y = c.x.data();
  REQUIRE(norm_act_forward({}, c.shape, forward, {}) == Status::kOk);
  CHECK(c.x.bytes == c.y.bytes);
}

TEST_CASE("norm_act: a variance far below the square of the mean survives") {
  Case c(4096, 16, DType::kF32, NormActivation::kNone, false);
  std::mt19937 random(9);
  std::normal_distribution<double> normal(1000, 0.01);
  double exact_sum = 0, exact_square = 0;
  for (size_t i = 0; i < c.x.size; ++i) c.x.set(i, normal(random));
  for (size_t i = 0; i < c.x.size; i += 16) exact_sum += c.x[i];
  for (size_t i = 0; i < c.x.size; i += 16) exact_square += (c.x[i] - exact_sum / 4096) * (c.x[i] - exact_sum / 4096);
  c.run(2);
  CHECK(c.sums[16] / 4096 - std::pow(c.sums[0] / 4096, 2) == Approx(exact_square / 4096).epsilon(1e-4));
}

TEST_CASE("norm_act: no rows is legal, what the header excludes is refused") {
  Case c(4, 8, DType::kF32, NormActivation::kHardswish, false);
  std::vector<double> workspace(static_cast<size_t>(norm_act_workspace(c.shape)));
  NormActGradientSums sums = c.gradient_args();
  sums.workspace = workspace.data();
  NormActShape shape = c.shape;
  shape.rows = 0;
  CHECK(norm_act_sums({}, shape, {nullptr, c.sums.data(), nullptr}, {}) == Status::kOk);
  CHECK(c.sums == std::vector<double>(16, 0.0));
  CHECK(norm_act_forward({}, shape, {}, {}) == Status::kOk);
  CHECK(norm_act_forward({}, c.shape, {}, {}) == Status::kNullPointer);
  CHECK(norm_act_sums({}, c.shape, {c.x.data(), nullptr, workspace.data()}, {}) == Status::kNullPointer);
  sums.y = c.y.data();
  CHECK(norm_act_gradient_sums({}, c.shape, sums, {}) == Status::kBadValue);
  NormActBackward backward = c.backward_args();
  backward.mean = nullptr;
  CHECK(norm_act_backward({}, c.shape, backward, {}) == Status::kNullPointer);
  shape = c.shape;
  shape.channels = 0;
  CHECK(norm_act_forward({}, shape, c.forward_args(), {}) == Status::kBadSize);
  shape = c.shape;
  shape.rows = -1;
  CHECK(norm_act_forward({}, shape, c.forward_args(), {}) == Status::kBadSize);
  shape.rows = std::numeric_limits<int64_t>::max() / 4;
  CHECK(norm_act_forward({}, shape, c.forward_args(), {}) == Status::kBadSize);
  shape = c.shape;
  shape.dtype = static_cast<DType>(9);
  CHECK(norm_act_forward({}, shape, c.forward_args(), {}) == Status::kBadDType);
}
