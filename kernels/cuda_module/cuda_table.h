#pragma once
// libfettle_cuda.so exports one C function, which returns a table of everything that the module can do. The executables
// never link it: libcommon/device opens it at run time and hands the table to the kernels' dispatch inside `Device`.
//
// The table is built and read by two binaries that may be of different builds: kCudaTableVersion changes with every change
// of the table or of an argument struct in it, and fettle_cuda_table() answers null to a version that is not its own.
// No function throws, synchronises or changes the current device; launches are checked and go to the caller's stream.

#include <cstdint>

#include "kernels/support/types.h"

namespace fettle::kernels {

struct BatchFinishArgs;
struct ScaleBias;
struct ByteConvShape;
struct ByteConvForward;
struct ByteConvBackward;

constexpr int kCudaTableVersion = 2;

struct CudaDeviceInfo {
  char name[256];       // "NVIDIA H100 80GB HBM3"
  int major;            // compute capability, 9.0: major 9, minor 0
  int minor;
  int64_t total_bytes;  // of device memory
};

struct CudaTable {
  int version;          // kCudaTableVersion of the module
  int runtime_version;  // CUDART_VERSION that the module was compiled with: 13000 for CUDA 13.0

  // Text of the last CUDA error of this thread that a function of the table answered with kCudaFailed.
  const char* (*last_error)();
  Status (*device_info)(int device_index, CudaDeviceInfo* info);
  Status (*batch_finish)(const BatchFinishArgs& args, const ScaleBias& affine, Stream stream);
  Status (*byte_conv_forward)(const ByteConvShape& shape, const ByteConvForward& args, Stream stream);
  Status (*byte_conv_backward)(const ByteConvShape& shape, const ByteConvBackward& args, Stream stream);
};

constexpr const char* kCudaTableSymbol = "fettle_cuda_table";
using CudaTableFunction = const CudaTable* (*)(int version);

}  // namespace fettle::kernels
