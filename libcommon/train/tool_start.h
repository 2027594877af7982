#pragma once
// What a training tool hands to run_tool: LibTorch's start-up and its exceptions in words. cli itself knows no LibTorch.

#include <functional>

#include "cli/run_tool.h"
#include "train/trainer.h"

namespace fettle {

// start: chooses the device, opens the CUDA modules, sets threads, and writes device and threads into CommonOptions.
ToolHooks torch_tool_hooks();

// Runs `part` in each process of the launch, waiting for the others for `rank_timeout_s` at most. They were started with the same options, or
// none runs, and have rank 0's seed where none was given.
Report run_together(RunContext& context, double rank_timeout_s, const std::function<Report(const ProcessGroup&)>& part);

// Instruction sets (of our kernels and of LibTorch's) and LibTorch's release, as a training state records them.
MachineFacts machine_facts();

}  // namespace fettle
