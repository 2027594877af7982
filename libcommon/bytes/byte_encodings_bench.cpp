// Times encodings and byte transforms, one core: the C++ side of scripts/bench/byte-encodings.sh. One JSON object on stdout:
// {"ops": {"png_0": median nanoseconds of a call}, "bytes": {"png_0": 150864}, ...}.
//
//   bench-byte-encodings FOLDER SAMPLES
//
// FOLDER/image.raw is an RGB picture of 224 x 224. Each result is written to FOLDER/<operation>.out, so that another implementation can
// compare. Transforms work on the picture's TIFF. A sample repeats the call for about 2 ms of this thread's CPU time.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "base/bench_main.h"
#include "base/bench_timing.h"
#include "base/build_info.h"
#include "base/errors.h"
#include "bytes/byte_transforms.h"
#include "bytes/encodings.h"
#include "io/file.h"

namespace {

using namespace fettle;
using namespace fettle::byteformer;

using Bytes = std::vector<uint8_t>;

constexpr int64_t kSide = 224;

// A second of something like speech.
std::vector<float> sound() {
  std::vector<float> samples;
  for (int i = 0; i < 16000; ++i) {
    const double t = i / 16000.0;
    samples.push_back(static_cast<float>(0.4 * std::sin(900 * t) * std::sin(6 * t) + 0.1 * std::sin(9000 * t * t)));
  }
  return samples;
}

void run(char** argv) {
  const std::filesystem::path folder = argv[1];
  const int samples = std::atoi(argv[2]);
  const std::string raw = read_file(folder / "image.raw", 3 * kSide * kSide);
  FT_REQUIRE(static_cast<int64_t>(raw.size()) == 3 * kSide * kSide && samples >= 1, "image.raw has {} bytes, expected {}; {} samples", raw.size(), 3 * kSide * kSide, samples);
  const Bytes pixels(raw.begin(), raw.end());
  const ImageView image{pixels.data(), kSide, kSide, 3};

  Bytes result;
  std::string times, sizes;
  const auto measure = [&](const std::string& name, const std::function<void()>& call) {
    call();
    std::ofstream file(folder / (name + ".out"), std::ios::binary);
    file.write(reinterpret_cast<const char*>(result.data()), static_cast<std::streamsize>(result.size()));
    FT_CHECK(file.good(), "cannot write {}", name);
    const char* const comma = times.empty() ? "" : ", ";
    sizes += fmt::format("{}\"{}\": {}", comma, name, result.size());
    times += fmt::format("{}\"{}\": {:.0f}", comma, name, median_ns(samples, call));
  };

  Bytes tiff;
  Encoder({.encoding = Encoding::kTiff}).encode_image(image, tiff);
  // What a transform costs beyond this is its own: each call starts from a fresh copy.
  const auto copy = [&] {
    result.resize(tiff.size());
    std::memcpy(result.data(), tiff.data(), tiff.size());
  };
  measure("copy", copy);
  const std::pair<const char*, EncodingOptions> pictures[] = {{"fhwc", {.encoding = Encoding::kFhwc}},
                                                              {"fchw", {.encoding = Encoding::kFchw}},
                                                              {"tiff", {.encoding = Encoding::kTiff}},
                                                              {"png_0", {.encoding = Encoding::kPng, .png_level = 0}},
                                                              {"png_1", {.encoding = Encoding::kPng, .png_level = 1}},
                                                              {"png_6", {.encoding = Encoding::kPng, .png_level = 6}},
                                                              {"jpeg_60", {.encoding = Encoding::kJpeg, .jpeg_quality = 60}},
                                                              {"jpeg_100", {.encoding = Encoding::kJpeg, .jpeg_quality = 100}}};
  for (const auto& [name, options] : pictures) {
    Encoder encoder(options);
    measure(name, [&] { encoder.encode_image(image, result); });
  }

  const std::pair<const char*, ByteTransforms> transforms[] = {
      {"reverse", {.reorder = Reorder{.order = Order::kReverse}}},
      {"cyclic_half_length", {.reorder = Reorder{.order = Order::kCyclicHalfLength}}},
      {"stride", {.reorder = Reorder{.order = Order::kStride}}},
      {"window_shuffle", {.reorder = Reorder{.order = Order::kWindowShuffle}}},
      {"random_shuffle", {.reorder = Reorder{.order = Order::kRandomShuffle}}},
      {"keep_half", {.keep = Keep{.fraction = 0.5}}},
      {"noise", {.noise = Noise{-5, 5}}},
      {"phi", {.phi = reference_phi()}},
  };
  Encoder encoder({.encoding = Encoding::kTiff});
  for (const auto& [name, options] : transforms) {
    ByteTransformer transformer(options);
    measure(std::string("tiff_") + name, [&] {
      encoder.encode_image(image, result);
      transformer.apply(result, {.seed = 1}, "picture");
    });
  }

  const std::vector<float> mono = sound();
  for (const Encoding encoding : {Encoding::kWavFloat32, Encoding::kWavInt32, Encoding::kWavInt16, Encoding::kWavUint8, Encoding::kMp3}) {
    Encoder writer({.encoding = encoding});
    measure(std::string(encoding_name(encoding)), [&] { writer.encode_sound(mono, 16000, result); });
  }
  fmt::print("{{\"ops\": {{{}}}, \"bytes\": {{{}}}, \"commit\": \"{}\"}}\n", times, sizes, build_info().commit);
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "FOLDER SAMPLES", run); }
