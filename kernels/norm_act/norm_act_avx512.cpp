#define FT_VECTOR_BYTES 64
#include "kernels/norm_act/norm_act_passes.h"

namespace fettle::kernels {

NormActVariant norm_act_avx512() { return kVariant; }

}  // namespace fettle::kernels
