#include "train/tool_start.h"

#include <ATen/Version.h>
#include <torch/headeronly/version.h>

#include "device/device.h"
#include "device/explain.h"
#include "kernels/support/isa.h"

namespace fettle {

ToolHooks torch_tool_hooks() {
  return {.start =
              [](CommonOptions& common, Log& log) {
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
