#define FT_VECTOR_BYTES 16
#include "kernels/norm_act/norm_act_passes.h"

namespace fettle::kernels {

NormActVariant norm_act_baseline() { return kVariant; }

}  // namespace fettle::kernels
