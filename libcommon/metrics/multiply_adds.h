#pragma once
// The compute of one image: multiply-adds (one multiply and one add = 1) of convolutions, linear layers and matrix products,
// counted from the operators that a forward pass really calls. Not counted: bias, normalisation, activation, pooling,
// resampling, element-wise products. A training step costs three times the forward pass.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace fettle {

class ImageClassifier;
class Module;

struct LayerMultiplyAdds {
  std::string name;  // the module that owns the weight ("layer1.0.conv1"); without one the operator, beside the layer before ("blocks.0.attn.bmm")
  int64_t multiply_adds;
  std::vector<int64_t> output_shape;
};

struct MultiplyAdds {
  int64_t total = 0;
  std::vector<LayerMultiplyAdds> layers;  // in the order of the calls
};

// Counts what `forward` calls on this thread, without autograd; `module` lends its parameters' names.
MultiplyAdds count_multiply_adds(const Module& module, const std::function<void()>& forward);

// One image of height x width in evaluation mode; leaves the model as it was.
MultiplyAdds count_multiply_adds(ImageClassifier& model, int64_t height, int64_t width);

}  // namespace fettle
