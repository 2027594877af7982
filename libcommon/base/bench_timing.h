#pragma once
// What a call takes of its own thread's time, for benchmarks on machines that do other work.

#include <algorithm>
#include <cstddef>
#include <ctime>
#include <functional>
#include <vector>

namespace fettle {

inline double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Of as many samples, each of calls for about 2 ms.
inline double median_ns(int samples, const std::function<void()>& call) {
  const auto timed = [&](int repeats) {
    const double begin = cpu_seconds();
    for (int i = 0; i < repeats; ++i) call();
    return cpu_seconds() - begin;
  };
  const int repeats = static_cast<int>(std::clamp(2e-3 / timed(3) * 3, 1.0, 1e5));
  std::vector<double> taken;
  for (int i = 0; i < samples; ++i) taken.push_back(timed(repeats) / repeats * 1e9);
  std::nth_element(taken.begin(), taken.begin() + samples / 2, taken.end());
  return taken[static_cast<size_t>(samples / 2)];
}

}  // namespace fettle
