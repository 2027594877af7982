#pragma once
// What lies between byte_conv's functions and their variants.

#include "kernels/byte_conv/byte_conv.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

// The table is cut into so many columns of its width, and each cut's rows are packed: those of 32 taps then take 1.5 MiB, which stay in a core's
// cache (in the whole table they would share too few of its sets, and many pages).
constexpr int64_t kByteConvColumns = 48;

// On the calling thread, the arguments checked: columns [column, column + columns), columns <= kByteConvColumns.
struct ByteConvVariant {
  // Tokens [first, last) of all files together. packed: [kernel, 256, columns], the table's rows by tap.
  void (*forward)(const ByteConvShape& shape, const ByteConvForward& args, const float* packed, int64_t first, int64_t last, int64_t column, int64_t columns);
  // All tokens, added to the rows of taps [tap, tap_end). packed: [tap_end - tap, 256, columns].
  void (*backward)(const ByteConvShape& shape, const ByteConvBackward& args, float* packed, int64_t tap, int64_t tap_end, int64_t column, int64_t columns);
};
ByteConvVariant byte_conv_baseline();
ByteConvVariant byte_conv_avx2();
ByteConvVariant byte_conv_avx512();

}  // namespace fettle::kernels
