#pragma once
// What a tool needs to know of a network that sorts images into classes.

#include <nlohmann/json_fwd.hpp>

#include <string>
#include <vector>

#include "models/module.h"

namespace fettle {

class ImageClassifier : public Module {
 public:
  // x: [B, in_channels, H, W] floating -> logits [B, num_classes]. H and W may differ from call to call.
  virtual at::Tensor forward(const at::Tensor& x) = 0;

  // Draws every weight anew from the seed, the same values for the same seed on every machine; running statistics restart.
  virtual void initialise(uint64_t seed) = 0;

  virtual nlohmann::json description() const = 0;  // what model_description_from_json() reads back
  virtual std::string family() const = 0;          // "resnet": the row of the precision table
  virtual int64_t in_channels() const = 0;
  virtual int64_t num_classes() const = 0;
  virtual std::string head() const = 0;            // what the names of the last layer's tensors begin with: "fc."

  // Blocks of each stage as timm counts them, where names of other libraries depend on it; else empty.
  virtual std::vector<int64_t> stage_depths() const { return {}; }

  // The smallest height or width that the network takes, 1 x 1 in training only with more than one image a batch: batch
  // norm needs more than one value a channel, and the last feature map has ceil(size / output_stride) pixels a side.
  // An output_stride of 0 means a network without batch norm. size_multiple() divides both sides of any image it takes.
  virtual int64_t min_input_size() const = 0;
  virtual int64_t output_stride() const = 0;
  virtual int64_t size_multiple() const { return 1; }

  // Throws Error(kUsage) for a batch that forward() cannot take; `training` as for batch norm. forward() calls it.
  void require_input(int64_t batch, int64_t channels, int64_t height, int64_t width, bool training) const;

 protected:
  void require_input(const at::Tensor& x) const;
};

}  // namespace fettle
