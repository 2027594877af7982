#include "bytes/png_writer.h"

#include <emmintrin.h>
#include <tmmintrin.h>
#include <smmintrin.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/errors.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kVector = 16;

int64_t magnitude(uint8_t residual) { return residual < 128 ? residual : 256 - residual; }

int64_t sum_of(__m128i sums) { return _mm_cvtsi128_si64(sums) + _mm_extract_epi64(sums, 1); }

// |int8| of -128 is 128 as an unsigned byte, which is what is meant.
__m128i add_magnitudes(__m128i sums, __m128i residuals) { return _mm_add_epi64(sums, _mm_sad_epu8(_mm_abs_epi8(residuals), _mm_setzero_si128())); }

__m128i load(const uint8_t* from) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from)); }

struct Up {
  static constexpr uint8_t kNumber = 2;
  static uint8_t predict(uint8_t, uint8_t above, uint8_t) { return above; }
  static __m128i predict(__m128i, __m128i above, __m128i) { return above; }
};

struct Sub {
  static constexpr uint8_t kNumber = 1;
  static uint8_t predict(uint8_t left, uint8_t, uint8_t) { return left; }
  static __m128i predict(__m128i left, __m128i, __m128i) { return left; }
};

struct Paeth {
  static constexpr uint8_t kNumber = 4;
  // Of left, above and corner the one nearest to left + above - corner, in this order.
  static uint8_t predict(uint8_t left, uint8_t above, uint8_t corner) {
    const int to_left = std::abs(above - corner), to_above = std::abs(left - corner), to_corner = std::abs(above + left - 2 * corner);
    return to_left <= to_above && to_left <= to_corner ? left : to_above <= to_corner ? above : corner;
  }
  // In bytes: |above + left - 2 corner| is the sum of the two distances where above and left lie on the same side of corner, else the
  // distance between them; sums beyond 255 saturate, which is above every distance that they are compared with or equal to it.
  static __m128i predict(__m128i left, __m128i above, __m128i corner) {
    const __m128i above_over = _mm_subs_epu8(above, corner), above_under = _mm_subs_epu8(corner, above);
    const __m128i left_over = _mm_subs_epu8(left, corner), left_under = _mm_subs_epu8(corner, left);
    const __m128i to_left = _mm_or_si128(above_over, above_under), to_above = _mm_or_si128(left_over, left_under);
    const __m128i over = _mm_adds_epu8(above_over, left_over), under = _mm_adds_epu8(above_under, left_under);
    const __m128i to_corner = _mm_or_si128(_mm_subs_epu8(over, under), _mm_subs_epu8(under, over));
    const __m128i least = _mm_min_epu8(_mm_min_epu8(to_left, to_above), to_corner);
    const __m128i take_left = _mm_cmpeq_epi8(to_left, least), take_above = _mm_cmpeq_epi8(to_above, least);
    return _mm_blendv_epi8(_mm_blendv_epi8(corner, above, take_above), left, take_left);
  }
};

// out[0] = number, out[1 + i] = row[i] - prediction. -> the sum of magnitudes.
template <class Filter>
int64_t apply(const uint8_t* row, const uint8_t* above, int64_t row_bytes, int bpp, uint8_t* out) {
  *out++ = Filter::kNumber;
  int64_t sum = 0;
  const auto one = [&](int64_t i, uint8_t left, uint8_t corner) {
    out[i] = static_cast<uint8_t>(row[i] - Filter::predict(left, above[i], corner));
    sum += magnitude(out[i]);
  };
  int64_t i = 0;
  for (; i < std::min<int64_t>(bpp, row_bytes); ++i) one(i, 0, 0);
  __m128i sums = _mm_setzero_si128();
  for (; i + kVector <= row_bytes; i += kVector) {
    const __m128i residuals = _mm_sub_epi8(load(row + i), Filter::predict(load(row + i - bpp), load(above + i), load(above + i - bpp)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), residuals);
    sums = add_magnitudes(sums, residuals);
  }
  for (; i < row_bytes; ++i) one(i, row[i - bpp], above[i - bpp]);
  return sum + sum_of(sums);
}

int64_t copy(const uint8_t* row, int64_t row_bytes, uint8_t* out) {
  *out++ = 0;
  std::memcpy(out, row, static_cast<size_t>(row_bytes));
  __m128i sums = _mm_setzero_si128();
  int64_t i = 0, sum = 0;
  for (; i + kVector <= row_bytes; i += kVector) sums = add_magnitudes(sums, load(row + i));
  for (; i < row_bytes; ++i) sum += magnitude(row[i]);
  return sum + sum_of(sums);
}

void put_u32(uint8_t* to, uint32_t value) {
  for (int i = 0; i < 4; ++i) to[i] = static_cast<uint8_t>(value >> (24 - 8 * i));
}

void append_chunk(std::vector<uint8_t>& bytes, const char* type, std::initializer_list<uint8_t> data) {
  const size_t at = bytes.size();
  bytes.resize(at + 12 + data.size());
  put_u32(&bytes[at], static_cast<uint32_t>(data.size()));
  std::memcpy(&bytes[at + 4], type, 4);
  std::copy(data.begin(), data.end(), &bytes[at + 8]);
  put_u32(&bytes[at + 8 + data.size()], static_cast<uint32_t>(crc32(0, &bytes[at + 4], static_cast<uInt>(4 + data.size()))));
}

