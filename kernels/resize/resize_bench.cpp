// bench-resize ROUNDS FILE
//
// Times, on one thread, resizing alone (forms named resize_*) and the way from a decoded photograph to a network's input: crop, resize,
// flip, normalise (train_*). FILE holds an RGB image of 384 x 512 (width x height), raw. Prints one JSON line: per form the
// median seconds of the rounds' bests and a checksum of the 8-bit pixels, for scripts/bench/resize.sh to set beside Python's.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "kernels/batch_finish/batch_finish.h"
#include "kernels/resize/resize.h"

using namespace fettle::kernels;

namespace {

constexpr int64_t kHeight = 512, kWidth = 384, kChannels = 3;

struct Form {
  const char* name;
  int64_t top, left, height, width;  // the crop
  int64_t out;                       // square
  ResizeFilter filter;
  bool finish;
};

// scripts/bench/resize.py has the same table.
constexpr Form kForms[] = {
    {"resize_whole_bilinear", 0, 0, 512, 384, 224, ResizeFilter::kBilinear, false}, {"resize_whole_bicubic", 0, 0, 512, 384, 224, ResizeFilter::kBicubic, false},
    {"resize_up_bilinear", 100, 90, 120, 130, 224, ResizeFilter::kBilinear, false}, {"resize_up_bicubic", 100, 90, 120, 130, 224, ResizeFilter::kBicubic, false},
    {"train_bilinear", 60, 40, 310, 280, 224, ResizeFilter::kBilinear, true},       {"train_bicubic", 60, 40, 310, 280, 224, ResizeFilter::kBicubic, true},
};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void fail(const char* what) {
  std::fprintf(stderr, "bench-resize: %s\n", what);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc == 3 ? std::atoi(argv[1]) : 0;
  if (rounds < 1) {
    std::fprintf(stderr, "usage: bench-resize ROUNDS FILE\n");
    return 2;
  }
  std::vector<uint8_t> image(static_cast<size_t>(kHeight * kWidth * kChannels));
  std::FILE* file = std::fopen(argv[2], "rb");
  if (file == nullptr || std::fread(image.data(), 1, image.size(), file) != image.size()) fail("cannot read the image");
  std::fclose(file);
  const float mean[] = {0.485f, 0.456f, 0.406f}, std_deviation[] = {0.229f, 0.224f, 0.225f};
  const uint8_t flip = 1;
  std::string line = "{";
  for (const Form& form : kForms) {
    std::vector<uint8_t> out(static_cast<size_t>(form.out * form.out * kChannels));
    std::vector<float> finished(out.size());
    ResizeArgs args{image.data() + (form.top * kWidth + form.left) * kChannels, form.height, form.width, kWidth * kChannels, kChannels, 0, 0,
                    static_cast<double>(form.height), static_cast<double>(form.width), out.data(), form.out, form.out, form.filter, resize_order(form.height, form.width, form.out, form.out), nullptr};
    const std::unique_ptr<void, void (*)(void*)> workspace(std::aligned_alloc(64, static_cast<size_t>((resize_workspace_bytes(args) + 63) / 64 * 64)), std::free);
    args.workspace = workspace.get();
    const BatchFinishArgs finish{out.data(), &flip, mean, std_deviation, finished.data(), 1, form.out, form.out, kChannels, DType::kF32, ImageLayout::kNchw, 1};
    std::vector<double> bests;
    for (int round = 0; round < rounds; ++round) {
      double best = 1e9;
      for (int repeat = 0; repeat < 50; ++repeat) {
        const double begin = seconds();
        if (resize(args) != Status::kOk) fail("resize refused");
        if (form.finish && batch_finish({}, finish, {}) != Status::kOk) fail("batch_finish refused");
        best = std::min(best, seconds() - begin);
      }
      bests.push_back(best);
    }
    std::sort(bests.begin(), bests.end());
    uint64_t sum = 0;
    for (size_t i = 0; i < out.size(); ++i) sum = (sum * 31 + out[i]) % 1000000007;
    char text[160];
    std::snprintf(text, sizeof text, "%s\"%s\": {\"seconds\": %.9f, \"checksum\": %llu}", line.size() > 1 ? ", " : "", form.name, bests[bests.size() / 2],
                  static_cast<unsigned long long>(sum));
    line += text;
  }
  std::printf("%s}\n", line.c_str());
  return 0;
}
