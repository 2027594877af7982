// bench-byte_conv [ROUNDS] [FILES]
//
// The two passes of byte_conv on files of a TIFF's length (150,668 bytes; kernel 32, stride 16, width 192), on one thread and on all: medians
// over the rounds (smallest-largest) in ms a file, and the bytes of rows of the table that go by, GB/s (backward: of dy). Beside it as the
// bound what one core reads again and again of a buffer as large as the rows of one cut of the width, which lie in its cache.

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <random>
#include <vector>

#include "base/build_info.h"
#include "kernels/byte_conv/byte_conv_variants.h"

using namespace fettle::kernels;

namespace {

constexpr int64_t kLength = 150668, kKernel = 32, kStride = 16, kWidth = 192, kTokens = (kLength - kKernel) / kStride + 1;

// Aligned as LibTorch's tensors are: rows are then whole cache lines.
template <class T>
struct Aligned {
  using value_type = T;
  Aligned() = default;
  template <class U>
  explicit Aligned(const Aligned<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t{64})); }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t{64}); }
  bool operator==(const Aligned&) const { return true; }
};
template <class T>
using Buffer = std::vector<T, Aligned<T>>;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void run(Status status) {
  if (status == Status::kOk) return;
  std::fprintf(stderr, "bench-byte_conv: %s\n", status_text(status));
  std::exit(1);
}

struct Spread {
  double median, low, high;
};
Spread spread(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {values[values.size() / 2], values.front(), values.back()};
}

// GB/s of one thread that reads 1.5 MiB over and over.
double cached_read() {
  Buffer<float> rows(static_cast<size_t>(kKernel * 256 * kByteConvColumns), 1.0F);
  constexpr int kRepeats = 200;
  float sums[64] = {};
  const double began = seconds();
  for (int i = 0; i < kRepeats; ++i) {
    for (size_t at = 0; at < rows.size(); at += 64) {
      for (size_t lane = 0; lane < 64; ++lane) sums[lane] += rows[at + lane];
    }
  }
  const double took = seconds() - began;
  if (sums[0] < 0) std::puts("");
  return static_cast<double>(rows.size() * sizeof(float)) * kRepeats / took * 1e-9;
}

void measure(int64_t files, int threads, int rounds) {
  std::mt19937 generator(1);
  std::vector<uint8_t> bytes(static_cast<size_t>(files * kLength));
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(generator());
  std::vector<int64_t> byte_offsets, token_offsets;
  for (int64_t i = 0; i <= files; ++i) byte_offsets.push_back(i * kLength), token_offsets.push_back(i * kTokens);
  const ByteConvShape shape{.files = files, .bytes = bytes.data(), .byte_offsets = byte_offsets.data(), .token_offsets = token_offsets.data(),
                            .kernel = kKernel, .stride = kStride, .width = kWidth, .num_threads = threads};
  const auto values = static_cast<size_t>(files * kTokens * kWidth), cells = static_cast<size_t>(kKernel * 256 * kWidth);
  Buffer<float> table(cells, 0.01F), dtable(cells), y(values), dy(values, 0.5F);
  Buffer<uint16_t> small_y(values), small_dy(values, 0x3f00);
  Buffer<float> workspace(static_cast<size_t>(byte_conv_workspace({}, shape)));
  struct Pass {
    const char* name;
    double row_bytes;  // of an element, as it lies in the packed rows
    std::function<void()> work;
  };
  const Pass passes[] = {
      {"forward, f32", 4, [&] { run(byte_conv_forward({}, shape, {.table = table.data(), .y = y.data(), .workspace = workspace.data()}, {})); }},
      {"forward, bf16 out", 4, [&] { run(byte_conv_forward({}, shape, {.table = table.data(), .y = small_y.data(), .y_dtype = DType::kBF16, .workspace = workspace.data()}, {})); }},
      {"backward, f32", 4, [&] { run(byte_conv_backward({}, shape, {.dy = dy.data(), .dtable = dtable.data(), .workspace = workspace.data()}, {})); }},
      {"backward, bf16", 4, [&] { run(byte_conv_backward({}, shape, {.dy = small_dy.data(), .dy_dtype = DType::kBF16, .dtable = dtable.data(), .workspace = workspace.data()}, {})); }},
  };
  for (const Pass& pass : passes) {
    std::vector<double> took;
    pass.work();
    for (int round = 0; round < rounds; ++round) {
      const double began = seconds();
      for (int i = 0; i < 4; ++i) pass.work();
      took.push_back((seconds() - began) / 4);
    }
    const Spread s = spread(took);
    const double rows = static_cast<double>(files * kTokens * kKernel * kWidth) * pass.row_bytes;
    std::printf("| %s | %d | %.2f (%.2f-%.2f) | %.0f |\n", pass.name, threads, 1e3 * s.median / static_cast<double>(files), 1e3 * s.low / static_cast<double>(files),
                1e3 * s.high / static_cast<double>(files), rows / s.median * 1e-9);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  const int64_t files = argc > 2 ? std::atoll(argv[2]) : 2;
  if (rounds < 1 || files < 1) {
    std::fprintf(stderr, "usage: bench-byte_conv [ROUNDS] [FILES]\n");
    return 2;
  }
  std::printf("commit %s; one thread reads 1.5 MiB again and again at %.0f GB/s\n\n| pass | threads | ms a file | GB/s of rows |\n|---|---|---|---|\n", fettle::build_info().commit, cached_read());
  measure(files, 1, rounds);
  if (omp_get_max_threads() > 1) measure(files, omp_get_max_threads(), rounds);
}
