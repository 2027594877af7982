#include "device/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <catch2/catch.hpp>
#include <dlfcn.h>

#include "device/explain.h"
#include "device/kernels.h"
#include "kernels/batch_finish/batch_finish_variants.h"
#include "tests/support/expect_error.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;
using Kind = DeviceRequest::Kind;

namespace {

const CudaDriver kNoDriver{0, "no NVIDIA driver is installed (made up)"};
const CudaDriver kOneGpu{1, ""};

}  // namespace

TEST_CASE("device: the words of --device") {
  CHECK(parse_device("auto").kind == Kind::kAuto);
  CHECK(parse_device("cpu").kind == Kind::kCpu);
  CHECK(parse_device("cuda").kind == Kind::kCuda);
  CHECK(parse_device("cuda").index == 0);
  CHECK(parse_device("cuda:3").index == 3);
  for (const char* bad : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda:64", "cuda: 1", "CPU"}) {
    expect_error(ExitCode::kUsage, std::string("not '") + bad + "'", [&] { parse_device(bad); });
  }
}

TEST_CASE("device: auto without a driver is the CPU and says why; an explicit cuda is code 4") {
  const CudaModulePaths paths{"/nowhere/libtorch_cuda.so", "/nowhere/libfettle_cuda.so"};
  const DeviceChoice choice = choose_device({Kind::kAuto}, kNoDriver, paths);
  CHECK(choice.device.is_cpu());
  CHECK(choice.why == "cpu (auto: no NVIDIA driver is installed (made up))");
  expect_error(ExitCode::kMachine, "no NVIDIA driver is installed", [&] { choose_device({Kind::kCuda}, kNoDriver, paths); });
  CHECK(choose_device({Kind::kCpu}, kOneGpu, paths).why == "cpu");
}

TEST_CASE("device: a missing part of CUDA is a reason for auto, an error for cuda") {
  const test::TempDir dir;
  CudaModulePaths paths{dir / "libtorch_cuda.so", dir / "libfettle_cuda.so"};
  CHECK_THAT(choose_device({Kind::kAuto}, kOneGpu, paths).why, Catch::Contains("this LibTorch is for CPUs only"));
  expect_error(ExitCode::kMachine, "for CPUs only", [&] { choose_device({Kind::kCuda}, kOneGpu, paths); });
  test::write_text(paths.torch, "no library");
  CHECK_THAT(choose_device({Kind::kAuto}, kOneGpu, paths).why, Catch::Contains("built without nvcc"));
  expect_error(ExitCode::kMachine, "built without nvcc", [&] { choose_device({Kind::kCuda}, kOneGpu, paths); });
  test::write_text(paths.kernels, "no library");
  expect_error(ExitCode::kMachine, "1 CUDA device, numbered from 0", [&] { choose_device({Kind::kCuda, 1}, kOneGpu, paths); });
}

TEST_CASE("device: what is there and does not load is an error with the loader's text, for auto too") {
  if (cuda_table() != nullptr) return test::skip("the CUDA modules of this process are open already");
  const test::TempDir dir;
  CudaModulePaths paths{dir / "libtorch_cuda.so", dir / "libfettle_cuda.so"};
  test::write_text(paths.torch, "no library");
  test::write_text(paths.kernels, "no library");
  for (const Kind kind : {Kind::kAuto, Kind::kCuda}) {
    expect_error(ExitCode::kMachine, "libtorch_cuda.so: file too short", [&] { choose_device({kind}, kOneGpu, paths); });
  }
  expect_error(ExitCode::kMachine, "libfettle_cuda.so: file too short", [&] { open_kernel_module(paths.kernels); });
  // A library that is none of ours: the C library.
  Dl_info info{};
  REQUIRE(dladdr(dlsym(RTLD_DEFAULT, "malloc"), &info) != 0);
  expect_error(ExitCode::kMachine, "is not the kernels' CUDA module", [&] { open_kernel_module(info.dli_fname); });
  expect_error(ExitCode::kMachine, "is no CUDA driver", [&] { find_cuda_driver(info.dli_fname); });
}

TEST_CASE("device: no driver is an answer with the loader's text") {
  const CudaDriver driver = find_cuda_driver("libno-such-driver.so.1");
  CHECK(driver.num_devices == 0);
  CHECK_THAT(driver.why_none, Catch::Contains("no NVIDIA driver is installed") && Catch::Contains("libno-such-driver.so.1"));
}

TEST_CASE("device: LibTorch's CUDA part is looked for beside the LibTorch of this process, ours beside the executable or where it is named") {
  const CudaModulePaths paths = cuda_module_paths();
  CHECK(std::filesystem::exists(paths.torch.parent_path() / "libtorch_cpu.so"));
  CHECK(paths.torch.filename() == "libtorch_cuda.so");
  CHECK(paths.kernels == std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "lib/libfettle_cuda.so");
  setenv("FETTLE_CUDA_MODULE", "/elsewhere/module.so", 1);
  CHECK(cuda_module_paths().kernels == "/elsewhere/module.so");
  unsetenv("FETTLE_CUDA_MODULE");
}

