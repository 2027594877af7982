#include "metrics/multiply_adds.h"

#include <ATen/record_function.h>
#include <ATen/ATen.h>

#include <string_view>
#include <unordered_map>

#include "base/errors.h"
#include "models/image_classifier.h"

namespace fettle {
namespace {

// One count in progress. LibTorch's callbacks are bare function pointers, so that the count they belong to is found
// through a pointer of the thread that set it up.
struct Count {
  std::unordered_map<const void*, std::string> names;  // a parameter's memory -> its module
  MultiplyAdds result;
  int depth = 0;  // within a counted operator; what it calls is part of it
};
thread_local Count* current = nullptr;

enum class Operator { kConvolution, kAddMatrixProduct, kMatrixProduct, kAttention };

bool find_operator(std::string_view name, Operator& found) {
  if (name == "aten::convolution" || name == "aten::_convolution") return found = Operator::kConvolution, true;
  if (name == "aten::addmm" || name == "aten::baddbmm" || name == "aten::addmv") return found = Operator::kAddMatrixProduct, true;
  if (name == "mkldnn::_linear_pointwise") return found = Operator::kMatrixProduct, true;  // of ops/matrix_products.h
  if (name == "aten::mm" || name == "aten::bmm" || name == "aten::mv" || name == "aten::dot") return found = Operator::kMatrixProduct, true;
  if (name == "aten::scaled_dot_product_attention" || name == "fettle::scaled_dot_product_attention") return found = Operator::kAttention, true;
  return false;
}

// Inputs are valid only before the call and outputs only after it: carried from one callback to the other.
struct Call : at::ObserverContext {
  Operator kind;
  at::Tensor input;   // of a matrix product, the left factor; of attention, the queries
  at::Tensor weight;  // the right factor; the keys
  bool transposed = false;
};

std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
  Operator kind;
  if (current == nullptr || !find_operator(function.name(), kind) || ++current->depth > 1) return nullptr;
  const auto inputs = function.inputs();
  const size_t first = kind == Operator::kAddMatrixProduct ? 1 : 0;  // after the addend
  auto call = std::make_unique<Call>();
  call->kind = kind;
  call->input = inputs[first].toTensor();
  call->weight = inputs[first + 1].toTensor();
  call->transposed = kind == Operator::kConvolution && inputs[6].toBool();
  return call;
}

void on_end(const at::RecordFunction& function, at::ObserverContext* context) {
  Operator kind;
  if (current == nullptr || !find_operator(function.name(), kind) || --current->depth > 0) return;
  const Call& call = *static_cast<Call*>(context);
  const at::Tensor& output = function.outputs().at(0).toTensor();
  int64_t multiply_adds = 0;
  if (call.kind == Operator::kConvolution) {
    // Each output (each input, when transposed) meets the weights of one channel.
    const at::Tensor& scanned = call.transposed ? call.input : output;
    multiply_adds = scanned.numel() * (call.weight.numel() / call.weight.size(0));
  } else if (call.kind == Operator::kAttention) {
    // Each key meets each query, and then each value: input [..., N, D], output [..., N, Dv].
    multiply_adds = (call.input.numel() + output.numel()) * call.weight.size(-2);
  } else {
    multiply_adds = output.numel() * call.input.size(-1);
  }
  std::vector<LayerMultiplyAdds>& layers = current->result.layers;
  std::string name;
  if (const auto found = current->names.find(call.weight.storage().data()); found != current->names.end()) {
    name = found->second;
  } else {
    if (!layers.empty()) name = layers.back().name.substr(0, layers.back().name.rfind('.') + 1);
    const std::string_view operation = function.name();
    name += operation.substr(operation.find("::") + 2);
  }
  layers.push_back({name, multiply_adds, output.sizes().vec()});
  current->result.total += multiply_adds;
}

class Counting {
 public:
  explicit Counting(Count& count)
      : handle_(at::addThreadLocalCallback(
            at::RecordFunctionCallback(on_start, on_end).needsInputs(true).needsOutputs(true).scopes({at::RecordScope::FUNCTION}))) {
    current = &count;
  }
  ~Counting() {
    current = nullptr;
    at::removeCallback(handle_);
  }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;

 private:
  at::CallbackHandle handle_;
};

// eval() that gives each module its own mode back, also one that was frozen in a model in training.
class EvaluationMode {
 public:
  explicit EvaluationMode(Module& module) {
    visit(module, [this](Module& m) { modes_.emplace_back(&m, m.is_training()); });
    module.eval();
  }
  ~EvaluationMode() {
    for (const auto& [module, training] : modes_) module->train(training);  // parents before children: the last word is one's own
  }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  std::vector<std::pair<Module*, bool>> modes_;
};

}  // namespace

MultiplyAdds count_multiply_adds(const Module& module, const std::function<void()>& forward) {
  FT_CHECK(current == nullptr, "a count within a count");
  Count count;
  for (const auto& [name, parameter] : named_parameters(module)) count.names[parameter.storage().data()] = name.substr(0, name.rfind('.'));
  const at::NoGradGuard no_grad;
  const Counting counting(count);
  forward();
  return std::move(count.result);
}

MultiplyAdds count_multiply_adds(ImageClassifier& model, int64_t height, int64_t width) {
  const EvaluationMode evaluation(model);
  const at::Tensor image = at::zeros({1, model.in_channels(), height, width}, state_dict(model).at(0).tensor.options().requires_grad(false));
  return count_multiply_adds(model, [&] { model.forward(image); });
}

}  // namespace fettle
