#pragma once
// CUDA's error codes to ours; the text stays for CudaTable::last_error(), one a thread.

#include <cuda_runtime.h>

#include "kernels/support/types.h"

namespace fettle::kernels {

Status check(cudaError_t error);

}  // namespace fettle::kernels
