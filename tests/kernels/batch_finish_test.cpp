#include "kernels/batch_finish/batch_finish.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kernels/batch_finish/batch_finish_variants.h"
#include "tests/kernels/batch_finish_reference.h"
#include "tests/support/skip.h"

using namespace fettle;
using namespace fettle::kernels;
using fettle::test::batch_finish_reference;

namespace {

constexpr Isa kAllIsas[] = {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512};

// A case with its buffers: input and output start `in_offset` and `out_offset` (in elements) behind what malloc gives, and
// the output has a guard of canaries on both sides.
struct Case {
  BatchFinishArgs args;
  std::vector<uint8_t> in, flip, out;
  std::vector<float> mean, std;
  static constexpr size_t kGuard = 64;
  static constexpr uint8_t kCanary = 0xA5;

  Case(int64_t batch, int64_t height, int64_t width, int channels, DType dtype, ImageLayout layout, bool with_flip, unsigned seed,
       size_t in_offset = 0, size_t out_offset = 0) {
    std::mt19937 random(seed);
    const auto values = static_cast<size_t>(batch * height * width * channels);
    in.resize(values + in_offset);
    for (auto& v : in) v = static_cast<uint8_t>(random() & 255u);
    flip.resize(static_cast<size_t>(batch));
    for (size_t b = 0; b < flip.size(); ++b) flip[b] = static_cast<uint8_t>(b % 2 == 0 ? 1 + random() % 255 : 0);
    for (int c = 0; c < channels; ++c) {
      mean.push_back(0.4f + 0.01f * static_cast<float>(c));
      std.push_back(0.2f + 0.013f * static_cast<float>(c));
    }
    const size_t element = static_cast<size_t>(dtype_bytes(dtype));
    offset_ = kGuard + out_offset * element;
    bytes_ = values * element;
    out.assign(offset_ + bytes_ + kGuard, kCanary);
    args = {in.data() + in_offset, with_flip ? flip.data() : nullptr, mean.data(), std.data(), out.data() + offset_,
            batch, height, width, channels, dtype, layout, 1};
  }

  void clear() { std::fill(out.begin(), out.end(), kCanary); }

  bool guards_hold() const {
    for (size_t i = 0; i < out.size(); ++i) {
      if ((i < offset_ || i >= offset_ + bytes_) && out[i] != kCanary) return false;
    }
    return true;
  }

  // Index of the first value that differs from the reference in any bit, or -1.
  int64_t first_difference() const {
    const auto expected = batch_finish_reference(args);
    for (size_t i = 0; i < expected.size(); ++i) {
      const uint8_t* at = out.data() + offset_ + i * static_cast<size_t>(dtype_bytes(args.out_dtype));
      if (args.out_dtype == DType::kF32) {
        if (std::memcmp(at, &expected[i].rounded, 4) != 0) return static_cast<int64_t>(i);
      } else {
        const uint16_t want = test::round_to_bf16(expected[i].rounded);
        if (std::memcmp(at, &want, 2) != 0) return static_cast<int64_t>(i);
      }
    }
    return -1;
  }

 private:
  size_t offset_ = 0, bytes_ = 0;
};

std::string text_of(const BatchFinishArgs& a) {
  return "B " + std::to_string(a.batch) + " H " + std::to_string(a.height) + " W " + std::to_string(a.width) + " C " +
         std::to_string(a.channels) + (a.out_dtype == DType::kF32 ? " f32" : " bf16") +
         (a.out_layout == ImageLayout::kNhwc ? " nhwc" : " nchw") + (a.flip != nullptr ? " flip" : "") + " threads " +
         std::to_string(a.num_threads);
}

void check_variant(Case& c, Isa isa) {
  ScaleBias affine;
  REQUIRE(batch_finish_prepare(c.args, &affine) == Status::kOk);
  c.clear();
  batch_finish_cpu(c.args, affine, isa);
  INFO(isa_name(isa) << " " << text_of(c.args));
  CHECK(c.first_difference() == -1);
  CHECK(c.guards_hold());
}

// Runs `body` for every variant that this CPU has; the others are skipped and counted.
template <class Body>
void for_each_isa(const Body& body) {
  for (const Isa isa : kAllIsas) {
    if (isa > cpu_isa()) {
      test::skip(std::string("this CPU has no ") + isa_name(isa));
    } else {
      body(isa);
    }
  }
}

template <class Body>
void for_each_form(const Body& body) {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const ImageLayout layout : {ImageLayout::kNchw, ImageLayout::kNhwc}) {
      for (const bool flip : {false, true}) body(dtype, layout, flip);
    }
  }
}

}  // namespace

