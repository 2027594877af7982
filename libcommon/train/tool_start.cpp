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

// Sees to it that all processes of a run were started with the same options, and gives them rank 0's seed where none was given.
void agree_on_options(RunContext& context, const ProcessGroup& group) {
  if (group.size() == 1) return;
  FT_REQUIRE_USAGE(context.common.device == "cpu", "{} processes compute on CPUs only, not on {}: --device cpu", group.size(), context.common.device);
  const Json first = Json::parse(group.broadcast(context.record.options.dump()));
  for (const auto& [key, value] : context.record.options.items()) {
    const bool is_drawn = key == "seed" && !context.record.drawn.empty();
    if (is_drawn || key == "threads") continue;
    FT_REQUIRE_USAGE(first.contains(key) && first.at(key) == value, "started with {} {}, rank 0 with {}", key, value.dump(),
                     first.contains(key) ? first.at(key).dump() : "none");
  }
  context.common.seed = first.at("seed").get<int64_t>();
  context.record.options["seed"] = *context.common.seed;
}

}  // namespace

ToolHooks torch_tool_hooks() {
  return {.start =
              [](CommonOptions& common, const Launch& launch, Log& log) {
                keep_freed_memory();
                const Session session = start({common.device, common.threads, common.deterministic, launch.local_size});
                common.device = session.device.str();
                common.threads = session.threads;
                log.info("device: " + session.why);
              },
          .explain = explain_exception};
}

Report run_together(RunContext& context, double rank_timeout_s, const std::function<Report(const ProcessGroup&)>& part) {
  const ProcessGroup group(context.launch, rank_timeout_s);
  Report report;
  group.together([&] {
    agree_on_options(context, group);
    report = part(group);
  });
  return report;
}

MachineFacts machine_facts() {
  kernels::Isa isa{};
  FT_CHECK(kernels::active_isa(&isa) == kernels::Status::kOk);
  return {fmt::format("{}, LibTorch {}", kernels::isa_name(isa), at::get_cpu_capability()), TORCH_VERSION};
}

}  // namespace fettle
