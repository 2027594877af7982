#pragma once
// byte_map: every byte through a table.
//
//   out[i] = table[in[i]]
//
// in, out   [count] u8; the same, or apart
// table     [256] u8, apart from out
// Sizes     count from 0
// Numbers   integers: every CPU variant gives the same bytes. One thread; no CUDA version: loader threads map bytes.

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

struct ByteMapArgs {
  const uint8_t* in = nullptr;
  const uint8_t* table = nullptr;
  uint8_t* out = nullptr;
  int64_t count = 0;
};

Status byte_map(const ByteMapArgs& args);

}  // namespace fettle::kernels
