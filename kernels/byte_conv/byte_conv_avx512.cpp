#define FT_VECTOR_BYTES 64
#include "kernels/byte_conv/byte_conv_passes.h"

namespace fettle::kernels {

ByteConvVariant byte_conv_avx512() { return kVariant; }

}  // namespace fettle::kernels
