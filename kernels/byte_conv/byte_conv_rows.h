#pragma once
// byte_conv's backward pass sorts tokens by their bytes, so that a cell of the gradient is summed up in registers. Each file is cut into rows
// of `stride` bytes, as many as its tokens read; M - 1 empty rows stand before a file's first, M = rows that a token reads from; the rows of
// all files are numbered one after the other and worked on in runs. Byte `place` of row r is byte `place` of token r, byte place + stride of
// token r - 1, and so on: one sorted list serves M taps, two at a time.

#include <cstdint>

#include "kernels/byte_conv/byte_conv.h"
#include "kernels/byte_conv/byte_conv_variants.h"

namespace fettle::kernels {

// Scratch of the backward pass, in bytes from its beginning: where each file's rows begin, the sorted rows of every place, how many each
// byte has, and each thread's packed rows of dy.
struct ByteConvScratch {
  int64_t places;       // of a row that tokens read
  int64_t packed_rows;  // of one thread
  int64_t order_at, starts_at, packed_at, bytes;

  ByteConvScratch(const ByteConvShape& shape, int64_t threads);
};

class ByteConvRows {
 public:
  // offsets: [files + 1], filled here.
  ByteConvRows(const ByteConvShape& shape, int64_t* offsets);

  int64_t early() const { return early_; }  // M - 1
  int64_t count() const { return offsets_[shape_.files]; }
  int64_t runs() const;
  int64_t run_begin(int64_t run) const;
  int64_t run_end(int64_t run) const;

  // The rows of a run that have a byte at `place`, by byte and in order. Numbers of packed rows, which begin M - 1 rows before the run.
  void sort(int64_t run, int64_t place, uint16_t* order, uint16_t* starts) const;
  // dy's columns for the rows of a run and the M - 1 before it; rows that are no token are 0.
  void pack(int64_t run, const ByteConvBackward& args, const ByteConvVariant& variant, int64_t column, int64_t columns, float* packed) const;

 private:
  int64_t tokens(int64_t file) const { return shape_.token_offsets[file + 1] - shape_.token_offsets[file]; }
  int64_t length(int64_t file) const { return shape_.byte_offsets[file + 1] - shape_.byte_offsets[file]; }
  template <class F>
  void over_files(int64_t begin, int64_t end, const F& f) const;

  const ByteConvShape& shape_;
  int64_t* offsets_;
  int64_t early_;
};

}  // namespace fettle::kernels
