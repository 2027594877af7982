#pragma once
// What a training tool hands to run_tool: LibTorch's start-up and its exceptions in words. cli itself knows no LibTorch.

#include "cli/run_tool.h"
#include "train/trainer.h"

namespace fettle {

// start: chooses the device, opens the CUDA modules, sets threads, and writes device and threads into CommonOptions.
ToolHooks torch_tool_hooks();

// Instruction sets (of our kernels and of LibTorch's) and LibTorch's release, as a training state records them.
MachineFacts machine_facts();

}  // namespace fettle