TEST_CASE("device: the kernels' module loads without a GPU, refuses another version and reports CUDA's own words") {
  const CudaModulePaths paths = cuda_module_paths();
  if (!std::filesystem::exists(paths.kernels)) return test::skip("built without nvcc");
  // LibTorch's runtime wheel lies two folders above its libraries; with it open the module finds its libcudart.
  const auto runtime = paths.torch.parent_path() / "../../nvidia/cu13/lib/libcudart.so.13";
  if (dlopen(runtime.c_str(), RTLD_NOW | RTLD_GLOBAL) == nullptr && dlopen("libcudart.so.13", RTLD_NOW | RTLD_GLOBAL) == nullptr) {
    return test::skip("no libcudart.so.13");
  }
  const kernels::CudaTable* table = open_kernel_module(paths.kernels);
  CHECK(table->version == kernels::kCudaTableVersion);
  CHECK(table->runtime_version / 1000 == 13);
  expect_error(ExitCode::kMachine, "is of another build", [&] { open_kernel_module(paths.kernels, kernels::kCudaTableVersion + 1); });
  if (find_cuda_driver().num_devices > 0) return test::skip("the refusal of a machine without a GPU: this one has one");
  kernels::CudaDeviceInfo info{};
  CHECK(table->device_info(0, &info) == kernels::Status::kCudaFailed);
  CHECK_THAT(table->last_error(), Catch::StartsWith("cudaError"));
  kernels::BatchFinishArgs args;
  uint8_t in[4] = {};
  float out[4];
  args.in = in, args.out = out, args.batch = args.height = 1, args.width = 4, args.channels = 1;
  CHECK(table->batch_finish(args, {}, {}) == kernels::Status::kCudaFailed);
}

TEST_CASE("device: another minor release of LibTorch is refused with both versions, another patch is not") {
  const auto version = [](uint64_t major, uint64_t minor, uint64_t patch) { return major << 56 | minor << 48 | patch << 40; };
  CHECK_NOTHROW(check_libtorch_version(version(2, 11, 1), version(2, 11, 0)));
  expect_error(ExitCode::kMachine, "this LibTorch is 2.12.0, the executable was built for 2.11.3",
               [&] { check_libtorch_version(version(2, 12, 0), version(2, 11, 3)); });
  expect_error(ExitCode::kMachine, "3.11.0", [&] { check_libtorch_version(version(3, 11, 0), version(2, 11, 0)); });
}

TEST_CASE("device: start sets threads and determinism and says what it chose") {
  const Session one = start({"cpu", 1, true});
  CHECK(one.device.is_cpu());
  CHECK(one.threads == 1);
  CHECK(at::get_num_threads() == 1);
  CHECK(at::globalContext().deterministicAlgorithms());
  CHECK_FALSE(at::globalContext().deterministicFillUninitializedMemory());
  CHECK(one.why == "cpu, 1 thread, " + one.isa + " kernels, deterministic");
  const Session two = start({"cpu", 2, false});
  CHECK(at::get_num_threads() == 2);
  CHECK_FALSE(at::globalContext().deterministicAlgorithms());
  CHECK_THAT(two.why, Catch::StartsWith("cpu, 2 threads"));
  expect_error(ExitCode::kUsage, "--threads", [] { start({"cpu", 0, false}); });
  expect_error(ExitCode::kUsage, "--threads", [] { start({"cpu", 5000, false}); });
}

TEST_CASE("device: out of memory names what was needed, other exceptions stay") {
  try {
    (void)at::empty({int64_t{1} << 50}, at::kByte);
    FAIL("a pebibyte was found");
  } catch (const std::exception& exception) {
    const auto error = explain_exception(exception);
    REQUIRE(error);
    CHECK(static_cast<int>(error->code()) == 4);
    CHECK_THAT(error->what(), Catch::Contains("1.00 PiB"));
  }
  const c10::OutOfMemoryError gpu(c10::SourceLocation{}, "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 1 has a total capacity of 79.11 GiB of which");
  const auto error = explain_exception(gpu);
  REQUIRE(error);
  CHECK_THAT(error->what(), Catch::Contains("cuda:1") && Catch::Contains("2.00 GiB"));
  CHECK(explain_exception(std::bad_alloc()));
  CHECK_FALSE(explain_exception(std::runtime_error("something else")));
  CHECK_FALSE(explain_exception(c10::Error(c10::SourceLocation{}, "shapes differ")));
}

TEST_CASE("device: a kernel's refusal is the machine's fault or our bug") {
  CHECK_NOTHROW(check_kernel(kernels::Status::kOk, "x"));
  expect_error(ExitCode::kMachine, "kernel x: the CUDA module", [] { check_kernel(kernels::Status::kNoCudaModule, "x"); });
  expect_error(ExitCode::kBug, "kernel x: output and input share memory", [] { check_kernel(kernels::Status::kOverlap, "x"); });
}
