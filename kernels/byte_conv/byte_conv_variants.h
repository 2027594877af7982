#pragma once
// What lies between byte_conv's functions and their variants.

#include "kernels/byte_conv/byte_conv.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

// Columns of the width that are done at a time: the rows of a table of 32 x 256 then take 1.5 MiB, which stay in a core's cache.
constexpr int64_t kByteConvColumns = 48;

// On the calling thread, the arguments checked: columns [column, column + columns), columns <= kByteConvColumns.
struct ByteConvVariant {
  // Tokens [first, last) of all files together.
  void (*forward)(const ByteConvShape& shape, const ByteConvForward& args, int64_t first, int64_t last, int64_t column, int64_t columns);
  // All tokens, into the rows of taps [tap, tap_end).
  void (*backward)(const ByteConvShape& shape, const ByteConvBackward& args, int64_t tap, int64_t tap_end, int64_t column, int64_t columns);
};
ByteConvVariant byte_conv_baseline();
ByteConvVariant byte_conv_avx2();
ByteConvVariant byte_conv_avx512();

}  // namespace fettle::kernels