// IDAT chunks of a fixed size at the end of `bytes`, whose data the stream writes in place.
class DataChunks {
 public:
  DataChunks(z_stream& stream, std::vector<uint8_t>& bytes, int64_t chunk_bytes) : stream_(stream), bytes_(bytes), chunk_bytes_(static_cast<size_t>(chunk_bytes)) { open(); }

  void deflate_row(const uint8_t* row, int64_t row_bytes) {
    stream_.next_in = const_cast<uint8_t*>(row);
    stream_.avail_in = static_cast<uInt>(row_bytes);
    while (true) {
      const int status = deflate(&stream_, Z_NO_FLUSH);
      FT_CHECK(status == Z_OK || status == Z_BUF_ERROR, "deflate returns {}", status);
      if (stream_.avail_out != 0) break;
      close();
      open();
      if (stream_.avail_in == 0) break;
    }
  }

  void finish() {
    while (true) {
      const int status = deflate(&stream_, Z_FINISH);
      if (status == Z_STREAM_END) break;
      FT_CHECK((status == Z_OK || status == Z_BUF_ERROR) && stream_.avail_out == 0, "deflate returns {} with {} bytes of room", status, stream_.avail_out);
      close();
      open();
    }
    close();
  }

 private:
  void open() {
    at_ = bytes_.size();
    bytes_.resize(at_ + 8 + chunk_bytes_ + 4);
    std::memcpy(&bytes_[at_ + 4], "IDAT", 4);
    stream_.next_out = &bytes_[at_ + 8];
    stream_.avail_out = static_cast<uInt>(chunk_bytes_);
  }

  void close() {
    const size_t size = chunk_bytes_ - stream_.avail_out;
    put_u32(&bytes_[at_], static_cast<uint32_t>(size));
    put_u32(&bytes_[at_ + 8 + size], static_cast<uint32_t>(crc32(0, &bytes_[at_ + 4], static_cast<uInt>(4 + size))));
    bytes_.resize(at_ + 8 + size + 4);
  }

  z_stream& stream_;
  std::vector<uint8_t>& bytes_;
  const size_t chunk_bytes_;
  size_t at_ = 0;
};

}  // namespace

const uint8_t* filter_row(const uint8_t* row, const uint8_t* above, int64_t row_bytes, int bpp, uint8_t* candidates) {
  const uint8_t* best = candidates;
  int64_t least = copy(row, row_bytes, candidates);
  const auto consider = [&](int64_t sum) {
    candidates += 1 + row_bytes;
    if (sum >= least) return;
    best = candidates;
    least = sum;
  };
  uint8_t* const up = candidates + 1 + row_bytes;
  consider(apply<Up>(row, above, row_bytes, bpp, up));
  if (least == 0) return best;  // a repeated row
  consider(apply<Sub>(row, above, row_bytes, bpp, up + 1 + row_bytes));
  consider(apply<Paeth>(row, above, row_bytes, bpp, up + 2 * (1 + row_bytes)));
  return best;
}

PngWriter::PngWriter(int level) : stream_(std::make_unique<z_stream>()) {
  FT_CHECK(level >= 0 && level <= 9, "level {}", level);
  const int status = deflateInit2(stream_.get(), level, Z_DEFLATED, 15, 9, Z_FILTERED);
  if (status != Z_OK) FT_FAIL(ExitCode::kMachine, "zlib does not start ({}): out of memory?", status);
}

PngWriter::~PngWriter() { deflateEnd(stream_.get()); }

void PngWriter::write(const uint8_t* pixels, int64_t height, int64_t width, int channels, std::vector<uint8_t>& bytes) {
  const int64_t row_bytes = width * channels;
  rows_.resize(static_cast<size_t>(row_bytes + 4 * (1 + row_bytes)));
  std::fill_n(rows_.begin(), row_bytes, uint8_t{0});
  const uint8_t* above = rows_.data();
  uint8_t* const candidates = rows_.data() + row_bytes;

  bytes.assign({0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'});
  const auto byte = [](int64_t value, int place) { return static_cast<uint8_t>(value >> (8 * place)); };
  append_chunk(bytes, "IHDR", {byte(width, 3), byte(width, 2), byte(width, 1), byte(width, 0), byte(height, 3), byte(height, 2), byte(height, 1), byte(height, 0),
                               8, static_cast<uint8_t>(channels == 3 ? 2 : 0), 0, 0, 0});
  const int status = deflateReset(stream_.get());
  FT_CHECK(status == Z_OK, "deflateReset returns {}", status);
  DataChunks chunks(*stream_, bytes, std::max<int64_t>(65536, 4 * width));
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* const row = pixels + y * row_bytes;
    chunks.deflate_row(filter_row(row, above, row_bytes, channels, candidates), 1 + row_bytes);
    above = row;
  }
  chunks.finish();
  append_chunk(bytes, "IEND", {});
}

}  // namespace fettle::byteformer
