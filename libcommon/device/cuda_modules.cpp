#include "device/cuda_modules.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdlib>

#include "base/errors.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

std::atomic<const kernels::CudaTable*> open_table = nullptr;

std::string loader_error() {
  const char* text = dlerror();
  return text != nullptr ? text : "no reason given";
}

// Never closed: LibTorch and the CUDA runtime keep pointers into each other.
void* open_library(const fs::path& path, int flags, const std::string& hint) {
  void* handle = dlopen(path.c_str(), flags);
  if (handle == nullptr) throw Error(ExitCode::kMachine, fmt::format("cannot open {}: {}", path.string(), loader_error()), hint);
  return handle;
}

std::string cuda_version(long version) { return fmt::format("{}.{}", version / 1000, version % 1000 / 10); }

std::string release(uint64_t version) { return fmt::format("{}.{}.{}", version >> 56, version >> 48 & 255, version >> 40 & 255); }

}  // namespace

CudaDriver find_cuda_driver(const std::string& library) {
  constexpr int kNoDevice = 100, kStubLibrary = 34;  // CUDA_ERROR_NO_DEVICE, CUDA_ERROR_STUB_LIBRARY
  void* driver = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (driver == nullptr) return {0, fmt::format("no NVIDIA driver is installed ({})", loader_error())};
  const auto init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  const auto count_devices = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  if (init == nullptr || count_devices == nullptr) {
    throw Error(ExitCode::kMachine, fmt::format("{} is no CUDA driver: cuInit or cuDeviceGetCount is missing", library), "--device cpu does without it");
  }
  int count = 0;
  int code = init(0);
  if (code == 0) code = count_devices(&count);
  if (code == kStubLibrary) return {0, fmt::format("{} is only the toolkit's stub of a driver", library)};
  if (code == kNoDevice || (code == 0 && count == 0)) return {0, "the NVIDIA driver finds no device (is CUDA_VISIBLE_DEVICES empty?)"};
  if (code != 0) {
    throw Error(ExitCode::kMachine, fmt::format("the NVIDIA driver {} fails to start: CUDA error {}", library, code),
                "look at nvidia-smi; --device cpu does without it");
  }
  return {count, ""};
}

CudaModulePaths cuda_module_paths() {
  Dl_info torch_cpu{};
  FT_CHECK(dladdr(dlsym(RTLD_DEFAULT, "aoti_torch_abi_version"), &torch_cpu) != 0 && torch_cpu.dli_fname != nullptr);
  CudaModulePaths paths;
  paths.torch = fs::canonical(torch_cpu.dli_fname).parent_path() / "libtorch_cuda.so";
  if (const char* module = std::getenv("FETTLE_CUDA_MODULE"); module != nullptr && *module != '\0') {
    paths.kernels = fs::absolute(module);
  } else {
    paths.kernels = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib" / "libfettle_cuda.so";
  }
  return paths;
}

const kernels::CudaTable* open_kernel_module(const fs::path& path, int version) {
  void* handle = open_library(path, RTLD_NOW | RTLD_LOCAL, "build it again with nvcc, or name another one in FETTLE_CUDA_MODULE");
  const auto table_of = reinterpret_cast<kernels::CudaTableFunction>(dlsym(handle, kernels::kCudaTableSymbol));
  if (table_of == nullptr) throw Error(ExitCode::kMachine, fmt::format("{} is not the kernels' CUDA module: {}", path.string(), loader_error()));
  const kernels::CudaTable* table = table_of(version);
  if (table == nullptr) {
    throw Error(ExitCode::kMachine, fmt::format("{} is of another build: it does not know version {} of the kernels' table", path.string(), version),
                "build the module and the executables from one commit");
  }
  return table;
}

void open_cuda_modules(const CudaModulePaths& paths) {
  if (cuda_table() != nullptr) return;
  open_library(paths.torch, RTLD_NOW | RTLD_GLOBAL, "scripts/setup.sh --cuda installs what it needs; --device cpu does without it");
  const kernels::CudaTable* table = open_kernel_module(paths.kernels);
  FT_CHECK(at::globalContext().hasCUDA(), "LibTorch reports no CUDA though {} is open: a tensor operation came before", paths.torch.string());
  const long torch_runtime = at::detail::getCUDAHooks().versionCUDART();
  if (torch_runtime / 1000 != table->runtime_version / 1000) {
    throw Error(ExitCode::kMachine, fmt::format("{} is built for CUDA {}, LibTorch for CUDA {}: the majors must agree", paths.kernels.string(),
                                                cuda_version(table->runtime_version), cuda_version(torch_runtime)),
                fmt::format("build the module with nvcc {}.x", torch_runtime / 1000));
  }
  open_table = table;
}

const kernels::CudaTable* cuda_table() { return open_table; }

void check_libtorch_version(uint64_t running, uint64_t built) {
  if (running >> 48 == built >> 48) return;
  throw Error(ExitCode::kMachine, fmt::format("this LibTorch is {}, the executable was built for {}: major and minor must agree", release(running), release(built)),
              "name a LibTorch of that release in FETTLE_LIBTORCH, or build again");
}

}  // namespace fettle