TEST_CASE("batch_finish: hand-worked values, both layouts, with and without a flip") {
  // One image of 1 x 2 pixels: (0, 51, 102) and (255, 204, 153). mean 0, 0.2, 0.6; std 1, 0.5, 2.
  const uint8_t in[] = {0, 51, 102, 255, 204, 153};
  const float mean[] = {0.0f, 0.2f, 0.6f}, std[] = {1.0f, 0.5f, 2.0f};
  const uint8_t flip[] = {1};
  float out[6];
  BatchFinishArgs args{in, nullptr, mean, std, out, 1, 1, 2, 3, DType::kF32, ImageLayout::kNhwc, 1};
  const auto expect = [&](std::initializer_list<double> values) {
    REQUIRE(batch_finish({}, args, {}) == Status::kOk);
    size_t i = 0;
    for (const double value : values) {
      INFO("at " << i);
      CHECK(out[i++] == Approx(value).margin(1e-7));
    }
  };
  expect({0, 0, -0.1, 1, 1.2, 0});
  args.flip = flip;
  expect({1, 1.2, 0, 0, 0, -0.1});
  args.out_layout = ImageLayout::kNchw;
  expect({1, 0, 1.2, 0, 0, -0.1});
  args.flip = nullptr;
  expect({0, 1, 0, 1.2, -0.1, 0});
}

TEST_CASE("batch_finish: bf16 rounds to nearest, ties to even, in the vectors and in the rest") {
  // 0.5 * pixel + 128 with eight bits of mantissa: the spacing is 1, odd pixels are ties.
  const float mean[] = {-256.0f / 255}, std[] = {2.0f / 255};
  const std::pair<uint8_t, float> cases[] = {{0, 128}, {1, 128}, {2, 129}, {3, 130}, {5, 130}, {7, 132}, {253, 254}, {255, 256}};
  std::vector<uint8_t> in;
  for (size_t i = 0; i < 16 * 8 + 3; ++i) in.push_back(cases[i % 8].first);
  const auto count = static_cast<int64_t>(in.size());
  for_each_isa([&](Isa isa) {
    std::vector<uint16_t> out(in.size());
    BatchFinishArgs args{in.data(), nullptr, mean, std, out.data(), 1, 1, count, 1, DType::kBF16, ImageLayout::kNhwc, 1};
    ScaleBias affine;
    REQUIRE(batch_finish_prepare(args, &affine) == Status::kOk);
    batch_finish_cpu(args, affine, isa);
    for (size_t i = 0; i < out.size(); ++i) {
      INFO(isa_name(isa) << " at " << i);
      CHECK(test::from_bf16(out[i]) == cases[i % 8].second);
    }
  });
}

TEST_CASE("batch_finish: every variant equals the plain loops bit for bit over a table of sizes") {
  for_each_isa([](Isa isa) {
    for (const int channels : {1, 2, 3, 4, 5, 7, 16}) {
      for (const int64_t width : {0, 1, 2, 5, 15, 16, 17, 31, 32, 33, 63}) {
        for_each_form([&](DType dtype, ImageLayout layout, bool flip) {
          Case c(3, 2, width, channels, dtype, layout, flip, 7);
          check_variant(c, isa);
        });
      }
    }
  });
}

TEST_CASE("batch_finish: rows longer than the scratch buffer, several tiles an image, empty batches") {
  struct Size {
    int64_t batch, height, width;
  };
  for_each_isa([](Isa isa) {
    for (const int channels : {1, 3, 4}) {
      for (const Size& s : {Size{2, 1, 9001}, Size{1, 3, 3000}, Size{2, 97, 101}, Size{0, 8, 8}, Size{3, 0, 8}, Size{1, 224, 224}}) {
        for_each_form([&](DType dtype, ImageLayout layout, bool flip) {
          Case c(s.batch, s.height, s.width, channels, dtype, layout, flip, 11);
          check_variant(c, isa);
        });
      }
    }
  });
}

TEST_CASE("batch_finish: unaligned input and output") {
  for_each_isa([](Isa isa) {
    for (const int channels : {1, 3}) {
      for (size_t offset = 1; offset < 8; ++offset) {
        for_each_form([&](DType dtype, ImageLayout layout, bool flip) {
          Case c(2, 5, 29, channels, dtype, layout, flip, 13, offset, offset);
          check_variant(c, isa);
        });
      }
    }
  });
}

TEST_CASE("batch_finish: one, two and five threads give the same bits") {
  for_each_form([&](DType dtype, ImageLayout layout, bool flip) {
    Case c(9, 61, 67, 3, dtype, layout, flip, 17);
    for (const int threads : {0, 1, 2, 5}) {
      c.args.num_threads = threads;
      check_variant(c, cpu_isa());
    }
  });
}

