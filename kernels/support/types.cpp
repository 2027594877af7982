#include "kernels/support/types.h"

namespace fettle::kernels {

const char* status_text(Status status) {
  switch (status) {
    case Status::kOk: return "ok";
    case Status::kNullPointer: return "a pointer that the sizes need is null";
    case Status::kBadSize: return "a size is negative or too large";
    case Status::kBadValue: return "a parameter is not finite or out of its range";
    case Status::kBadDType: return "the element type or layout is not one that this kernel knows";
    case Status::kMisaligned: return "an output pointer is not aligned to its element type";
    case Status::kOverlap: return "output and input share memory";
    case Status::kNoInstructionSet: return "FETTLE_ISA is not one of baseline, avx2, avx512, or asks for more than this CPU has";
    case Status::kNoCudaModule: return "the CUDA module libfettle_cuda.so is not open";
    case Status::kCudaFailed: return "the CUDA runtime refused";
  }
  return "unknown status";
}

int64_t dtype_bytes(DType dtype) { return dtype == DType::kF64 ? 8 : dtype == DType::kF32 ? 4 : 2; }

}  // namespace fettle::kernels
