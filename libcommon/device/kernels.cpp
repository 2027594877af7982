#include "device/kernels.h"

#include <ATen/DeviceAccelerator.h>

#include "base/errors.h"
#include "device/cuda_modules.h"

namespace fettle {

kernels::Device kernel_device(c10::Device device) {
  FT_CHECK(device.is_cpu() || device.is_cuda(), "kernels know cpu and cuda, not {}", device.str());
  if (device.is_cpu()) return {};
  return {kernels::DeviceKind::kCuda, cuda_table()};
}

kernels::Stream kernel_stream(c10::Device device) {
  if (device.is_cpu()) return {};
  return {at::accelerator::getCurrentStream(device.index()).native_handle()};
}

void check_kernel(kernels::Status status, const char* kernel) {
  using kernels::Status;
  if (status == Status::kOk) return;
  const bool machine = status == Status::kCudaFailed || status == Status::kNoCudaModule || status == Status::kNoInstructionSet;
  std::string text = fmt::format("kernel {}: {}", kernel, kernels::status_text(status));
  if (status == Status::kCudaFailed && cuda_table() != nullptr) text += fmt::format(": {}", cuda_table()->last_error());
  throw Error(machine ? ExitCode::kMachine : ExitCode::kBug, text);
}

}  // namespace fettle
