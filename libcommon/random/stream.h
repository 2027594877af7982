#pragma once
// One seed, many independent streams of random numbers. A stream is named by (seed, purpose, epoch, index), so the order of
// draws in one place never changes another, and any position of a run can be replayed without what came before it.
//
// Counter-based: Philox4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011). The key holds the
// seed and the purpose, the counter the epoch, the index and the block. Integers and uniforms are the same on every
// machine; normal() leans on libm.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace fettle {

class RandomStream {
 public:
  // `purpose` is a short constant such as "crop"; 0 <= epoch < 2^32; index >= 0.
  RandomStream(uint64_t seed, std::string_view purpose, int64_t epoch = 0, int64_t index = 0);

  uint32_t next_u32();
  uint64_t next_u64();
  void fill(std::span<uint32_t> values);  // as many next_u32(), several times as fast

  int64_t below(int64_t n);              // uniform on 0..n-1, unbiased; n >= 1
  double uniform();                      // [0, 1), multiples of 2^-53
  double uniform(double lo, double hi);  // lo + (hi - lo) * uniform()
  bool bernoulli(double p);              // true with probability p
  double normal();                       // mean 0, variance 1 (Box-Muller; one value a call, nothing kept)

  // Fisher-Yates from the back, with below().
  template <typename T>
  void shuffle(std::vector<T>& values) {
    for (int64_t i = static_cast<int64_t>(values.size()) - 1; i > 0; --i) {
      std::swap(values[static_cast<size_t>(i)], values[static_cast<size_t>(below(i + 1))]);
    }
  }

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

// Philox4x32-10 of one counter block; the published test vectors check it.
std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// A 64-bit seed derived from (seed, purpose, index), for libraries that take one number, such as LibTorch's generator.
uint64_t derive_seed(uint64_t seed, std::string_view purpose, int64_t index = 0);

// A seed from the operating system for runs that were given none; below 2^53, so that every JSON reader keeps it.
int64_t draw_seed();

}  // namespace fettle
