#include "bytes/byte_transforms.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "base/errors.h"
#include "kernels/byte_map/byte_map.h"
#include "random/stream.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kMaxPermutation = int64_t{1} << 27;  // PyTorch takes 64-bit draws from 2^32 / 20 on

// Numbers of a stream, drawn ahead.
template <class Number, size_t kCount>
class DrawnAhead {
 public:
  explicit DrawnAhead(const RandomStream& stream) : stream_(stream) {}

  Number next() {
    if (at_ == kCount) refill();
    return numbers_[at_++];
  }

  // The next `count` numbers, which stay to be taken with skip(), or null where the store ends before.
  const Number* peek(size_t count) {
    if (at_ == kCount) refill();
    return kCount - at_ >= count ? &numbers_[at_] : nullptr;
  }
  void skip(size_t count) { at_ += count; }

 private:
  void refill() {
    std::array<uint32_t, kCount * sizeof(Number) / sizeof(uint32_t)> words;
    stream_.fill(words);
    std::memcpy(numbers_.data(), words.data(), sizeof numbers_);
    at_ = 0;
  }

  RandomStream stream_;
  std::array<Number, kCount> numbers_;
  size_t at_ = kCount;
};
static_assert(std::endian::native == std::endian::little, "the lower half of a word is its first short");

// Each byte plus lo + the upper half of (16-bit number * count). Of the products those whose lower half is below 2^16 mod count are drawn
// again, so that every sum is equally likely.
void add_uniform_noise(std::span<uint8_t> bytes, const Noise& noise, const RandomStream& stream) {
  constexpr size_t kBlock = 128;
  const auto count = static_cast<uint16_t>(noise.hi - noise.lo + 1);
  const auto refused = static_cast<uint16_t>(65536 % count);
  const auto lo = static_cast<uint8_t>(noise.lo);
  DrawnAhead<uint16_t, 4096> draws(stream);
  const auto add_one = [&](uint8_t& byte) {
    uint32_t product = draws.next() * uint32_t{count};
    while ((product & 0xFFFF) < refused) product = draws.next() * uint32_t{count};
    byte = static_cast<uint8_t>(byte + lo + (product >> 16));
  };
  size_t at = 0;
  while (bytes.size() - at >= kBlock) {
    uint8_t* const block = bytes.data() + at;
    at += kBlock;
    // All at once where none is refused, which is the rule.
    if (const uint16_t* const numbers = draws.peek(kBlock); numbers != nullptr) {
      uint16_t any_refused = 0;
      for (size_t i = 0; i < kBlock; ++i) any_refused = static_cast<uint16_t>(any_refused | (static_cast<uint16_t>(numbers[i] * uint32_t{count}) < refused ? 1 : 0));
      if (any_refused == 0) {
        for (size_t i = 0; i < kBlock; ++i) block[i] = static_cast<uint8_t>(block[i] + lo + (numbers[i] * uint32_t{count} >> 16));
        draws.skip(kBlock);
        continue;
      }
    }
    for (size_t i = 0; i < kBlock; ++i) add_one(block[i]);
  }
  for (; at < bytes.size(); ++at) add_one(bytes[at]);
}

// Fisher-Yates from the back. Position i takes one of 0..i: the upper half of (32-bit number * (i + 1)), drawn again where the lower half
// is below 2^32 mod (i + 1).
void draw_permutation(int64_t n, const RandomStream& stream, std::vector<int32_t>& order) {
  order.resize(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  DrawnAhead<uint32_t, 1024> draws(stream);
  for (size_t i = order.size(); i-- > 1;) {
    const auto count = static_cast<uint32_t>(i + 1);
    uint64_t product = uint64_t{draws.next()} * count;
    if (static_cast<uint32_t>(product) < count) {
      const uint32_t refused = -count % count;
      while (static_cast<uint32_t>(product) < refused) product = uint64_t{draws.next()} * count;
    }
    std::swap(order[i], order[product >> 32]);
  }
}

}  // namespace

