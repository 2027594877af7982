#pragma once
// CUDA at run time. Executables link LibTorch's CPU libraries only; on a machine with a driver they open LibTorch's CUDA
// part and then libfettle_cuda.so. This must happen before the first tensor operation of the process: manual_seed, any
// backward, conv2d, batch_norm or is_pinned make LibTorch settle for "no CUDA" without a word.

#include <cstdint>
#include <filesystem>
#include <string>

#include "kernels/cuda_module/cuda_table.h"

namespace fettle {

struct CudaDriver {
  int num_devices = 0;
  std::string why_none;  // when there are none: "no NVIDIA driver is installed (libcuda.so.1: cannot open ...)"
};

// Asks the driver, without LibTorch or the CUDA runtime. No driver and no device are answers; a driver that is there and
// fails is Error(kMachine) with its code.
CudaDriver find_cuda_driver(const std::string& library = "libcuda.so.1");

struct CudaModulePaths {
  std::filesystem::path torch;    // libtorch_cuda.so beside the libtorch_cpu.so of this process
  std::filesystem::path kernels;  // $FETTLE_CUDA_MODULE, else ../lib/libfettle_cuda.so from the executable's folder
};
CudaModulePaths cuda_module_paths();

// Opens the kernels' module alone. Error(kMachine) with the loader's own text when it does not load, and when the table
// is of another version than `version`.
const kernels::CudaTable* open_kernel_module(const std::filesystem::path& path, int version = kernels::kCudaTableVersion);

// Opens both, LibTorch's part first, for the rest of the process; a second call does nothing. Error(kMachine) with the
// loader's text for what does not load, and when module and LibTorch are built for different majors of CUDA; a bug
// (code 70) when LibTorch then reports no CUDA.
void open_cuda_modules(const CudaModulePaths& paths);

// The open module's table, or null. What dlopen did to the process is remembered here; it never changes back.
const kernels::CudaTable* cuda_table();

// LibTorch's C++ interface changes with each minor release. Both numbers as aoti_torch_abi_version() gives them: major,
// minor and patch in the upper three bytes. Error(kMachine) unless major and minor agree.
void check_libtorch_version(uint64_t running, uint64_t built);

}  // namespace fettle
