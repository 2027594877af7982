#pragma once
// From LibTorch's devices, streams and errors to those of the kernels, and back.

#include <c10/core/Device.h>

#include "kernels/support/types.h"

namespace fettle {

kernels::Device kernel_device(c10::Device device);    // with the CUDA table, when the modules are open
kernels::Stream kernel_stream(c10::Device device);    // the device's current stream; nothing on the CPU

// Error(kMachine) for what the machine cannot, a bug (code 70) for arguments that the caller should have checked.
void check_kernel(kernels::Status status, const char* kernel);

}  // namespace fettle