ByteTable reference_phi() {
  ByteTable table;
  const std::vector<int32_t> order = torch_permutation(256, kReferenceSeed);
  std::transform(order.begin(), order.end(), table.begin(), [](int32_t value) { return static_cast<uint8_t>(value); });
  return table;
}

// Position i takes the element at i + (a 32-bit number of the Mersenne Twister modulo n - i), for all i but the last.
std::vector<int32_t> torch_permutation(int64_t n, uint32_t seed) {
  FT_REQUIRE(n >= 0 && n <= kMaxPermutation, "cannot permute {} positions: expected at most {}", n, kMaxPermutation);
  std::vector<int32_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::mt19937 numbers(seed);
  for (size_t i = 0; i + 1 < order.size(); ++i) std::swap(order[i], order[i + numbers() % (order.size() - i)]);
  return order;
}

std::vector<int32_t> kept_positions(const Keep& keep, int64_t length) {
  FT_REQUIRE(keep.length == 0 || keep.length == length, "the mask is for {} bytes, found {}", keep.length, length);
  std::vector<int32_t> positions = torch_permutation(length, keep.seed);
  positions.resize(static_cast<size_t>(keep.fraction * static_cast<double>(length)));
  std::sort(positions.begin(), positions.end());
  return positions;
}

void reverse_bytes(std::span<const uint8_t> in, uint8_t* out) { std::reverse_copy(in.begin(), in.end(), out); }

void rotate_by_half(std::span<const uint8_t> in, uint8_t* out) { std::rotate_copy(in.begin(), in.end() - static_cast<int64_t>(in.size() / 2), in.end(), out); }

// A transposition, a cache line of columns at a time: rows of `stride` bytes are read in order, and what is written lies close together.
void order_by_stride(std::span<const uint8_t> in, int64_t stride, uint8_t* out) {
  FT_CHECK(stride >= 1, "stride {}", stride);
  constexpr size_t kColumns = 64;
  const size_t step = static_cast<size_t>(stride), rows = in.size() / step, longer = in.size() % step;  // columns before `longer` have a row more
  const uint8_t* const from = in.data();
  for (size_t first = 0; first < step; first += kColumns) {
    const size_t columns = std::min(kColumns, step - first);
    uint8_t* to[kColumns];
    for (size_t i = 0; i < columns; ++i) to[i] = out + (first + i) * rows + std::min(first + i, longer);
    for (size_t row = 0; row < rows; ++row) {
      for (size_t i = 0; i < columns; ++i) to[i][row] = from[row * step + first + i];
    }
    for (size_t i = 0; i < columns && first + i < longer; ++i) to[i][rows] = from[rows * step + first + i];
  }
}

void shuffle_windows(std::span<const uint8_t> in, std::span<const int32_t> permutation, uint8_t* out) {
  FT_CHECK(!permutation.empty(), "a window of no bytes");
  while (in.size() >= permutation.size()) {
    take(in, permutation, out);
    in = in.subspan(permutation.size());
    out += permutation.size();
  }
  std::copy(in.begin(), in.end(), out);
}

void take(std::span<const uint8_t> in, std::span<const int32_t> positions, uint8_t* out) {
  for (size_t i = 0; i < positions.size(); ++i) out[i] = in[static_cast<size_t>(positions[i])];
}

void add_noise(std::span<uint8_t> bytes, std::span<const int16_t> noise) {
  FT_CHECK(bytes.size() == noise.size(), "{} bytes, {} numbers", bytes.size(), noise.size());
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(bytes[i] + noise[i]);
}

void substitute(std::span<uint8_t> bytes, const ByteTable& table) {
  const kernels::Status status = kernels::byte_map({bytes.data(), table.data(), bytes.data(), static_cast<int64_t>(bytes.size())});
  FT_CHECK(status == kernels::Status::kOk, "byte_map: {}", kernels::status_text(status));
}

