// multiscale-train: train an image classifier with variable-batch multi-scale sampling (arXiv 2309.04502).
#include "cli/run_tool.h"
#include "train/tool_start.h"
#include "multiscale-train/train_multiscale.h"

int main(int argc, char** argv) {
  using namespace fettle;
  const ToolInfo info = {
      .name = "multiscale-train",
      .summary = "Train an image classifier on batches of varying size: less compute, better calibration, accuracy at more test sizes.",
      .description =
          "Multi-scale data samplers (arXiv 2309.04502). Every batch has a size drawn from a set. With msc-vbs the batch size follows, so that each "
          "batch holds as many pixels as one of --batch-size images at --size: small images come in large batches, memory stays constant, and an epoch "
          "takes less compute than at the base size alone. --dry-run says how much before anything is trained. The artifact's model.safetensors has "
          "torchvision's tensor names.",
      .examples = {"multiscale-train --data fashion-mnist --arch resnet20 --sampler msc-vbs --size 28 --sizes 16:40:5 --size-multiple 4 --epochs 2 --out runs/vbs",
                   "multiscale-train --data fashion-mnist --sampler ssc-fbs --size-multiple 4 --epochs 2 --out runs/fixed --require 'val_top1_percent>=85'"},
      .makes_artifact = true,
      .computes = true,
      .several_processes = true,
  };
  return run_tool<multiscale::Options>(argc, argv, info, torch_tool_hooks(), multiscale::train_multiscale);
}
