// Resizing against Pillow's recorded pixels, against the formula in floating point, and the variants against each other.
#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/resize/resize.h"
#include "kernels/resize/resize_variants.h"

using namespace fettle::kernels;

namespace {

std::vector<uint8_t> pattern(int64_t height, int64_t width, int64_t channels) {
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < channels; ++c) pixels.push_back(static_cast<uint8_t>(y * y * 37 + x * 91 + c * 53 + x * y * 11));
    }
  }
  return pixels;
}

struct Box {
  double top, left, height, width;
};

struct Workspace {
  explicit Workspace(int64_t bytes) : memory(std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64))) {}
  ~Workspace() { std::free(memory); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  void* memory;
};

std::vector<Isa> instruction_sets() {
  std::vector<Isa> sets = {Isa::kBaseline};
  if (cpu_isa() != Isa::kBaseline) sets.push_back(Isa::kAvx2);
  return sets;
}

// Buffers of exactly the size that the header names, on the heap, so that the address sanitizer sees a byte too many.
std::vector<uint8_t> resized(const std::vector<uint8_t>& in, int64_t height, int64_t width, int channels, const Box& box, int64_t out_height, int64_t out_width,
                             ResizeFilter filter, Isa isa, ResizeOrder order = ResizeOrder::kHorizontalFirst) {
  std::vector<uint8_t> out(static_cast<size_t>(out_height * out_width * channels), 0xAA);
  ResizeArgs args{in.data(), height, width, width * channels, channels, box.top, box.left, box.height, box.width, out.data(), out_height, out_width, filter, order, nullptr};
  const Workspace workspace(resize_workspace_bytes(args));
  args.workspace = workspace.memory;
  REQUIRE(resize_with(args, isa) == Status::kOk);
  return out;
}

std::vector<uint8_t> resized_pattern(int64_t height, int64_t width, int channels, int64_t out_height, int64_t out_width, ResizeFilter filter, Isa isa) {
  return resized(pattern(height, width, channels), height, width, channels, {0, 0, static_cast<double>(height), static_cast<double>(width)}, out_height, out_width,
                 filter, isa);
}

// The formula in double, without rounding between the passes.
double weight(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::kBilinear) return std::max(0.0, 1 - x);
  if (x < 1) return 1.5 * x * x * x - 2.5 * x * x + 1;
  return x < 2 ? -0.5 * x * x * x + 2.5 * x * x - 4 * x + 2 : 0;
}

struct Tap {
  int64_t source;
  double weight;
};
std::vector<Tap> taps_of(ResizeFilter filter, int64_t in, double start, double length, int64_t out, int64_t i) {
  const double scale = length / static_cast<double>(out), widening = std::max(1.0, scale);
  const double center = start + (static_cast<double>(i) + 0.5) * scale;
  std::vector<Tap> taps;
  double sum = 0;
  for (int64_t k = 0; k < in; ++k) {
    const double w = weight(filter, (static_cast<double>(k) + 0.5 - center) / widening);
    if (w != 0) taps.push_back({k, w});
    sum += w;
  }
  for (Tap& tap : taps) tap.weight /= sum;
  return taps;
}

}  // namespace

TEST_CASE("resize: bilinear gives Pillow's pixels") {
  // Image.crop(box).resize(size, BILINEAR) of Pillow 13.0.0.
  const auto cropped = [](int64_t height, int64_t width, int channels, int64_t top, int64_t left, int64_t crop_height, int64_t crop_width) {
    const std::vector<uint8_t> whole = pattern(height, width, channels);
    std::vector<uint8_t> crop;
    for (int64_t y = top; y < top + crop_height; ++y) {
      const auto row = whole.begin() + (y * width + left) * channels;
      crop.insert(crop.end(), row, row + crop_width * channels);
    }
    return crop;
  };
  for (const Isa isa : instruction_sets()) {
    INFO(isa_name(isa));
    CHECK(resized_pattern(7, 9, 1, 4, 5, ResizeFilter::kBilinear, isa) ==
          std::vector<uint8_t>{72, 140, 119, 113, 157, 100, 141, 137, 122, 107, 131, 146, 155, 118, 87, 119, 115, 137, 120, 87});
    CHECK(resized(cropped(7, 9, 1, 1, 2, 5, 6), 5, 6, 1, {0, 0, 5, 6}, 6, 11, ResizeFilter::kBilinear, isa) ==
          std::vector<uint8_t>{241, 192, 108, 129, 184, 112, 40,  95,  151, 207, 239, 149, 164, 189, 161, 117, 137, 156, 112, 93,  153, 188,
                               89,  127, 193, 153, 78,  132, 186, 111, 71,  137, 174, 79,  120, 191, 156, 86,  145, 204, 134, 85,  97,  104,
                               119, 142, 183, 170, 140, 176, 207, 143, 86,  57,  40,  193, 158, 98,  143, 222, 174, 114, 54,  29,  109, 155});
    CHECK(resized(cropped(5, 6, 3, 0, 1, 4, 4), 4, 4, 3, {0, 0, 4, 4}, 3, 2, ResizeFilter::kBilinear, isa) ==
          std::vector<uint8_t>{136, 156, 133, 102, 144, 138, 131, 111, 164, 154, 133, 131, 126, 168, 119, 129, 150, 125});
    CHECK(resized(cropped(40, 40, 1, 2, 3, 37, 34), 37, 34, 1, {0, 0, 37, 34}, 3, 2, ResizeFilter::kBilinear, isa) ==
          std::vector<uint8_t>{127, 125, 129, 128, 129, 130});
  }
}

