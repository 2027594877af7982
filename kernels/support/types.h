#pragma once
// What every kernel's interface is made of. Kernels use plain pointers, sizes and a stream; they include nothing of the
// rest of the project, allocate nothing, never throw and answer with a Status.

#include <cstdint>

namespace fettle::kernels {

enum class Status : int {
  kOk = 0,
  kNullPointer,       // a pointer that the sizes need is null
  kBadSize,           // a size is negative, or beyond what the kernel's header allows
  kBadValue,          // a parameter is not finite, or out of its range
  kBadDType,          // the kernel does not know this element type or layout
  kMisaligned,        // an output pointer is no multiple of its element's size
  kOverlap,           // output and input share memory where the header forbids it
  kNoInstructionSet,  // FETTLE_ISA asks for instructions that this CPU lacks, or is no known word
  kNoCudaModule,      // a CUDA device without the table of libfettle_cuda.so
  kCudaFailed,        // the CUDA runtime refused; CudaTable::last_error() says why
};
const char* status_text(Status status);  // "an output pointer is not aligned to its element type"

enum class DType : int { kF32, kBF16, kF64 };
int64_t dtype_bytes(DType dtype);  // 4, 2, 8

enum class DeviceKind : int { kCpu, kCuda };
struct CudaTable;  // kernels/cuda_module/cuda_table.h

// Where a kernel runs. On CUDA the current device of the calling thread must be the one that owns the pointers.
struct Device {
  DeviceKind kind = DeviceKind::kCpu;
  const CudaTable* cuda = nullptr;  // required when kind is kCuda
};

// A cudaStream_t in plain clothes; ignored on the CPU, where kernels return when the work is done.
struct Stream {
  void* handle = nullptr;
};

}  // namespace fettle::kernels
