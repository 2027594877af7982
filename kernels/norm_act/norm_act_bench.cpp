// bench-norm_act [ROUNDS]
//
// The passes of norm_act against memcpy of as many bytes, alternating, on one thread and on all: per pass the median of the rounds'
// GB/s (bytes that it must read and write) and its share of the copy's, smallest-largest. Activations of ResNet-20 at 32 px and of
// ResNet-50 at 56 and 14 px; larger than the caches but for the last.

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "base/build_info.h"
#include "kernels/norm_act/norm_act.h"

using namespace fettle::kernels;

namespace {

struct Form {
  int64_t rows, channels;
};
constexpr Form kForms[] = {{128 * 32 * 32, 16}, {128 * 8 * 8, 64}, {16 * 56 * 56, 256}, {16 * 14 * 14, 1024}};

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void run(Status status) {
  if (status == Status::kOk) return;
  std::fprintf(stderr, "bench-norm_act: %s\n", status_text(status));
  std::exit(1);
}

void copy(const uint8_t* from, uint8_t* to, int64_t bytes, int threads) {
#pragma omp parallel num_threads(threads)
  {
    const int64_t first = bytes * omp_get_thread_num() / omp_get_num_threads(), last = bytes * (omp_get_thread_num() + 1) / omp_get_num_threads();
    std::memcpy(to + first, from + first, static_cast<size_t>(last - first));
  }
}

struct Pass {
  const char* name;
  int tensors;  // of rows x channels, read or written
  std::function<void()> work;
};

void measure(const Form& form, DType dtype, int threads, int rounds) {
  NormActShape shape{form.rows, form.channels, dtype, NormActivation::kRelu, threads};
  const int64_t bytes = form.rows * form.channels * dtype_bytes(dtype);
  const auto size = static_cast<size_t>(bytes);
  std::vector<uint8_t> x(size, 0x3c), dy(size, 0x3c), y(size, 0x3c), out(size), residual(size, 0x3c), copied(4 * size, 1);
  std::vector<float> ones(static_cast<size_t>(form.channels), 1.0F);
  std::vector<double> sums(static_cast<size_t>(2 * form.channels)), workspace(static_cast<size_t>(norm_act_workspace(shape)));
  NormActShape masked = shape;
  masked.activation = NormActivation::kNone;
  const Pass passes[] = {
      {"sums", 1, [&] { run(norm_act_sums({}, shape, {x.data(), sums.data(), workspace.data()}, {})); }},
      {"forward", 2, [&] { run(norm_act_forward({}, shape, {x.data(), nullptr, ones.data(), ones.data(), out.data()}, {})); }},
      {"forward, residual", 3, [&] { run(norm_act_forward({}, shape, {x.data(), residual.data(), ones.data(), ones.data(), out.data()}, {})); }},
      {"gradient sums", 2, [&] { run(norm_act_gradient_sums({}, shape, {dy.data(), x.data(), nullptr, ones.data(), ones.data(), nullptr, sums.data(), workspace.data()}, {})); }},
      {"gradient sums, residual", 4,
       [&] { run(norm_act_gradient_sums({}, shape, {dy.data(), x.data(), y.data(), ones.data(), ones.data(), out.data(), sums.data(), workspace.data()}, {})); }},
      {"backward", 3, [&] { run(norm_act_backward({}, shape, {dy.data(), x.data(), ones.data(), ones.data(), ones.data(), ones.data(), ones.data(), out.data()}, {})); }},
      {"backward, masked", 3, [&] { run(norm_act_backward({}, masked, {dy.data(), x.data(), ones.data(), ones.data(), ones.data(), ones.data(), ones.data(), out.data()}, {})); }},
  };
  for (const Pass& pass : passes) {
    const int64_t traffic = pass.tensors * bytes;
    const int repeats = static_cast<int>(std::max<int64_t>(1, (int64_t{64} << 20) / traffic));
    const auto timed = [&](const std::function<void()>& work) {
      const double began = seconds();
      for (int i = 0; i < repeats; ++i) work();
      return static_cast<double>(traffic) * repeats / (seconds() - began) * 1e-9;
    };
    // A copy reads half of the traffic and writes the other half.
    const auto plain = [&] { copy(copied.data(), copied.data() + 2 * size, traffic / 2, threads); };
    timed(pass.work);
    timed(plain);
    std::vector<double> rates, shares;
    for (int round = 0; round < rounds; ++round) {
      rates.push_back(timed(pass.work));
      shares.push_back(rates.back() / timed(plain));
    }
    std::sort(rates.begin(), rates.end());
    std::sort(shares.begin(), shares.end());
    std::printf("| %6ld x %4ld | %s | %d | %s | %.1f (%.1f-%.1f) | %.2f (%.2f-%.2f) |\n", form.rows, form.channels, dtype == DType::kF32 ? "fp32" : "bf16", threads, pass.name,
                rates[rates.size() / 2], rates.front(), rates.back(), shares[shares.size() / 2], shares.front(), shares.back());
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 11;
  if (rounds < 1 || argc > 2) {
    std::fprintf(stderr, "usage: bench-norm_act [ROUNDS]\n");
    return 2;
  }
  std::printf("commit %s%s\n\n| rows x channels | dtype | threads | pass | GB/s | of memcpy |\n|---|---|---|---|---|---|\n", fettle::build_info().commit,
              fettle::build_info().dirty ? " (dirty)" : "");
  for (const Form& form : kForms) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const int threads : {1, omp_get_max_threads()}) measure(form, dtype, threads, rounds);
    }
  }
  return 0;
}
