#include "device/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "base/errors.h"
#include "device/threads.h"
#include "kernels/support/isa.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

constexpr int kLowestCapability = 8;  // our module and bf16 want sm_80

// Why the machine cannot use CUDA though nothing is broken; empty: it can.
std::string why_no_cuda(const CudaDriver& driver, const CudaModulePaths& paths) {
  if (driver.num_devices == 0) return driver.why_none;
  if (!fs::exists(paths.torch)) return fmt::format("there is a GPU, but this LibTorch is for CPUs only: no {}", paths.torch.string());
  if (!fs::exists(paths.kernels)) return fmt::format("there is a GPU, but Fettle was built without nvcc: no {}", paths.kernels.string());
  return {};
}

std::string describe(const kernels::CudaTable& table, int index) {
  kernels::CudaDeviceInfo info{};
  const kernels::Status status = table.device_info(index, &info);
  if (status != kernels::Status::kOk) throw Error(ExitCode::kMachine, fmt::format("cuda:{} does not answer: {}", index, table.last_error()));
  if (info.major < kLowestCapability) {
    throw Error(ExitCode::kMachine, fmt::format("cuda:{} ({}) is of compute capability {}.{}; {}.0 is the least", index, info.name, info.major,
                                                info.minor, kLowestCapability),
                "--device cpu does without it");
  }
  return info.name;
}

void set_determinism(bool deterministic) {
  auto& context = at::globalContext();
  context.setBenchmarkCuDNN(false);
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  context.setDeterministicCuDNN(deterministic);
  // The flag would also fill every new tensor with NaN, which guards against reading it and changes no result.
  context.setDeterministicFillUninitializedMemory(false);
}

std::string choose_isa_name() {
  kernels::Isa isa{};
  const kernels::Status status = kernels::active_isa(&isa);
  if (status == kernels::Status::kOk) return kernels::isa_name(isa);
  throw Error(ExitCode::kMachine, fmt::format("{}: it is '{}', the widest here is {}", kernels::status_text(status), std::getenv("FETTLE_ISA"),
                                              kernels::isa_name(kernels::cpu_isa())),
              "unset FETTLE_ISA");
}

}  // namespace

DeviceRequest parse_device(const std::string& text) {
  using Kind = DeviceRequest::Kind;
  if (text == "auto") return {Kind::kAuto};
  if (text == "cpu") return {Kind::kCpu};
  if (text == "cuda") return {Kind::kCuda};
  if (text.starts_with("cuda:")) {
    int index = -1;
    const char *first = text.data() + 5, *last = text.data() + text.size();
    const auto [end, error] = std::from_chars(first, last, index);
    if (error == std::errc() && end == last && index >= 0 && index < 64) return {Kind::kCuda, index};
  }
  throw Error(ExitCode::kUsage, fmt::format("--device is auto, cpu, cuda or cuda:N with N from 0 to 63, not '{}'", text));
}

DeviceChoice choose_device(const DeviceRequest& request, const CudaDriver& driver, const CudaModulePaths& paths) {
  using Kind = DeviceRequest::Kind;
  if (request.kind == Kind::kCpu) return {c10::kCPU, "cpu"};
  if (const std::string why = why_no_cuda(driver, paths); !why.empty()) {
    if (request.kind == Kind::kAuto) return {c10::kCPU, fmt::format("cpu (auto: {})", why)};
    throw Error(ExitCode::kMachine, fmt::format("--device cuda: {}", why),
                driver.num_devices == 0 ? "use --device cpu, or install NVIDIA's driver" : "use --device cpu, or install nvcc, run scripts/setup.sh --cuda and build again");
  }
  if (request.index >= driver.num_devices) {
    throw Error(ExitCode::kMachine, fmt::format("--device cuda:{}: this machine has {} CUDA device{}, numbered from 0", request.index,
                                                driver.num_devices, driver.num_devices == 1 ? "" : "s"));
  }
  open_cuda_modules(paths);
  const c10::Device device(c10::kCUDA, static_cast<c10::DeviceIndex>(request.index));
  return {device, fmt::format("{} ({})", device.str(), describe(*cuda_table(), request.index))};
}

Session start(const DeviceOptions& options) {
  const DeviceRequest request = parse_device(options.device);
  const int64_t threads = options.threads.value_or(std::max<int64_t>(1, available_cpus() / options.local_processes));
  FT_REQUIRE_USAGE(threads >= 1 && threads <= 4096, "--threads must be 1 to 4096, not {}", threads);
  check_libtorch_version(aoti_torch_abi_version(), TORCH_ABI_VERSION);
  const std::string isa = choose_isa_name();
  // cuBLAS reads it when its first handle is made.
  if (options.deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  const bool may_be_cuda = request.kind != DeviceRequest::Kind::kCpu;
  const DeviceChoice choice = choose_device(request, may_be_cuda ? find_cuda_driver() : CudaDriver{}, cuda_module_paths());
  at::set_num_threads(static_cast<int>(threads));
  set_determinism(options.deterministic);
  return {choice.device, threads, isa,
          fmt::format("{}, {} thread{}, {} kernels{}", choice.why, threads, threads == 1 ? "" : "s", isa, options.deterministic ? ", deterministic" : "")};
}

}  // namespace fettle