TEST_CASE("resize: the values are those of the formula") {
  struct Form {
    int64_t height, width;
    Box box;
    int64_t out_height, out_width;
  };
  const Form forms[] = {{7, 9, {0, 0, 7, 9}, 13, 20},        {40, 37, {0, 0, 40, 37}, 11, 9},     {40, 37, {3.25, 1.5, 30.5, 35.25}, 16, 16},
                        {5, 64, {0, 0, 5, 64}, 5, 20},       {64, 5, {0.5, 0, 20, 5}, 20, 5},     {300, 2, {0, 0, 300, 2}, 7, 2},
                        {1, 1, {0.25, 0.25, 0.5, 0.5}, 3, 4}, {90, 120, {10, 20, 60, 90}, 33, 31}};
  for (const Form& form : forms) {
    for (const int channels : {1, 2, 3, 4}) {
      for (const ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
        const std::vector<uint8_t> source = pattern(form.height, form.width, channels);
        const std::vector<uint8_t> plain = resized(source, form.height, form.width, channels, form.box, form.out_height, form.out_width, filter, Isa::kBaseline);
        double worst = 0;
        for (int64_t y = 0; y < form.out_height; ++y) {
          for (int64_t x = 0; x < form.out_width; ++x) {
            for (int c = 0; c < channels; ++c) {
              double sum = 0;
              for (const Tap& row : taps_of(filter, form.height, form.box.top, form.box.height, form.out_height, y)) {
                // Clipped and rounded between the passes, as eight bits are.
                double between = 0;
                for (const Tap& column : taps_of(filter, form.width, form.box.left, form.box.width, form.out_width, x)) {
                  between += column.weight * source[static_cast<size_t>((row.source * form.width + column.source) * channels + c)];
                }
                sum += row.weight * std::clamp(between, 0.0, 255.0);
              }
              const double got = plain[static_cast<size_t>((y * form.out_width + x) * channels + c)];
              worst = std::max(worst, std::abs(got - std::clamp(sum, 0.0, 255.0)));
            }
          }
        }
        INFO(form.height << "x" << form.width << " to " << form.out_height << "x" << form.out_width << ", " << channels << " channels");
        // Half a unit after each pass; a bicubic pass of half units adds up to 1.25 times as much.
        CHECK(worst <= 1.13);
      }
    }
  }
}

