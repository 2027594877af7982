#pragma once
// Where a run computes: the device, its threads, determinism. start() comes first in every LibTorch program, before any
// tensor operation.

#include <c10/core/Device.h>

#include <cstdint>
#include <optional>
#include <string>

#include "device/cuda_modules.h"

namespace fettle {

struct DeviceRequest {
  enum class Kind { kAuto, kCpu, kCuda };
  Kind kind = Kind::kAuto;
  int index = 0;  // of kCuda
};
DeviceRequest parse_device(const std::string& text);  // "auto", "cpu", "cuda", "cuda:1"; else Error(kUsage)

struct DeviceChoice {
  c10::Device device;
  std::string why;  // "cpu (auto: no NVIDIA driver is installed (...))", "cuda:0 (NVIDIA H100 80GB HBM3)"
};

// Auto takes cuda:0 where driver, LibTorch's CUDA part and our module are there, and the CPU where one of them is missing;
// what is there and does not work is an error, and an explicit request never falls back: Error(kMachine), code 4. Opens
// the CUDA modules when the answer is CUDA.
DeviceChoice choose_device(const DeviceRequest& request, const CudaDriver& driver, const CudaModulePaths& paths);

struct DeviceOptions {
  std::string device = "auto";
  std::optional<int64_t> threads;  // none: available_cpus(), or this process's share
  bool deterministic = false;
  int local_processes = 1;         // of this run on this machine, which share the CPUs
};

struct Session {
  c10::Device device;
  int64_t threads;   // of LibTorch's and our kernels' one OpenMP pool
  std::string isa;   // of our CPU kernels: "baseline", "avx2", "avx512"
  std::string why;   // for people: "cpu (auto: ...), 2 threads, avx2 kernels"
};

// Checks LibTorch's release, opens the CUDA modules, sets threads and determinism. Errors: kUsage for the options,
// kMachine for what the machine cannot (FETTLE_ISA beyond the CPU included).
Session start(const DeviceOptions& options);

}  // namespace fettle
