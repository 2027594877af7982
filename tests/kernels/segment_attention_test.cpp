#include "kernels/segment_attention/segment_attention.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "tests/kernels/batch_finish_reference.h"

using namespace fettle::kernels;
using fettle::test::from_bf16;
using fettle::test::round_to_bf16;

namespace {

struct Free {
  void operator()(float* p) const { ::operator delete(p, std::align_val_t{64}); }
};
using Workspace = std::unique_ptr<float, Free>;
// Exactly as much as is asked for, so that the address sanitizer sees what goes beyond.
Workspace workspace_of(const SegmentAttentionShape& s) {
  return Workspace(static_cast<float*>(::operator new(sizeof(float) * static_cast<size_t>(segment_attention_workspace(s)), std::align_val_t{64})));
}

void require_ok(Status status) {
  INFO(status_text(status));
  REQUIRE(status == Status::kOk);
}

std::vector<float> numbers(int64_t count, uint32_t seed, bool bf16, float deviation = 1) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = bf16 ? from_bf16(round_to_bf16(normal(generator))) : normal(generator);
  return values;
}

struct Result {
  std::vector<double> out, logsumexp, dqkv;
};

// The header's formulas in double. `out` for the gradients is what the forward pass gave, rounded as it is.
Result plain(const SegmentAttentionShape& s, const std::vector<float>& qkv, const std::vector<float>& dout, const std::vector<float>& given_out) {
  const int64_t L = s.length, H = s.heads, D = s.width;
  Result r{std::vector<double>(static_cast<size_t>(s.segments * L * H * D)), std::vector<double>(static_cast<size_t>(s.segments * L * H)), std::vector<double>(qkv.size())};
  const double scale = 1 / std::sqrt(static_cast<double>(D));
  for (int64_t g = 0; g < s.segments; ++g) {
    for (int64_t h = 0; h < H; ++h) {
      const auto place = [&](int64_t row, int64_t part, int64_t c) { return static_cast<size_t>((((g * L + row) * 3 + part) * H + h) * D + c); };
      const auto out_place = [&](int64_t row, int64_t c) { return static_cast<size_t>(((g * L + row) * H + h) * D + c); };
      for (int64_t i = 0; i < L; ++i) {
        std::vector<double> p(static_cast<size_t>(L));
        double most = -1e300, sum = 0, dot = 0;
        for (int64_t j = 0; j < L; ++j) {
          double score = 0;
          for (int64_t c = 0; c < D; ++c) score += static_cast<double>(qkv[place(i, 0, c)]) * qkv[place(j, 1, c)];
          p[static_cast<size_t>(j)] = score * scale;
          most = std::max(most, score * scale);
        }
        for (double& value : p) sum += value = std::exp(value - most);
        for (double& value : p) value /= sum;
        r.logsumexp[static_cast<size_t>((g * L + i) * H + h)] = most + std::log(sum);
        for (int64_t c = 0; c < D; ++c) {
          for (int64_t j = 0; j < L; ++j) r.out[out_place(i, c)] += p[static_cast<size_t>(j)] * qkv[place(j, 2, c)];
          dot += static_cast<double>(dout[out_place(i, c)]) * given_out[out_place(i, c)];
        }
        for (int64_t j = 0; j < L; ++j) {
          double dp = 0;
          for (int64_t c = 0; c < D; ++c) {
            dp += static_cast<double>(dout[out_place(i, c)]) * qkv[place(j, 2, c)];
            r.dqkv[place(j, 2, c)] += p[static_cast<size_t>(j)] * dout[out_place(i, c)];
          }
          const double ds = p[static_cast<size_t>(j)] * (dp - dot) * scale;
          for (int64_t c = 0; c < D; ++c) {
            r.dqkv[place(i, 0, c)] += ds * qkv[place(j, 1, c)];
            r.dqkv[place(j, 1, c)] += ds * qkv[place(i, 0, c)];
          }
        }
      }
    }
  }
  return r;
}

