#include <cstdio>
#include <cstring>

#include "kernels/batch_finish/batch_finish_cuda.h"
#include "kernels/byte_conv/byte_conv_cuda.h"
#include "kernels/cuda_module/cuda_check.h"
#include "kernels/cuda_module/cuda_table.h"

namespace fettle::kernels {
namespace {

thread_local char last_error[256] = "";

Status device_info(int device_index, CudaDeviceInfo* info) {
  cudaDeviceProp properties{};
  if (const Status status = check(cudaGetDeviceProperties(&properties, device_index)); status != Status::kOk) return status;
  std::snprintf(info->name, sizeof info->name, "%s", properties.name);
  info->major = properties.major;
  info->minor = properties.minor;
  info->total_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  return Status::kOk;
}

constexpr CudaTable kTable = {
    kCudaTableVersion, CUDART_VERSION, [] { return static_cast<const char*>(last_error); }, device_info, batch_finish_cuda, byte_conv_forward_cuda, byte_conv_backward_cuda,
};

}  // namespace

Status check(cudaError_t error) {
  if (error == cudaSuccess) return Status::kOk;
  std::snprintf(last_error, sizeof last_error, "%s: %s", cudaGetErrorName(error), cudaGetErrorString(error));
  return Status::kCudaFailed;
}

}  // namespace fettle::kernels

extern "C" __attribute__((visibility("default"))) const fettle::kernels::CudaTable* fettle_cuda_table(int version) {
  return version == fettle::kernels::kCudaTableVersion ? &fettle::kernels::kTable : nullptr;
}