TEST_CASE("batch_finish: the error against exact arithmetic stays within the header's bound") {
  for (const ImageLayout layout : {ImageLayout::kNchw, ImageLayout::kNhwc}) {
    std::vector<uint8_t> in(256 * 3);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i / 3);
    const float mean[] = {0.485f, 0.456f, 0.406f}, std[] = {0.229f, 0.224f, 0.225f};
    std::vector<float> f32(in.size());
    std::vector<uint16_t> bf16(in.size());
    BatchFinishArgs args{in.data(), nullptr, mean, std, f32.data(), 1, 16, 16, 3, DType::kF32, layout, 1};
    REQUIRE(batch_finish({}, args, {}) == Status::kOk);
    args.out = bf16.data(), args.out_dtype = DType::kBF16;
    REQUIRE(batch_finish({}, args, {}) == Status::kOk);
    const auto expected = batch_finish_reference(args);
    for (size_t i = 0; i < expected.size(); ++i) {
      const double exact = expected[i].exact;
      INFO(i << " exact " << exact << " f32 " << f32[i] << " bf16 " << test::from_bf16(bf16[i]));
      CHECK(std::abs(f32[i] - exact) <= expected[i].bound);
      CHECK(std::abs(test::from_bf16(bf16[i]) - exact) <= expected[i].bound + 0x1p-8 * std::abs(exact));
    }
  }
}

TEST_CASE("batch_finish: arguments that the header forbids are refused and nothing is written") {
  const auto refuse = [](Status expected, const std::function<void(BatchFinishArgs&)>& spoil) {
    Case c(2, 4, 5, 3, DType::kF32, ImageLayout::kNhwc, true, 19);
    void* out = c.args.out;
    spoil(c.args);
    CHECK(batch_finish({}, c.args, {}) == expected);
    c.args.out = out;
    CHECK(std::all_of(c.out.begin(), c.out.end(), [](uint8_t v) { return v == Case::kCanary; }));
  };
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  for (const float bad : {0.0f, -1.0f, nan, inf, 1e-44f}) {
    const float std[] = {1, bad, 1};
    INFO("std " << bad);
    refuse(Status::kBadValue, [&](BatchFinishArgs& a) { a.std = std; });
  }
  for (const float bad : {nan, inf, -inf, 3e38f}) {
    const float mean[] = {0, 0, bad};
    INFO("mean " << bad);
    refuse(Status::kBadValue, [&](BatchFinishArgs& a) { a.mean = mean; });
  }
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.batch = -1; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.height = -1; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.width = -1; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.num_threads = -1; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.channels = 0; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.channels = 17; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.height = a.width = int64_t{1} << 16; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.height = a.width = int64_t{1} << 40; });
  refuse(Status::kBadSize, [](BatchFinishArgs& a) { a.batch = int64_t{1} << 60; });
  refuse(Status::kBadDType, [](BatchFinishArgs& a) { a.out_dtype = static_cast<DType>(9); });
  refuse(Status::kBadDType, [](BatchFinishArgs& a) { a.out_layout = static_cast<ImageLayout>(9); });
  refuse(Status::kNullPointer, [](BatchFinishArgs& a) { a.in = nullptr; });
  refuse(Status::kNullPointer, [](BatchFinishArgs& a) { a.out = nullptr; });
  refuse(Status::kNullPointer, [](BatchFinishArgs& a) { a.mean = nullptr; });
  refuse(Status::kNullPointer, [](BatchFinishArgs& a) { a.std = nullptr; });
  refuse(Status::kMisaligned, [](BatchFinishArgs& a) { a.out = static_cast<char*>(a.out) + 2; });
  refuse(Status::kOverlap, [](BatchFinishArgs& a) { a.in = static_cast<uint8_t*>(a.out) + 2 * 4 * 5 * 3 * 4 - 1; });
  refuse(Status::kOverlap, [](BatchFinishArgs& a) { a.flip = static_cast<uint8_t*>(a.out); });
  Case c(1, 1, 1, 1, DType::kF32, ImageLayout::kNhwc, false, 1);
  CHECK(batch_finish({DeviceKind::kCuda, nullptr}, c.args, {}) == Status::kNoCudaModule);
}

TEST_CASE("isa: FETTLE_ISA narrows the choice, and more than the CPU has is an error") {
  Isa isa{};
  CHECK(choose_isa(nullptr, Isa::kAvx2, &isa) == Status::kOk);
  CHECK(isa == Isa::kAvx2);
  CHECK(choose_isa("", Isa::kBaseline, &isa) == Status::kOk);
  CHECK(isa == Isa::kBaseline);
  CHECK(choose_isa("baseline", Isa::kAvx512, &isa) == Status::kOk);
  CHECK(isa == Isa::kBaseline);
  CHECK(choose_isa("avx2", Isa::kAvx512, &isa) == Status::kOk);
  CHECK(isa == Isa::kAvx2);
  CHECK(choose_isa("avx512", Isa::kAvx2, &isa) == Status::kNoInstructionSet);
  CHECK(choose_isa("AVX2", Isa::kAvx512, &isa) == Status::kNoInstructionSet);
}

TEST_CASE("isa: the environment decides what the dispatch runs") {
  const char* wish = std::getenv("FETTLE_ISA");
  Isa isa{};
  const Status status = active_isa(&isa);
  Isa expected{};
  CHECK(status == choose_isa(wish, cpu_isa(), &expected));
  CHECK(isa == expected);
  Case c(2, 7, 33, 3, DType::kBF16, ImageLayout::kNchw, true, 23);
  CHECK(batch_finish({}, c.args, {}) == status);
  if (status == Status::kOk) CHECK(c.first_difference() == -1);
}
