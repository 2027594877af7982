#pragma once
// What lies between byte_map() and its variants.

#include "kernels/byte_map/byte_map.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

void byte_map_baseline(const ByteMapArgs& args);
void byte_map_avx512(const ByteMapArgs& args);
bool byte_map_has_avx512();  // it needs AVX-512 VBMI, which the first CPUs with AVX-512 lack

// byte_map() with one instruction set, which the CPU must have.
Status byte_map_with(const ByteMapArgs& args, Isa isa);

}  // namespace fettle::kernels
