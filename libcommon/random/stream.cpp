#include "random/stream.h"

#include <smmintrin.h>

#include <cmath>
#include <numbers>
#include <random>

#include "base/errors.h"

namespace fettle {
namespace {

uint64_t fnv1a64(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

// The finaliser of SplitMix64: a bijection that spreads close seeds over all keys.
uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// Halves of the products of four lanes with a constant.
struct Products {
  __m128i high, low;
  Products(__m128i lanes, __m128i constant) {
    const __m128i even = _mm_mul_epu32(lanes, constant), odd = _mm_mul_epu32(_mm_srli_epi64(lanes, 32), constant);
    low = _mm_blend_epi16(even, _mm_slli_epi64(odd, 32), 0xCC);
    high = _mm_blend_epi16(_mm_srli_epi64(even, 32), odd, 0xCC);
  }
};

constexpr uint32_t kFilledBlocks = 8;

// philox4x32_10() of this counter and the seven after it, side by side. out: [8, 4].
void philox_blocks(const std::array<uint32_t, 4>& counter, const std::array<uint32_t, 2>& key, uint32_t* out) {
  const auto spread = [](uint32_t value) { return _mm_set1_epi32(static_cast<int>(value)); };
  __m128i c[2][4];  // of four counters each
  for (uint32_t half = 0; half < 2; ++half) {
    c[half][0] = _mm_add_epi32(spread(counter[0] + 4 * half), _mm_setr_epi32(0, 1, 2, 3));
    for (size_t i = 1; i < 4; ++i) c[half][i] = spread(counter[i]);
  }
  const __m128i constant0 = spread(0xD2511F53u), constant1 = spread(0xCD9E8D57u);
  __m128i key0 = spread(key[0]), key1 = spread(key[1]);
  for (int round = 0; round < 10; ++round) {
    for (__m128i(&lanes)[4] : c) {
      const Products product0(lanes[0], constant0), product1(lanes[2], constant1);
      lanes[0] = _mm_xor_si128(_mm_xor_si128(product1.high, lanes[1]), key0);
      lanes[1] = product1.low;
      lanes[2] = _mm_xor_si128(_mm_xor_si128(product0.high, lanes[3]), key1);
      lanes[3] = product0.low;
    }
    key0 = _mm_add_epi32(key0, spread(0x9E3779B9u));
    key1 = _mm_add_epi32(key1, spread(0xBB67AE85u));
  }
  for (const __m128i(&lanes)[4] : c) {
    const __m128i low01 = _mm_unpacklo_epi32(lanes[0], lanes[1]), low23 = _mm_unpacklo_epi32(lanes[2], lanes[3]);
    const __m128i high01 = _mm_unpackhi_epi32(lanes[0], lanes[1]), high23 = _mm_unpackhi_epi32(lanes[2], lanes[3]);
    for (const __m128i block : {_mm_unpacklo_epi64(low01, low23), _mm_unpackhi_epi64(low01, low23), _mm_unpacklo_epi64(high01, high23), _mm_unpackhi_epi64(high01, high23)}) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out), block);
      out += 4;
    }
  }
}

uint32_t high(uint64_t value) { return static_cast<uint32_t>(value >> 32); }
uint32_t low(uint64_t value) { return static_cast<uint32_t>(value); }

}  // namespace

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {high(product1) ^ counter[1] ^ key[0], low(product1), high(product0) ^ counter[3] ^ key[1], low(product0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

RandomStream::RandomStream(uint64_t seed, std::string_view purpose, int64_t epoch, int64_t index) {
  FT_CHECK(epoch >= 0 && epoch < (int64_t{1} << 32) && index >= 0, "epoch {}, index {}", epoch, index);
  const uint64_t key = mix(mix(seed + 0x9E3779B97F4A7C15u) ^ fnv1a64(purpose));
  key_ = {low(key), high(key)};
  counter_ = {0, low(static_cast<uint64_t>(epoch)), low(static_cast<uint64_t>(index)), high(static_cast<uint64_t>(index))};
}

uint32_t RandomStream::next_u32() {
  if (used_ == 4) {
    block_ = philox4x32_10(counter_, key_);
    ++counter_[0];
    FT_CHECK(counter_[0] != 0, "a stream ends after 2^34 numbers");
    used_ = 0;
  }
  return block_[static_cast<size_t>(used_++)];
}

void RandomStream::fill(std::span<uint32_t> values) {
  size_t at = 0;
  while (at < values.size() && used_ != 4) values[at++] = next_u32();
  for (; values.size() - at >= 4 * kFilledBlocks; at += 4 * kFilledBlocks) {
    FT_CHECK(counter_[0] < UINT32_MAX - kFilledBlocks, "a stream ends after 2^34 numbers");
    philox_blocks(counter_, key_, &values[at]);
    counter_[0] += kFilledBlocks;
  }
  while (at < values.size()) values[at++] = next_u32();
}

uint64_t RandomStream::next_u64() {
  const uint64_t upper = next_u32();
  return upper << 32 | next_u32();
}

int64_t RandomStream::below(int64_t n) {
  FT_CHECK(n >= 1, "below({})", n);
  const uint64_t bound = static_cast<uint64_t>(n);
  // Values of the last, incomplete cycle of n are drawn again: 2^64 mod n of them.
  const uint64_t incomplete = (uint64_t{0} - bound) % bound;
  while (true) {
    const uint64_t value = next_u64();
    if (value >= incomplete) return static_cast<int64_t>(value % bound);
  }
}

double RandomStream::uniform() { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

double RandomStream::uniform(double lo, double hi) { return lo + (hi - lo) * uniform(); }

bool RandomStream::bernoulli(double p) { return uniform() < p; }

double RandomStream::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

uint64_t derive_seed(uint64_t seed, std::string_view purpose, int64_t index) { return RandomStream(seed, purpose, 0, index).next_u64(); }

int64_t draw_seed() {
  std::random_device device;
  const uint64_t value = uint64_t{device()} << 32 | device();
  return static_cast<int64_t>(value >> 11);
}

}  // namespace fettle
