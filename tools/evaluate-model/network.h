#pragma once
// What can be evaluated, a network that sees pictures or one that reads bytes, as the evaluation takes it: what is known of it, and a
// function that has it answer.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tensors.h"
#include "data/labelled_images.h"
#include "data/loader.h"
#include "device/precision.h"
#include "evaluate-model/options.h"
#include "models/module.h"

namespace fettle::evaluate {

struct Settings {
  int64_t batch_size = 0;  // see --batch-size
  c10::Device device = c10::kCPU;  // of the network
  at::ScalarType precision = at::kFloat;
  int64_t ece_bins = 15;
  LoaderOptions loader;  // for pixels on the CPU
};

struct AnsweredBatch {
  at::Tensor logits;             // [B, num_classes] f32
  at::Tensor labels;             // [B] int64
  std::vector<int64_t> indices;  // [B], of the samples
  std::vector<BadImage> bad;     // samples that are not among them
};

struct Network {
  std::shared_ptr<Module> module;        // in evaluation mode, fp32, on the CPU
  int64_t num_classes = 0;
  std::vector<std::string> class_names;  // one a class, or empty where nobody has named them
  std::string id;                        // "sha256:..." of the artifact, or of the file
  std::string description;               // one line for people
  NamedTensors tensors;                  // as --names calls them
  ArchFamily family = ArchFamily::kOther;

  // In pixels, those to evaluate at: one at least. {0}: it reads files as they are stored, or sounds, which have no such size.
  std::vector<int64_t> sizes;
  bool sees_pictures() const { return sizes[0] > 0; }
  std::optional<int64_t> channels;       // that pictures must have; nothing: any

  // Of pictures.
  double crop_share = 1;
  kernels::ResizeFilter filter = kernels::ResizeFilter::kBilinear;

  // Has the network, which is on settings.device, answer all samples in order, a batch at a time. Errors: those of the loaders and of the
  // network, which name files.
  using Take = std::function<void(const AnsweredBatch&)>;
  std::function<void(const LabelledImages& samples, int64_t size, const Settings& settings, const Take& take)> answer;
};

// --from of either kind. Errors: open_classifier(), open_byte_classifier(); (kUsage) flags that its kind has no use for, sizes that it does not
// take; (kInput) an artifact of another kind.
Network open_network(const Options& options, bool all_names);

}  // namespace fettle::evaluate
