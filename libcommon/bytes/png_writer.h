#pragma once
// PNG as Pillow writes it, of 8-bit RGB or grey. For each row the filter with the least sum of |residual as a signed byte| among None, Up,
// Sub and Paeth, tried in this order, where a later one has to be better (Average is not tried); zlib with Z_FILTERED, a window of
// 2^15 and memory level 9, fed row by row; IDAT chunks of max(65536, 4 * width) bytes.

#include <cstdint>
#include <memory>
#include <vector>

struct z_stream_s;

namespace fettle::byteformer {

class PngWriter {
 public:
  explicit PngWriter(int level);  // 0..9
  ~PngWriter();
  PngWriter(const PngWriter&) = delete;
  PngWriter& operator=(const PngWriter&) = delete;

  // pixels: [height, width, channels], 1 or 3 channels. `bytes` is replaced.
  void write(const uint8_t* pixels, int64_t height, int64_t width, int channels, std::vector<uint8_t>& bytes);

 private:
  std::unique_ptr<z_stream_s> stream_;
  std::vector<uint8_t> rows_;  // a row of zeros before the first one; the candidates' rows, each with its filter's number before it
};

// The filtered row with the least sum, [1 + row_bytes]: its filter's number and the residuals. It is in `candidates`, which has room for
// 4 * (1 + row_bytes). `above` is the row before, or zeros; bpp bytes are a pixel.
const uint8_t* filter_row(const uint8_t* row, const uint8_t* above, int64_t row_bytes, int bpp, uint8_t* candidates);

}  // namespace fettle::byteformer
