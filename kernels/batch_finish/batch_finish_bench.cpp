// bench-batch_finish [--json] [--samples N] [--threads N]
//
// Verifies batch_finish against plain loops, then times it beside two plain copies of the same traffic (bytes read plus
// bytes written), alternating sample by sample over the same buffers:
//   mix     reads as many bytes as the kernel reads and writes as many as it writes (each vector read is stored 2 or 4 times)
//   memcpy  moves half of the traffic with the C library's memcpy
// hot: one pair of buffers; cold: pairs that rotate over 256 MiB, so that no cache holds the next one.
// A sample during which the kernel took a CPU away from us (its count of involuntary context switches moved) is taken
// again, up to 30 times; "disturbed" counts those that stayed so.

#include <immintrin.h>
#include <omp.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/build_info.h"
#include "kernels/batch_finish/batch_finish.h"
#include "kernels/support/isa.h"
#include "tests/kernels/batch_finish_reference.h"

using namespace fettle::kernels;

namespace {

struct Form {
  int64_t batch, size;
  int channels;
  DType dtype;
  ImageLayout layout;
  bool flip;
};

struct Buffers {
  std::unique_ptr<uint8_t[]> in, out;
};

const float kMean[] = {0.485f, 0.456f, 0.406f};
const float kStd[] = {0.229f, 0.224f, 0.225f};

// [first, last) of `count` for thread `index` of `threads`, in whole vectors of 32 bytes.
std::pair<int64_t, int64_t> share(int64_t count, int index, int threads) {
  const int64_t vectors = count / 32;
  return {vectors * index / threads * 32, vectors * (index + 1) / threads * 32};
}

__attribute__((target("avx2"))) void copy_mix_avx2(const uint8_t* in, uint8_t* out, int64_t first, int64_t last, int times) {
  for (int64_t i = first; i < last; i += 32) {
    const __m256i value = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i));
    for (int t = 0; t < times; ++t) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i * times + t * 32), value);
  }
}

void copy_mix_sse(const uint8_t* in, uint8_t* out, int64_t first, int64_t last, int times) {
  for (int64_t i = first; i < last; i += 16) {
    const __m128i value = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
    for (int t = 0; t < times; ++t) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i * times + t * 16), value);
  }
}

template <class Part>
void on_threads(int threads, const Part& part) {
  if (threads == 1) return part(0, 1);
#pragma omp parallel num_threads(threads)
  part(omp_get_thread_num(), omp_get_num_threads());
}

double now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

long switches() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_nivcsw;
}

struct Sample {
  double seconds;
  bool disturbed;
};

// One thread is timed by its own CPU time, which leaves out what other processes take; several by the wall clock.
Sample sample(int threads, int repeats, const std::function<void()>& work) {
  const clockid_t clock = threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC;
  Sample taken{};
  for (int attempt = 0; attempt < 30; ++attempt) {
    const long before = switches();
    const double begin = now(clock);
    for (int r = 0; r < repeats; ++r) work();
    taken = {(now(clock) - begin) / repeats, switches() != before};
    if (!taken.disturbed) break;
  }
  return taken;
}

struct Spread {
  double median, low, high;  // low and high: the 10th and 90th of 100
};
Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return {values[n / 2], values[n / 10], values[n - 1 - n / 10]};
}

bool verify() {
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    for (const ImageLayout layout : {ImageLayout::kNchw, ImageLayout::kNhwc}) {
      for (const int channels : {1, 3}) {
        std::vector<uint8_t> in(static_cast<size_t>(4 * 37 * 41 * channels));
        for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
        const uint8_t flip[] = {0, 1, 1, 0};
        std::vector<uint8_t> out(in.size() * 4);
        const BatchFinishArgs args{in.data(), flip, kMean, kStd, out.data(), 4, 37, 41, channels, dtype, layout, 2};
        if (batch_finish({}, args, {}) != Status::kOk) return false;
        const auto expected = fettle::test::batch_finish_reference(args);
        for (size_t i = 0; i < expected.size(); ++i) {
          const uint16_t half = fettle::test::round_to_bf16(expected[i].rounded);
          if (dtype == DType::kF32 ? std::memcmp(&out[4 * i], &expected[i].rounded, 4) != 0 : std::memcmp(&out[2 * i], &half, 2) != 0) {
            return false;
          }
        }
      }
    }
  }
  return true;
}

