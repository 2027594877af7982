// evaluate-model: accuracy and calibration of a trained classifier of images or files, predictions, and its weights for other libraries.
#include "cli/run_tool.h"
#include "evaluate-model/evaluate_model.h"
#include "train/tool_start.h"

int main(int argc, char** argv) {
  using namespace fettle;
  const ToolInfo info = {
      .name = "evaluate-model",
      .summary = "Evaluate a trained classifier of images or files: accuracy, calibration, confusions, over test sizes; classify; export weights.",
      .description =
          "Takes an artifact of a training tool, which says itself how its images or files are to be prepared and what its classes are called, or a bare file of "
          "weights with --arch and, where it wants anything else than ImageNet's usual preprocessing, --size, --resize, --mean, --std and --labels. "
          "With --data it measures; with --predict it classifies what has no labels; with --export it writes the weights under another library's names.",
      .examples = {"evaluate-model --from runs/vbs --data fashion-mnist --eval-sizes 20,28,36 --report evaluation.html",
                   "evaluate-model --from model.safetensors --arch mobilenet_v2 --labels labels.txt --predict photos/",
                   "evaluate-model --from runs/photos --data photos/val --require 'top1_percent>=88' --predictions predictions.jsonl",
                   "evaluate-model --from runs/words --data recordings/ --bad-images skip",
                   "evaluate-model --from runs/photos --export weights.safetensors --names timm"},
      .computes = true,
  };
  return run_tool<evaluate::Options>(argc, argv, info, torch_tool_hooks(), evaluate::evaluate_model);
}
