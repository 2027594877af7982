// byteformer-train: classify files from their bytes (arXiv 2306.00238).
#include "byteformer-train/train_byteformer.h"
#include "cli/run_tool.h"
#include "train/tool_start.h"

int main(int argc, char** argv) {
  using namespace fettle;
  const ToolInfo info = {
      .name = "byteformer-train",
      .summary = "Train a classifier of files on their bytes, of any format, and classify files as they are stored.",
      .description =
          "ByteFormer (arXiv 2306.00238). One transformer reads the bytes of pictures, sounds or anything else, without a decoder for any of them. Files are "
          "read as they are stored, or pictures and sounds are decoded, augmented and written anew in one format, so that what an encoding costs can be "
          "measured. Bytes can be reordered, substituted, disturbed or left out; what was done is part of the artifact and is done again when it "
          "classifies. Tensor names are those of the public checkpoints.",
      .examples = {"byteformer-train --data photos/ --val-fraction 0.1 --encoding tiff --arch bf_tiny --epochs 300 --out runs/bf",
                   "byteformer-train --data speech_commands/ --val-fraction 0.2 --encoding as-stored --arch-options '{\"kernel\": 16}' --epochs 60 --out runs/words",
                   "byteformer-train --predict clip.wav - --from runs/words < something.bin",
                   "byteformer-train --explain photo.jpg --from runs/bf --report photo.html"},
      .makes_artifact = true,
      .other_modes = {"predict", "evaluate", "explain"},
      .computes = true,
      .several_processes = true,
  };
  return run_tool<byteformer::Options>(argc, argv, info, torch_tool_hooks(), byteformer::train_byteformer);
}
