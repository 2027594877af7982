#pragma once
// The CUDA version of batch_finish, called through the table of the CUDA module.

#include "kernels/batch_finish/batch_finish_variants.h"

namespace fettle::kernels {

// Queues the work on `stream`; the arguments are prepared. `in`, `flip` and `out` are device pointers.
Status batch_finish_cuda(const BatchFinishArgs& args, const ScaleBias& affine, Stream stream);

}  // namespace fettle::kernels
