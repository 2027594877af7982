#pragma once
// What ByteFormer (arXiv 2306.00238) does to a file's bytes before the network sees them, each part optional, always in this order:
//
//   reorder   reverse             the last byte first
//             cyclic-half-length  byte i moves to i + floor(N / 2), around the end
//             stride              every `stride`-th byte from 0, then from 1, ...
//             window-shuffle      one permutation of `window` positions in each full window; what is left at the end stays
//             random-shuffle      a permutation of all bytes, a new one for every sample and epoch
//   keep      the bytes at fixed positions ("camera"): floor(fraction * N) of them, order kept
//   noise     plus an integer of lo..hi, uniform and a new one for every byte, modulo 256
//   phi       byte x becomes table[x]
//
// Permutations that are fixed are PyTorch's: torch.randperm on its CPU generator with seed 2147483647, as in the public code. What is drawn
// anew comes from our own named streams: (seed, "byte shuffle", epoch, sample), (seed, "byte noise", epoch, sample), and for windows
// that are drawn anew for every batch, as in the public code, (seed, "window shuffle", epoch, batch).
//
// Errors are kInput unless noted.

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace fettle {
using Json = nlohmann::json;
}

namespace fettle::byteformer {

inline constexpr uint32_t kReferenceSeed = 2147483647;

using ByteTable = std::array<uint8_t, 256>;

// ---- options ---------------------------------------------------------------------------------------------------------

enum class Order : int { kReverse, kCyclicHalfLength, kStride, kWindowShuffle, kRandomShuffle };
std::string_view order_name(Order order);
std::optional<Order> find_order(std::string_view name);

struct Reorder {
  Order order = Order::kReverse;
  int64_t stride = 1024;             // kStride, >= 1
  int64_t window = 1024;             // kWindowShuffle, 1..2^24
  bool redraw_each_batch = false;    // kWindowShuffle: a new permutation for every batch instead of one for all runs
  bool operator==(const Reorder&) const = default;
};

struct Keep {
  double fraction = 0.5;             // in (0, 1]
  uint32_t seed = kReferenceSeed;
  // The one length that the mask is for: others are refused with both lengths. 0: every length has a mask of its own, which
  // depends on (length, fraction, seed) alone, so that samples of one length always lose the same positions.
  int64_t length = 0;
  bool operator==(const Keep&) const = default;
};

struct Noise {
  int lo = -5, hi = 5;               // -255 <= lo <= hi <= 255
  bool operator==(const Noise&) const = default;
};

struct ByteTransforms {
  std::optional<Reorder> reorder;
  std::optional<Keep> keep;
  std::optional<Noise> noise;
  std::optional<ByteTable> phi;      // a permutation of 0..255
  bool operator==(const ByteTransforms&) const = default;
};

// {"reorder": {"order": "stride", "stride": 1024}, "keep": {...}, "noise": {"lo": -5, "hi": 5}, "phi": [239, 90, ...]}, absent parts left
// out. Reading refuses unknown keys and what validate() refuses; `where` begins the message.
Json to_json(const ByteTransforms& transforms);
ByteTransforms transforms_from_json(const Json& json, std::string_view where);

void validate(const ByteTransforms& transforms);  // Error(kUsage)

ByteTable reference_phi();  // of kReferenceSeed: 239, 90, 81, 175, ...

// 256 bytes; or 256 numbers as text, separated by blanks, commas and line ends, in brackets (JSON) or not. Refused: anything that is no
// permutation of 0..255, with the value that is out of range, missing or there twice.
ByteTable read_phi(const std::filesystem::path& path);
ByteTable parse_phi(std::span<const uint8_t> bytes, std::string_view name);

// ---- parts -----------------------------------------------------------------------------------------------------------

// torch.randperm(n) on a CPU generator seeded with `seed`; 0 <= n <= 2^27.
std::vector<int32_t> torch_permutation(int64_t n, uint32_t seed);

// Ascending positions below `length` that a mask keeps: the first floor(fraction * length) of torch_permutation(length, seed).
std::vector<int32_t> kept_positions(const Keep& keep, int64_t length);

// `out` has in's length and does not overlap it; `permutation` is one of window positions, or of all of them.
void reverse_bytes(std::span<const uint8_t> in, uint8_t* out);
void rotate_by_half(std::span<const uint8_t> in, uint8_t* out);
void order_by_stride(std::span<const uint8_t> in, int64_t stride, uint8_t* out);
void shuffle_windows(std::span<const uint8_t> in, std::span<const int32_t> permutation, uint8_t* out);  // out[i] = in[permutation[i]]

void take(std::span<const uint8_t> in, std::span<const int32_t> positions, uint8_t* out);  // out has one byte a position
void add_noise(std::span<uint8_t> bytes, std::span<const int16_t> noise);
void substitute(std::span<uint8_t> bytes, const ByteTable& table);

// ---- the whole -------------------------------------------------------------------------------------------------------

// Which sample of which batch this is, for what is drawn.
struct SampleKey {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t batch = 0;   // index within the epoch
  int64_t sample = 0;  // index within the data set
};

// Keeps buffers, the last mask and the last window permutation: one transformer a thread. The result depends on bytes, options and
// key alone.
class ByteTransformer {
 public:
  explicit ByteTransformer(const ByteTransforms& transforms);  // validates

  const ByteTransforms& transforms() const { return transforms_; }

  // In place; with `keep` shorter afterwards. `name` begins errors. An empty file stays empty.
  void apply(std::vector<uint8_t>& bytes, const SampleKey& key, std::string_view name);

  int64_t output_length(int64_t length) const;  // bytes that are left of so many

  // Where each byte that apply() leaves of so many comes from. Noise and phi move none. Error(kInput) as apply().
  std::vector<int64_t> source_positions(int64_t length, const SampleKey& key, std::string_view name) const;

 private:
  std::span<const int32_t> window_permutation(const SampleKey& key);

  ByteTransforms transforms_;
  std::vector<uint8_t> scratch_;
  std::vector<int32_t> kept_, permutation_;
  int64_t kept_length_ = -1;
  std::optional<std::array<uint64_t, 3>> window_key_;  // seed, epoch, batch of permutation_ where it is drawn anew
};

}  // namespace fettle::byteformer