ByteTransformer::ByteTransformer(const ByteTransforms& transforms) : transforms_(transforms) {
  validate(transforms);
  if (transforms.keep && transforms.keep->length > 0) {
    kept_length_ = transforms.keep->length;
    kept_ = kept_positions(*transforms.keep, kept_length_);
  }
}

std::span<const int32_t> ByteTransformer::window_permutation(const SampleKey& key) {
  const Reorder& reorder = *transforms_.reorder;
  if (!reorder.redraw_each_batch) {
    if (permutation_.empty()) permutation_ = torch_permutation(reorder.window, kReferenceSeed);
    return permutation_;
  }
  const std::array<uint64_t, 3> wanted{key.seed, static_cast<uint64_t>(key.epoch), static_cast<uint64_t>(key.batch)};
  if (window_key_ != wanted) {
    draw_permutation(reorder.window, RandomStream(key.seed, "window shuffle", key.epoch, key.batch), permutation_);
    window_key_ = wanted;
  }
  return permutation_;
}

void ByteTransformer::apply(std::vector<uint8_t>& bytes, const SampleKey& key, std::string_view name) {
  const auto length = static_cast<int64_t>(bytes.size());
  if (const auto& reorder = transforms_.reorder; reorder && length > 0) {
    scratch_.resize(bytes.size());
    switch (reorder->order) {
      case Order::kReverse: reverse_bytes(bytes, scratch_.data()); break;
      case Order::kCyclicHalfLength: rotate_by_half(bytes, scratch_.data()); break;
      case Order::kStride: order_by_stride(bytes, reorder->stride, scratch_.data()); break;
      case Order::kWindowShuffle: shuffle_windows(bytes, window_permutation(key), scratch_.data()); break;
      case Order::kRandomShuffle:
        FT_REQUIRE(length <= kMaxPermutation, "{}: cannot shuffle {} bytes, expected at most {}", name, length, kMaxPermutation);
        draw_permutation(length, RandomStream(key.seed, "byte shuffle", key.epoch, key.sample), permutation_);
        take(bytes, permutation_, scratch_.data());
        break;
    }
    bytes.swap(scratch_);
  }
  if (const auto& keep = transforms_.keep; keep && length > 0) {
    FT_REQUIRE(keep->length == 0 || keep->length == length, "{} has {} bytes, and the mask of kept positions is for {}: encode all samples at one size, or let each length have its own mask",
               name, length, keep->length);
    FT_REQUIRE(length <= kMaxPermutation, "{}: cannot mask {} bytes, expected at most {}", name, length, kMaxPermutation);
    if (kept_length_ != length) {
      kept_ = kept_positions(*keep, length);
      kept_length_ = length;
    }
    scratch_.resize(kept_.size());
    take(bytes, kept_, scratch_.data());
    bytes.swap(scratch_);
  }
  if (transforms_.noise) add_uniform_noise(bytes, *transforms_.noise, RandomStream(key.seed, "byte noise", key.epoch, key.sample));
  if (transforms_.phi) substitute(bytes, *transforms_.phi);
}

// apply() itself, which moves the bytes of the positions' numbers, lowest first, as it moves a file's.
std::vector<int64_t> ByteTransformer::source_positions(int64_t length, const SampleKey& key, std::string_view name) const {
  ByteTransformer moves({.reorder = transforms_.reorder, .keep = transforms_.keep});
  std::vector<int64_t> positions;
  std::vector<uint8_t> bytes;
  for (int shift = 0; shift == 0 || (length - 1) >> shift > 0; shift += 8) {
    bytes.resize(static_cast<size_t>(length));
    for (int64_t i = 0; i < length; ++i) bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(i >> shift);
    moves.apply(bytes, key, name);
    positions.resize(bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) positions[i] |= int64_t{bytes[i]} << shift;
  }
  return positions;
}

int64_t ByteTransformer::output_length(int64_t length) const {
  return transforms_.keep ? static_cast<int64_t>(transforms_.keep->fraction * static_cast<double>(length)) : length;
}

}  // namespace fettle::byteformer
