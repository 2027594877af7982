#define FT_VECTOR_BYTES 32
#include "kernels/norm_act/norm_act_passes.h"

namespace fettle::kernels {

NormActVariant norm_act_avx2() { return kVariant; }

}  // namespace fettle::kernels
