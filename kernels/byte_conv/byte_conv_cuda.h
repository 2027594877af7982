#pragma once
// byte_conv on CUDA, behind the table of libfettle_cuda.so; byte_conv_forward() and byte_conv_backward() have checked the arguments.

#include "kernels/byte_conv/byte_conv.h"

namespace fettle::kernels {

Status byte_conv_forward_cuda(const ByteConvShape& shape, const ByteConvForward& args, Stream stream);
Status byte_conv_backward_cuda(const ByteConvShape& shape, const ByteConvBackward& args, Stream stream);

}  // namespace fettle::kernels