// Storage of the shape's type, filled with a number that must be overwritten.
struct Numbers {
  bool bf16;
  std::vector<float> wide;
  std::vector<uint16_t> narrow;

  Numbers(bool is_bf16, size_t count) : bf16(is_bf16), wide(is_bf16 ? 0 : count, 7.0F), narrow(is_bf16 ? count : 0, 0x40e0) {}
  Numbers(bool is_bf16, const std::vector<float>& values) : bf16(is_bf16), wide(is_bf16 ? std::vector<float>() : values) {
    if (is_bf16) {
      for (const float value : values) narrow.push_back(round_to_bf16(value));
    }
  }
  void* data() { return bf16 ? static_cast<void*>(narrow.data()) : static_cast<void*>(wide.data()); }
  std::vector<float> values() const {
    if (!bf16) return wide;
    std::vector<float> all;
    for (const uint16_t value : narrow) all.push_back(from_bf16(value));
    return all;
  }
};

void check_close(const char* what, const std::vector<float>& got, const std::vector<double>& want, double relative) {
  INFO(what);
  REQUIRE(got.size() == want.size());
  double scale = 0, worst = 0;
  for (const double value : want) scale = std::max(scale, std::abs(value));
  for (size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::abs(got[i] - want[i]));
  CHECK(worst <= relative * scale + 1e-7);
}

void check(const SegmentAttentionShape& s, float deviation = 1) {
  const bool bf16 = s.dtype == DType::kBF16;
  INFO(s.segments << " segments of " << s.length << ", " << s.heads << " heads of " << s.width << (bf16 ? ", bf16" : ", f32"));
  const int64_t outs = s.segments * s.length * s.heads * s.width;
  const std::vector<float> qkv = numbers(3 * outs, 1, bf16, deviation), dout = numbers(outs, 2, bf16);
  Numbers in(bf16, qkv), d(bf16, dout), out(bf16, static_cast<size_t>(outs)), again(bf16, static_cast<size_t>(outs)), dqkv(bf16, qkv.size());
  std::vector<float> logsumexp(static_cast<size_t>(s.segments * s.length * s.heads), 7.0F);
  const Workspace workspace = workspace_of(s);
  require_ok(segment_attention_forward(s, {.qkv = in.data(), .out = out.data(), .logsumexp = logsumexp.data(), .workspace = workspace.get()}));
  require_ok(segment_attention_forward(s, {.qkv = in.data(), .out = again.data(), .workspace = workspace.get()}));
  CHECK(out.values() == again.values());
  require_ok(segment_attention_backward(s, {.qkv = in.data(), .out = out.data(), .logsumexp = logsumexp.data(), .dout = d.data(), .dqkv = dqkv.data(), .workspace = workspace.get()}));
  const Result want = plain(s, qkv, dout, out.values());
  // Large scores have large rounding errors, which exp takes for relative ones.
  const double rounding = 1e-6 * std::max(1.0, static_cast<double>(deviation * deviation));
  check_close("out", out.values(), want.out, rounding + (bf16 ? 4e-3 : 1e-6));
  check_close("logsumexp", logsumexp, want.logsumexp, 2e-6);
  check_close("dqkv", dqkv.values(), want.dqkv, 5 * rounding + (bf16 ? 4e-3 : 5e-6));
}

}  // namespace

TEST_CASE("segment_attention: both passes are the formulas, over a table of sizes") {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const int64_t length : {1, 2, 5, 6, 7, 15, 16, 17, 33, 64, 100, 256}) {
      for (const int64_t width : {1, 3, 8, 16, 24, 64, 65}) {
        if (length * width <= 256 * 24) check({.segments = 2, .length = length, .heads = 2, .width = width, .dtype = dtype});
      }
    }
    check({.segments = 3, .length = 128, .heads = 3, .width = 64, .dtype = dtype});
    check({.segments = 1, .length = 20, .heads = 1, .width = 256, .dtype = dtype});
    check({.segments = 1, .length = 40, .heads = 2, .width = 16, .dtype = dtype}, 8);  // one key takes nearly all of a row
  }
}

