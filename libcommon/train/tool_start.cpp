#include "train/tool_start.h"

#include <ATen/Version.h>
#include <malloc.h>
#include <torch/headeronly/version.h>

#include <cstdlib>

#include "device/device.h"
#include "device/explain.h"
#include "kernels/support/isa.h"

namespace fettle {
namespace {

// glibc gives large blocks back to the kernel when they are freed, and faults them in again at every step: a tenth of a
// ResNet-20 step. What the user sets in the environment wins.
void keep_freed_memory() {
  for (const char* name : {"MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES"}) {
    if (std::getenv(name) != nullptr) return;
  }
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);  // never
  mallopt(M_TOP_PAD, 64 << 20);
}

}  // namespace

ToolHooks torch_tool_hooks() {
  return {.start =
              [](CommonOptions& common, Log& log) {
                keep_freed_memory();
                const Session session = start({common.device, common.threads, common.deterministic});
                common.device = session.device.str();
                common.threads = session.threads;
                log.info("device: " + session.why);
              },
          .explain = explain_exception};
}

MachineFacts machine_facts() {
  kernels::Isa isa{};
  FT_CHECK(kernels::active_isa(&isa) == kernels::Status::kOk);
  return {fmt::format("{}, LibTorch {}", kernels::isa_name(isa), at::get_cpu_capability()), TORCH_VERSION};
}

}  // namespace fettle
