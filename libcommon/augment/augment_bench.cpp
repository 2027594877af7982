// Times each pixel operation on one RGB image, one core: the C++ side of scripts/bench/pixel-ops.sh. One JSON object on
// stdout: {"ops": {"rotate_bilinear": median nanoseconds of a call}, ...}.
//
//   bench-augment HEIGHT WIDTH SAMPLES FOLDER
//
// Writes the image to FOLDER/image.raw and each result to FOLDER/<operation>.raw, u8 [H, W, channels], so that another
// implementation can start from the same pixels and compare. A sample repeats the call for about 2 ms of this thread's CPU time.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "augment/affine.h"
#include "augment/pixel_ops.h"
#include "base/bench_main.h"
#include "base/bench_timing.h"
#include "base/build_info.h"
#include "base/errors.h"
#include "random/stream.h"

namespace {

using namespace fettle;

// Something like a photo: smooth fields, edges and noise.
std::vector<uint8_t> photo(const PixelShape& shape) {
  RandomStream stream(7, "bench");
  std::vector<uint8_t> pixels;
  for (int64_t y = 0; y < shape.height; ++y) {
    for (int64_t x = 0; x < shape.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const auto fx = static_cast<double>(x), fy = static_cast<double>(y), fc = static_cast<double>(c);
        const double field = 120 + 60 * std::sin(fx / 31 + fc) * std::cos(fy / 23) + ((x / 40 + y / 56) % 2 == 0 ? 30 : -10) + 12 * stream.uniform(-1, 1);
        pixels.push_back(static_cast<uint8_t>(std::clamp(field, 8.0, 243.0)));
      }
    }
  }
  return pixels;
}

void write_raw(const std::filesystem::path& path, const std::vector<uint8_t>& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  FT_CHECK(file.good(), "cannot write {}", path.string());
}

void run(char** argv) {
  const PixelShape shape{std::atoll(argv[1]), std::atoll(argv[2]), 3};
  const int samples = std::atoi(argv[3]);
  const std::filesystem::path folder = argv[4];
  FT_CHECK(shape.height >= 32 && shape.width >= 32 && samples >= 1, "sizes from 32, one sample at least");
  std::filesystem::create_directories(folder);
  const std::vector<uint8_t> image = photo(shape);
  write_raw(folder / "image.raw", image);
  std::vector<uint8_t> result(image.size());
  const uint8_t* const in = image.data();
  uint8_t* const out = result.data();
  const PixelColor black{};
  using namespace pixel_ops;

  struct Entry {
    std::string name;
    std::function<void()> call;
  };
  std::vector<Entry> entries;
  const auto add = [&](std::string name, std::function<void()> call) { entries.push_back({std::move(name), std::move(call)}); };
  for (const Interpolation filter : {Interpolation::kNearest, Interpolation::kBilinear, Interpolation::kBicubic}) {
    const std::string suffix = "_" + std::string(interpolation_name(filter));
    add("shear_x" + suffix, [=] { affine(in, shape, {.shear_x_degrees = 15}, filter, black, out); });
    add("shear_y" + suffix, [=] { affine(in, shape, {.shear_y_degrees = -15}, filter, black, out); });
    add("rotate" + suffix, [=] { rotate(in, shape, 27, filter, black, out); });
  }
  add("translate_x", [=] { affine(in, shape, {.translate_x = 30}, Interpolation::kNearest, black, out); });
  add("translate_y", [=] { affine(in, shape, {.translate_y = -30}, Interpolation::kNearest, black, out); });
  add("brightness_up", [=] { brightness(in, shape, 1.27, out); });
  add("brightness_down", [=] { brightness(in, shape, 0.73, out); });
  add("color_up", [=] { saturation(in, shape, 1.27, out); });
  add("color_down", [=] { saturation(in, shape, 0.73, out); });
  add("contrast_up", [=] { contrast(in, shape, 1.27, out); });
  add("contrast_down", [=] { contrast(in, shape, 0.73, out); });
  add("sharpness_up", [=] { sharpness(in, shape, 1.27, out); });
  add("sharpness_down", [=] { sharpness(in, shape, 0.73, out); });
  add("posterize", [=] { posterize(in, shape, 4, out); });
  add("solarize", [=] { solarize(in, shape, 128, out); });
  add("autocontrast", [=] { autocontrast(in, shape, out); });
  add("equalize", [=] { equalize(in, shape, out); });
  add("invert", [=] { invert(in, shape, out); });
  add("hue", [=] { hue(in, shape, 0.1, out); });
  add("grayscale_3", [=] { grayscale(in, shape, 3, out); });
  add("gaussian_blur_5", [=] { gaussian_blur(in, shape, 5, 1.5, out); });
  add("gaussian_blur_23", [=] { gaussian_blur(in, shape, 23, 3.3, out); });

  std::string times;
  for (const Entry& entry : entries) {
    entry.call();
    write_raw(folder / (entry.name + ".raw"), result);
    times += fmt::format("{}\"{}\": {:.0f}", times.empty() ? "" : ", ", entry.name, median_ns(samples, entry.call));
  }
  fmt::print("{{\"ops\": {{{}}}, \"height\": {}, \"width\": {}, \"commit\": \"{}\"}}\n", times, shape.height, shape.width, build_info().commit);
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "HEIGHT WIDTH SAMPLES FOLDER", run); }
