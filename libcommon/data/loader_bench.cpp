// How many photographs a second the loader turns into training batches (decode, RandomResizedCrop, flip, normalise; f32,
// channels-last, CPU), beside decoding the same parts of the same files and nothing else, with as many threads.
//
//   bench-loader DATA SIZE THREADS MODE SECONDS      DATA a folder of class folders, MODE exact or scaled; alternates for about
//                                                    SECONDS, five rounds each
// One JSON line: images a second, medians and spread. For MODE scaled also what that changes: mean, root mean square and 99th percentile of
// the difference to exact decoding in 8-bit levels, over up to 64 images.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "base/errors.h"
#include "data/options.h"

namespace {

using namespace fettle;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr int64_t kBatch = 16;  // several batches even of few large photographs

struct Work {
  const ImageData& data;
  LoaderOptions loader;
  int64_t size = 0;
  int64_t passes = 1;

  int64_t images() const { return passes * num_images(data.train); }

  double load() const {
    std::vector<BatchPlan> plans;
    for (int64_t i = 0; i < images(); ++i) {
      if (plans.empty() || plans.back().indices.size() == kBatch) plans.push_back({size, size, {}});
      plans.back().indices.push_back(i % num_images(data.train));
    }
    const auto begin = Clock::now();
    ImageLoader source(data.train, data.normalization, plans, 0, 0, loader);
    for (Batch batch; source.next(batch);) {
    }
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  std::string difference() const {
    std::vector<BatchPlan> plans = {{size, size, {}}};
    for (int64_t i = 0; i < std::min<int64_t>(64, num_images(data.train)); ++i) plans[0].indices.push_back(i * num_images(data.train) / 64 % num_images(data.train));
    const auto images = [&](bool exact) {
      LoaderOptions options = loader;
      options.exact_decode = exact;
      options.threads = 0;
      ImageLoader source(data.train, data.normalization, plans, 0, 0, options);
      Batch batch;
      source.next(batch);
      return batch.images.clone();
    };
    const at::Tensor std = at::tensor(at::ArrayRef<float>(data.normalization.std)).view({1, 3, 1, 1});
    const at::Tensor levels = ((images(false) - images(true)) * std * 255).abs().flatten();
    return fmt::format(", \"difference\": {{\"mean\": {:.2f}, \"rms\": {:.2f}, \"p99\": {:.1f}}}", levels.mean().item<double>(), levels.square().mean().sqrt().item<double>(),
                       std::get<0>(at::kthvalue(levels, levels.numel() * 99 / 100 + 1)).item<double>());
  }

  double decode() const {
    const ImageFiles& files = std::get<ImageFiles>(data.train);
    std::atomic<int64_t> next = 0;
    const auto work = [&] {
      ImageDecoder decoder;
      std::vector<uint8_t> buffer;
      Image image;
      for (int64_t i; (i = next++) < images();) {
        const int64_t index = i % files.size();
        const ImageInfo info = decoder.open(files.read(index, buffer), files.name(index));
        if (loader.exact_decode) {
          decoder.decode(image);
        } else {
          RandomStream stream(loader.seed, "geometry", 0, index);
          const Geometry crop = draw_geometry(stream, info.height, info.width, loader.crop);
          decoder.decode_box({crop.top, crop.left, crop.height, crop.width}, decoder.denominator(crop.height, crop.width, size, size), image);
        }
      }
    };
    const auto begin = Clock::now();
    std::vector<std::thread> threads;
    for (int t = 0; t < loader.threads; ++t) threads.emplace_back(work);
    for (std::thread& thread : threads) thread.join();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }
};

std::string rate(const Work& work, std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  const auto images = static_cast<double>(work.images());
  return fmt::format("{{\"median\": {:.1f}, \"low\": {:.1f}, \"high\": {:.1f}}}", images / seconds[kRounds / 2], images / seconds.back(), images / seconds.front());
}

void run(char** argv) {
  DataOptions options;
  options.data = argv[1];
  options.val_fraction = 0.05;
  options.workers = std::atoi(argv[3]);
  options.exact_decode = std::string_view(argv[4]) == "exact";
  const ImageData data = open_image_data(options);
  FT_REQUIRE(std::holds_alternative<ImageFiles>(data.train), "{} holds no image files", argv[1]);
  Work work{data, loader_options(options, data, at::kCPU, 1), std::atoll(argv[2])};
  work.loader.seed = 1;
  work.loader.augment = true;
  const double once = work.load() + work.decode();  // warms the file cache, too
  // A thread makes whole batches: with few of them the last ones would keep some threads waiting.
  const int64_t least = 8 * work.loader.threads * kBatch;
  work.passes = std::max((least + work.images() - 1) / work.images(), static_cast<int64_t>(std::atof(argv[5]) / kRounds / once));
  std::vector<double> load_s, decode_s;
  for (int round = 0; round < kRounds; ++round) {
    load_s.push_back(work.load());
    decode_s.push_back(work.decode());
  }
  std::vector<double> share;
  for (int round = 0; round < kRounds; ++round) share.push_back(decode_s[static_cast<size_t>(round)] / load_s[static_cast<size_t>(round)]);
  std::sort(share.begin(), share.end());
  fmt::print("{{\"commit\": \"{}\", \"size\": {}, \"threads\": {}, \"mode\": \"{}\", \"images\": {}, \"loader\": {}, \"decode\": {}, \"share_of_decode\": "
             "{{\"median\": {:.3f}, \"low\": {:.3f}, \"high\": {:.3f}}}{}}}\n",
             build_info().commit, work.size, work.loader.threads, options.exact_decode ? "exact" : "scaled", work.images(), rate(work, load_s), rate(work, decode_s),
             share[kRounds / 2], share.front(), share.back(), options.exact_decode ? "" : work.difference());
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "DATA SIZE THREADS MODE SECONDS", run); }