struct Settings {
  bool json = false;
  int samples = 41;
  std::vector<int> threads = {1, 2};
};

void measure(const Form& form, int threads, bool cold, Isa isa, const Settings& settings) {
  const int64_t read = form.batch * form.size * form.size * form.channels;
  const int times = static_cast<int>(dtype_bytes(form.dtype));
  const int64_t write = read * times, traffic = read + write;
  const size_t pairs = cold ? static_cast<size_t>(std::max<int64_t>(2, ((int64_t{256} << 20) + traffic - 1) / traffic)) : 1;
  std::vector<Buffers> buffers(pairs);
  for (auto& pair : buffers) {
    pair.in = std::make_unique<uint8_t[]>(static_cast<size_t>(traffic));  // memcpy reads half of the traffic
    pair.out = std::make_unique<uint8_t[]>(static_cast<size_t>(traffic));
    for (int64_t i = 0; i < traffic; ++i) pair.in[static_cast<size_t>(i)] = static_cast<uint8_t>(i * 7);
  }
  std::vector<uint8_t> flip(static_cast<size_t>(form.batch));
  for (size_t b = 0; b < flip.size(); ++b) flip[b] = b % 2;
  size_t next = 0;
  const auto pair = [&]() -> Buffers& { return buffers[next++ % pairs]; };

  const std::function<void()> work[] = {
      [&] {
        Buffers& p = pair();
        const BatchFinishArgs args{p.in.get(), form.flip ? flip.data() : nullptr, kMean, kStd, p.out.get(), form.batch, form.size, form.size,
                                   form.channels, form.dtype, form.layout, threads};
        if (batch_finish({}, args, {}) != Status::kOk) std::abort();
      },
      [&] {
        Buffers& p = pair();
        on_threads(threads, [&](int index, int count) {
          const auto [first, last] = share(read, index, count);
          (isa == Isa::kBaseline ? copy_mix_sse : copy_mix_avx2)(p.in.get(), p.out.get(), first, last, times);
        });
      },
      [&] {
        Buffers& p = pair();
        on_threads(threads, [&](int index, int count) {
          const auto [first, last] = share(traffic / 2, index, count);
          std::memcpy(p.out.get() + first, p.in.get() + first, static_cast<size_t>(last - first));
        });
      }};
  // A sample lasts about 2 ms, so that the clock and a thread's waking do not show.
  for (const auto& w : work) w();
  const int repeats = static_cast<int>(std::clamp(0.002 / sample(threads, 1, work[1]).seconds, 1.0, 1e5));
  std::vector<double> time[3], ratio[2];
  int disturbed = 0;
  for (int s = 0; s < settings.samples; ++s) {
    for (int w = 0; w < 3; ++w) {
      const Sample taken = sample(threads, repeats, work[w]);
      time[w].push_back(taken.seconds);
      disturbed += taken.disturbed ? 1 : 0;
    }
    for (int w = 0; w < 2; ++w) ratio[w].push_back(time[w + 1].back() / time[0].back());  // the copy's time over ours: share of its speed
  }
  const auto rate = [&](const Spread& s) {
    const double gb = 1e-9 * static_cast<double>(traffic);
    return Spread{gb / s.median, gb / s.high, gb / s.low};
  };
  const Spread ours = rate(spread(time[0])), mix = rate(spread(time[1])), plain = rate(spread(time[2]));
  const Spread of_mix = spread(ratio[0]), of_plain = spread(ratio[1]);
  const char* dtype = form.dtype == DType::kF32 ? "f32" : "bf16";
  const char* layout = form.layout == ImageLayout::kNchw ? "nchw" : "nhwc";
  if (settings.json) {
    const auto build = fettle::build_info();
    std::printf("{\"kernel\":\"batch_finish\",\"commit\":\"%s\",\"dirty\":%s,\"device\":\"cpu\",\"isa\":\"%s\",\"batch\":%ld,\"size\":%ld,"
                "\"channels\":%d,\"dtype\":\"%s\",\"layout\":\"%s\",\"flip\":%s,\"threads\":%d,\"cache\":\"%s\",\"samples\":%d,"
                "\"traffic_bytes\":%ld,\"gb_per_s\":%.3f,\"gb_per_s_low\":%.3f,\"gb_per_s_high\":%.3f,\"mix_gb_per_s\":%.3f,"
                "\"memcpy_gb_per_s\":%.3f,\"share_of_mix\":%.3f,\"share_of_mix_low\":%.3f,\"share_of_mix_high\":%.3f,"
                "\"share_of_memcpy\":%.3f,\"disturbed\":%d}\n",
                build.commit, build.dirty ? "true" : "false", isa_name(isa), form.batch, form.size, form.channels, dtype, layout,
                form.flip ? "true" : "false", threads, cold ? "cold" : "hot", settings.samples, traffic, ours.median, ours.low, ours.high,
                mix.median, plain.median, of_mix.median, of_mix.low, of_mix.high, of_plain.median, disturbed);
  } else {
    std::printf("%4ld x %3ld px x %d  %-4s %s %-7s %d  %-4s  %6.2f (%.2f-%.2f)  %6.2f  %6.2f   %5.2f (%.2f-%.2f)  %5.2f  %d\n", form.batch, form.size,
                form.channels, dtype, layout, form.flip ? "flip" : "no flip", threads, cold ? "cold" : "hot", ours.median, ours.low, ours.high,
                mix.median, plain.median, of_mix.median, of_mix.low, of_mix.high, of_plain.median, disturbed);
  }
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Settings settings;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--json") {
      settings.json = true;
    } else if (word == "--samples" && std::atoi(value) > 0) {
      settings.samples = std::atoi(value), ++i;
    } else if (word == "--threads" && std::atoi(value) > 0) {
      settings.threads = {std::atoi(value)}, ++i;
    } else {
      std::fprintf(stderr, "usage: bench-batch_finish [--json] [--samples N] [--threads N]\n");
      return 2;
    }
  }
  Isa isa{};
  if (const Status status = active_isa(&isa); status != Status::kOk) {
    std::fprintf(stderr, "batch_finish: %s\n", status_text(status));
    return 4;
  }
  if (!verify()) {
    std::fprintf(stderr, "batch_finish: the values differ from the plain loops; nothing is timed\n");
    return 1;
  }
  if (!settings.json) {
    const auto build = fettle::build_info();
    std::printf("batch_finish, commit %s%s, %s; values verified. GB/s = (bytes read + written) / median of %d samples (10th-90th of 100)\n"
                "%-39s threads       GB/s                mix  memcpy   share of mix      of memcpy  disturbed\n",
                build.commit, build.dirty ? " (dirty)" : "", isa_name(isa), settings.samples, "");
  }
  for (const bool cold : {false, true}) {
    for (const int threads : settings.threads) {
      for (const auto& [batch, size, channels] : {std::tuple<int64_t, int64_t, int>{128, 28, 1}, {128, 32, 3}, {32, 224, 3}}) {
        for (const DType dtype : {DType::kF32, DType::kBF16}) {
          for (const ImageLayout layout : {ImageLayout::kNhwc, ImageLayout::kNchw}) {
            if (channels == 1 && layout == ImageLayout::kNchw) continue;  // the same bytes
            for (const bool flip : {false, true}) measure({batch, size, channels, dtype, layout, flip}, threads, cold, isa, settings);
          }
        }
      }
    }
  }
  return 0;
}
