#pragma once
// What a training tool hands to run_tool: LibTorch's start-up and its exceptions in words. cli itself knows no LibTorch.

#include "cli/run_tool.h"
#include "train/trainer.h"

namespace fettle {

// start: chooses the device, opens the CUDA modules, sets threads, and writes device and threads into CommonOptions.
ToolHooks torch_tool_hooks();

// Sees to it that all processes of a run were started with the same options, and gives them rank 0's seed where none was given.
void agree_on_options(RunContext& context, const ProcessGroup& group);

// Instruction sets (of our kernels and of LibTorch's) and LibTorch's release, as a training state records them.
MachineFacts machine_facts();

}  // namespace fettle
