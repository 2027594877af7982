#define FT_VECTOR_BYTES 16
#include "kernels/byte_conv/byte_conv_passes.h"

namespace fettle::kernels {

ByteConvVariant byte_conv_baseline() { return kVariant; }

}  // namespace fettle::kernels
