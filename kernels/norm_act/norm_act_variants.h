#pragma once
// What lies between norm_act's functions and their variants.

#include "kernels/norm_act/norm_act.h"
#include "kernels/support/isa.h"

namespace fettle::kernels {

// Rows [first, last), on the calling thread; the arguments are checked. The sums are of channels [begin, end) and go to `sums`, which
// is laid out as [2, channels].
struct NormActVariant {
  void (*sums)(const NormActShape& shape, const NormActSums& args, int64_t first, int64_t last, int64_t begin, int64_t end, double* sums);
  void (*forward)(const NormActShape& shape, const NormActForward& args, int64_t first, int64_t last);
  void (*gradient_sums)(const NormActShape& shape, const NormActGradientSums& args, int64_t first, int64_t last, int64_t begin, int64_t end, double* sums);
  void (*backward)(const NormActShape& shape, const NormActBackward& args, int64_t first, int64_t last);
};
NormActVariant norm_act_baseline();
NormActVariant norm_act_avx2();
NormActVariant norm_act_avx512();

}  // namespace fettle::kernels
