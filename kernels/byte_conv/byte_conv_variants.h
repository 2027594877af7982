#pragma once
// What lies between byte_conv's functions and their variants.

#include "kernels/byte_conv/byte_conv.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

// The table and dy are cut into so many columns of their width, and each cut's rows are packed: those of a table of 32 taps then take
// 1.5 MiB, those of a run of dy half of that, which stay in a core's cache (in the whole they would share too few of its sets, and many pages).
constexpr int64_t kByteConvColumns = 48;

// Rows of a run of dy, sorted by the byte that they meet at one place.
struct ByteConvLists {
  const uint16_t* order;   // the packed rows of byte v are order[starts[v]] to order[starts[v + 1]], ascending
  const uint16_t* starts;  // [257]
  const float* packed;     // [rows, kByteConvColumns]
};

// On the calling thread, the arguments checked: columns [column, column + columns), columns <= kByteConvColumns.
struct ByteConvVariant {
  // Tokens [first, last) of all files together. packed: [kernel, 256, columns], the table's rows by tap.
  void (*forward)(const ByteConvShape& shape, const ByteConvForward& args, const float* packed, int64_t first, int64_t last, int64_t column, int64_t columns);
  // Rows [row, row + rows) of dy, widened, each followed by zeros up to kByteConvColumns.
  void (*pack)(const ByteConvShape& shape, const ByteConvBackward& args, int64_t row, int64_t rows, int64_t column, int64_t columns, float* packed);
  // For every byte v its rows are added to to[v * stride], and where `before` is not null, those one earlier to before[v * stride].
  void (*add_lists)(const ByteConvLists& lists, float* to, float* before, int64_t stride, int64_t columns);
};
ByteConvVariant byte_conv_baseline();
ByteConvVariant byte_conv_avx2();
ByteConvVariant byte_conv_avx512();

}  // namespace fettle::kernels