TEST_CASE("segment_attention: scores of any size, and what is not finite") {
  const SegmentAttentionShape s{.segments = 1, .length = 3, .heads = 1, .width = 1};
  const Workspace workspace = workspace_of(s);
  std::vector<float> out(3), logsumexp(3);
  // q = 1 throughout, so that scores are the keys.
  std::vector<float> qkv = {1, 3000, 1, 1, 0, 2, 1, -3000, 4};
  require_ok(segment_attention_forward(s, {.qkv = qkv.data(), .out = out.data(), .logsumexp = logsumexp.data(), .workspace = workspace.get()}));
  CHECK(out == std::vector<float>{1, 1, 1});
  CHECK(logsumexp == std::vector<float>{3000, 3000, 3000});
  qkv[1] = std::numeric_limits<float>::quiet_NaN();
  require_ok(segment_attention_forward(s, {.qkv = qkv.data(), .out = out.data(), .logsumexp = logsumexp.data(), .workspace = workspace.get()}));
  for (const float value : out) CHECK(std::isnan(value));
  qkv[1] = std::numeric_limits<float>::infinity();
  require_ok(segment_attention_forward(s, {.qkv = qkv.data(), .out = out.data(), .logsumexp = logsumexp.data(), .workspace = workspace.get()}));
  for (const float value : out) CHECK(std::isnan(value));
}

TEST_CASE("segment_attention: what it cannot do it says") {
  SegmentAttentionShape s{.segments = 1, .length = 4, .heads = 1, .width = 4};
  std::vector<float> qkv(48), out(16), logsumexp(4), dqkv(48);
  const Workspace workspace = workspace_of(s);
  const SegmentAttentionForward forward{.qkv = qkv.data(), .out = out.data(), .workspace = workspace.get()};
  const SegmentAttentionBackward backward{.qkv = qkv.data(), .out = out.data(), .logsumexp = logsumexp.data(), .dout = out.data(), .dqkv = dqkv.data(), .workspace = workspace.get()};
  const auto with = [&](auto change) {
    SegmentAttentionShape changed = s;
    change(changed);
    CHECK(segment_attention_workspace(changed) == (segment_attention_forward(changed, forward) == Status::kOk ? segment_attention_workspace(s) : 0));
    CHECK(segment_attention_forward(changed, forward) == segment_attention_backward(changed, backward));
    return segment_attention_forward(changed, forward);
  };
  CHECK(with([](SegmentAttentionShape&) {}) == Status::kOk);
  CHECK(with([](SegmentAttentionShape& c) { c.length = kSegmentAttentionMaxLength + 1; }) == Status::kBadSize);
  CHECK(with([](SegmentAttentionShape& c) { c.length = -1; }) == Status::kBadSize);
  CHECK(with([](SegmentAttentionShape& c) { c.segments = -1; }) == Status::kBadSize);
  CHECK(with([](SegmentAttentionShape& c) { c.segments = INT64_MAX / 4; }) == Status::kBadSize);
  CHECK(with([](SegmentAttentionShape& c) { c.heads = 0; }) == Status::kBadSize);
  CHECK(with([](SegmentAttentionShape& c) { c.width = kSegmentAttentionMaxWidth + 1; }) == Status::kBadSize);
  CHECK(with([](SegmentAttentionShape& c) { c.dtype = DType::kF64; }) == Status::kBadDType);
  s.segments = 0;
  CHECK(segment_attention_forward(s, {}) == Status::kOk);
  CHECK(segment_attention_backward(s, {}) == Status::kOk);
  s.segments = 1;
  CHECK(segment_attention_forward(s, {.qkv = qkv.data(), .out = out.data()}) == Status::kNullPointer);
  CHECK(segment_attention_backward(s, {.qkv = qkv.data(), .out = out.data(), .dout = out.data(), .dqkv = dqkv.data(), .workspace = workspace.get()}) == Status::kNullPointer);
}