TEST_CASE("resize: every variant gives the same bytes") {
  for (const Isa isa : instruction_sets()) {
    if (isa == Isa::kBaseline) continue;
    for (const int channels : {1, 2, 3, 4}) {
      for (const ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
        for (const int64_t height : {1, 2, 5, 31, 64}) {
          for (const int64_t width : {1, 2, 3, 6, 11, 33, 70}) {
            for (const auto& [out_height, out_width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {2, 3}, {7, 5}, {31, 33}, {80, 12}, {5, 90}}) {
              const bool same = resized_pattern(height, width, channels, out_height, out_width, filter, isa) ==
                                resized_pattern(height, width, channels, out_height, out_width, filter, Isa::kBaseline);
              INFO(isa_name(isa) << ": " << height << "x" << width << "x" << channels << " to " << out_height << "x" << out_width);
              CHECK(same);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("resize: vertical first is horizontal first of the transposed image") {
  const auto transposed = [](const std::vector<uint8_t>& image, int64_t height, int64_t width) {
    std::vector<uint8_t> result(image.size());
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x) result[static_cast<size_t>(x * height + y)] = image[static_cast<size_t>(y * width + x)];
    }
    return result;
  };
  const std::vector<uint8_t> tall = pattern(40, 13, 1), wide = transposed(tall, 40, 13);
  for (const Isa isa : instruction_sets()) {
    // Bicubic to a larger size clips between the passes, so that their order shows.
    const std::vector<uint8_t> first = resized(tall, 40, 13, 1, {1, 0, 38, 13}, 37, 50, ResizeFilter::kBicubic, isa, ResizeOrder::kVerticalFirst);
    CHECK(first == transposed(resized(wide, 13, 40, 1, {0, 1, 13, 38}, 50, 37, ResizeFilter::kBicubic, isa), 50, 37));
    CHECK(first != resized(tall, 40, 13, 1, {1, 0, 38, 13}, 37, 50, ResizeFilter::kBicubic, isa));
  }
}

TEST_CASE("resize: Pillow's order of passes") {
  // Told from the pixels of Pillow 13.0.0: vertically first for these.
  for (const auto& [h, w, oh, ow] : std::vector<std::array<int64_t, 4>>{{50, 15, 40, 12}, {53, 53, 43, 49}, {38, 44, 26, 40}, {39, 18, 1, 11}, {46, 8, 30, 2}, {30, 5, 29, 9}}) {
    CHECK(resize_order(h, w, oh, ow) == ResizeOrder::kVerticalFirst);
  }
  for (const auto& [h, w, oh, ow] : std::vector<std::array<int64_t, 4>>{{6, 34, 4, 31}, {36, 43, 1, 15}, {10, 5, 42, 38}, {31, 2, 54, 16}, {50, 33, 36, 26}, {20, 9, 20, 3}, {8, 9, 4, 7}}) {
    CHECK(resize_order(h, w, oh, ow) == ResizeOrder::kHorizontalFirst);
  }
}

TEST_CASE("resize: rows may lie apart, and what lies between or outside is not looked at") {
  for (const Isa isa : instruction_sets()) {
    const std::vector<uint8_t> whole = pattern(30, 40, 3);
    // The box of 12 x 17 pixels at row 5, column 9 as an image of its own, and in place.
    std::vector<uint8_t> crop;
    for (size_t y = 0; y < 12; ++y) {
      const auto row = whole.begin() + static_cast<long>(((y + 5) * 40 + 9) * 3);
      crop.insert(crop.end(), row, row + 17 * 3);
    }
    const std::vector<uint8_t> expected = resized(crop, 12, 17, 3, {0, 0, 12, 17}, 8, 9, ResizeFilter::kBicubic, isa, ResizeOrder::kVerticalFirst);
    std::vector<uint8_t> out(expected.size());
    ResizeArgs args{whole.data() + (5 * 40 + 9) * 3, 12, 17, 40 * 3, 3, 0, 0, 12, 17, out.data(), 8, 9, ResizeFilter::kBicubic, ResizeOrder::kVerticalFirst, nullptr};
    const Workspace workspace(resize_workspace_bytes(args));
    args.workspace = workspace.memory;
    REQUIRE(resize_with(args, isa) == Status::kOk);
    CHECK(out == expected);
  }
}

TEST_CASE("resize: the same size is a copy, one pixel fills what it is asked to, a constant stays") {
  for (const Isa isa : instruction_sets()) {
    for (const ResizeFilter filter : {ResizeFilter::kBilinear, ResizeFilter::kBicubic}) {
      CHECK(resized_pattern(6, 5, 3, 6, 5, filter, isa) == pattern(6, 5, 3));
      CHECK(resized({9, 99, 199}, 1, 1, 3, {0, 0, 1, 1}, 2, 1, filter, isa) == std::vector<uint8_t>{9, 99, 199, 9, 99, 199});
      CHECK(resized(std::vector<uint8_t>(50 * 60 * 3, 255), 50, 60, 3, {0, 0, 50, 60}, 20, 77, filter, isa) == std::vector<uint8_t>(20 * 77 * 3, 255));
    }
  }
}

TEST_CASE("resize: arguments that make no sense are refused") {
  const std::vector<uint8_t> in = pattern(4, 5, 3);
  std::vector<uint8_t> out(2 * 2 * 3);
  const ResizeArgs good{in.data(), 4, 5, 15, 3, 0, 0, 4, 5, out.data(), 2, 2, ResizeFilter::kBilinear, ResizeOrder::kHorizontalFirst, nullptr};
  const Workspace workspace(resize_workspace_bytes(good) + 64);
  const auto status = [&](const auto& change) {
    ResizeArgs args = good;
    args.workspace = workspace.memory;
    change(args);
    return resize(args);
  };
  CHECK(status([](ResizeArgs&) {}) == Status::kOk);
  CHECK(status([](ResizeArgs& a) { a.in = nullptr; }) == Status::kNullPointer);
  CHECK(status([](ResizeArgs& a) { a.out = nullptr; }) == Status::kNullPointer);
  CHECK(status([](ResizeArgs& a) { a.workspace = nullptr; }) == Status::kNullPointer);
  CHECK(status([](ResizeArgs& a) { a.workspace = static_cast<char*>(a.workspace) + 4; }) == Status::kMisaligned);
  CHECK(status([&](ResizeArgs& a) { a.out = const_cast<uint8_t*>(in.data()) + 20; }) == Status::kOverlap);
  for (const int channels : {0, 5}) CHECK(status([&](ResizeArgs& a) { a.channels = channels; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.in_height = 0; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.in_width = int64_t{1} << 40; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.in_stride = 14; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.in_stride = INT64_MAX; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.out_width = -1; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.top = -0.5; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.left = 0.5; }) == Status::kBadSize);  // the box then ends outside
  CHECK(status([](ResizeArgs& a) { a.width = 0; }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.height = std::numeric_limits<double>::quiet_NaN(); }) == Status::kBadSize);
  CHECK(status([](ResizeArgs& a) { a.filter = static_cast<ResizeFilter>(7); }) == Status::kBadValue);
  CHECK(status([](ResizeArgs& a) { a.order = static_cast<ResizeOrder>(7); }) == Status::kBadValue);
}
