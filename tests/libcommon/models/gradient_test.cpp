// Networks against a plain composition of LibTorch's operators, and gradients against central differences.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <catch2/catch.hpp>

#include <cmath>

#include "models/factory.h"
#include "models/module.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;

namespace {

using Weights = std::map<std::string, at::Tensor>;

at::Tensor fixed_randn(at::IntArrayRef shape, uint64_t seed) {
  return at::empty(shape, at::kDouble).normal_(0, 1, at::detail::createCPUGenerator(seed));
}

Weights weights_of(const Module& module) {
  Weights weights;
  for (const StateEntry& entry : state_dict(module)) weights[entry.name] = entry.tensor;
  return weights;
}

// Batch norm by its formula, with the batch's own statistics.
at::Tensor norm(const at::Tensor& x, const Weights& w, const std::string& name) {
  const auto [variance, mean] = at::var_mean(x, at::IntArrayRef{0, 2, 3}, /*unbiased=*/false, /*keepdim=*/true);
  return (x - mean) / (variance + 1e-5).sqrt() * w.at(name + ".weight").view({1, -1, 1, 1}) + w.at(name + ".bias").view({1, -1, 1, 1});
}

at::Tensor convolve(const at::Tensor& x, const Weights& w, const std::string& name, int64_t stride, int64_t padding) {
  return at::conv2d(x, w.at(name + ".weight"), /*bias=*/{}, stride, padding);
}

at::Tensor plain_cifar_resnet(at::Tensor x, const Weights& w, int64_t num_blocks) {
  x = at::relu(norm(convolve(x, w, "conv1", 1, 1), w, "bn1"));
  for (int stage = 1; stage <= 3; ++stage) {
    for (int64_t i = 0; i < num_blocks; ++i) {
      const std::string name = fmt::format("layer{}.{}", stage, i);
      const int64_t stride = stage > 1 && i == 0 ? 2 : 1;
      at::Tensor y = at::relu(norm(convolve(x, w, name + ".conv1", stride, 1), w, name + ".bn1"));
      y = norm(convolve(y, w, name + ".conv2", 1, 1), w, name + ".bn2");
      if (stride == 2) {
        const at::Tensor every_second = x.slice(2, 0, {}, 2).slice(3, 0, {}, 2);
        const at::Tensor zeros = at::zeros({x.size(0), x.size(1) / 2, every_second.size(2), every_second.size(3)}, x.options());
        x = at::cat({zeros, every_second, zeros}, 1);
      }
      x = at::relu(y + x);
    }
  }
  return at::linear(x.flatten(2).mean(2), w.at("linear.weight"), w.at("linear.bias"));
}

struct Problem {
  std::shared_ptr<ImageClassifier> model;
  at::Tensor image, labels;
  at::Tensor loss() const { return at::cross_entropy_loss(model->forward(image), labels); }
};

Problem small_problem(const std::string& arch, int64_t size, at::ScalarType type = at::kDouble) {
  const ModelDescription description = arch == "resnet8" ? ModelDescription(CifarResNetDescription{"resnet8", 2, 5}) : describe(arch, 2, 5);
  Problem problem{make_model(description, 11), fixed_randn({3, 2, size, size + 1}, 12).to(type), at::tensor({4, 0, 2}, at::kLong)};
  convert_floating(*problem.model, type);
  return problem;
}

}  // namespace

TEST_CASE("cifar resnet: logits and gradients equal a plain composition, in both memory formats") {
  for (const at::MemoryFormat format : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    INFO(format);
    Problem ours = small_problem("resnet20", 9);
    convert_memory_format(*ours.model, format);
    ours.image = ours.image.contiguous(format).requires_grad_(true);
    const at::Tensor logits = ours.model->forward(ours.image);
    at::cross_entropy_loss(logits, ours.labels).backward();

    const Problem theirs = small_problem("resnet20", 9);
    const at::Tensor image = theirs.image.requires_grad_(true);
    const Weights weights = weights_of(*theirs.model);
    const at::Tensor plain = plain_cifar_resnet(image, weights, 3);
    at::cross_entropy_loss(plain, theirs.labels).backward();
    // Double sums in another order, through 19 normalisations.
    const test::Tolerance tolerance{.atol = 1e-10, .rtol = 1e-9};
    check_tensors("logits", logits, plain, tolerance);
    check_tensors("input gradient", ours.image.grad(), image.grad(), tolerance);
    for (const StateEntry& entry : state_dict(*ours.model)) {
      if (entry.is_parameter) check_tensors(entry.name, entry.tensor.grad(), weights.at(entry.name).grad(), tolerance);
    }
  }
}

TEST_CASE("resnet: both memory formats give the same logits and gradients") {
  const Problem plain = small_problem("resnet18", 17);
  Problem last = small_problem("resnet18", 17);
  convert_memory_format(*last.model, at::MemoryFormat::ChannelsLast);
  last.image = last.image.contiguous(at::MemoryFormat::ChannelsLast);
  plain.loss().backward();
  last.loss().backward();
  const Weights weights = weights_of(*plain.model);
  for (const StateEntry& entry : state_dict(*last.model)) {
    if (entry.is_parameter) check_tensors(entry.name, entry.tensor.grad(), weights.at(entry.name).grad(), {.atol = 1e-8, .rtol = 1e-7});
  }
}

TEST_CASE("models: gradients equal central differences in double") {
  // Two values of every parameter and of the image (of ResNet-18, of every fourth); h balances rounding (1e-16 / h) against curvature and ReLUs that change side.
  constexpr double kStep = 1e-6;
  for (const auto& [arch, size, every, format] : std::vector<std::tuple<const char*, int64_t, size_t, at::MemoryFormat>>{
           {"resnet8", 6, 1, at::MemoryFormat::ChannelsLast}, {"resnet8", 6, 3, at::MemoryFormat::Contiguous}, {"resnet18", 8, 4, at::MemoryFormat::ChannelsLast}}) {
    Problem problem = small_problem(arch, size);
    convert_memory_format(*problem.model, format);
    problem.image = problem.image.contiguous(format);
    problem.image.requires_grad_(true);
    problem.loss().backward();
    std::vector<StateEntry> inputs = state_dict(*problem.model);
    inputs.push_back({"image", problem.image, true});
    const at::NoGradGuard no_grad;
    std::erase_if(inputs, [](const StateEntry& entry) { return !entry.is_parameter; });
    for (size_t i = inputs.size() - 1; i < inputs.size(); i -= every) {  // from the image back to the stem, ends below zero
      const StateEntry& entry = inputs[i];
      const int64_t count = entry.tensor.numel();
      for (const int64_t index : {count / 3, (2 * count) / 3}) {
        double* value = entry.tensor.mutable_data_ptr<double>() + index;
        const double kept = *value;
        *value = kept + kStep;
        const double above = problem.loss().item<double>();
        *value = kept - kStep;
        const double below = problem.loss().item<double>();
        *value = kept;
        const at::Tensor gradients = entry.tensor.dim() == 4 ? entry.tensor.grad().contiguous(format) : entry.tensor.grad().contiguous();
        const double gradient = gradients.const_data_ptr<double>()[index];
        INFO(arch << " " << entry.name << " element " << index);
        CHECK(gradient == Approx((above - below) / (2 * kStep)).epsilon(1e-4).margin(1e-8));
      }
    }
  }
}

TEST_CASE("models: the float path follows the double path") {
  // Large enough that no batch norm sees a mere three values, whose small variances would blow rounding up.
  for (const auto& [arch, size] : std::vector<std::pair<const char*, int64_t>>{{"resnet20", 16}, {"resnet18", 40}}) {
    INFO(arch);
    const Problem wide = small_problem(arch, size);
    const Problem narrow = small_problem(arch, size, at::kFloat);
    const at::Tensor wide_loss = wide.loss(), narrow_loss = narrow.loss();
    wide_loss.backward();
    narrow_loss.backward();
    check_tensors("loss", narrow_loss.to(at::kDouble), wide_loss, {.rtol = 1e-5});
    const Weights weights = weights_of(*wide.model);
    for (const StateEntry& entry : state_dict(*narrow.model)) {
      if (!entry.is_parameter) continue;
      // Rounding turns the sign of a few inputs of ReLUs: single elements move, norms little.
      const at::Tensor want = weights.at(entry.name).grad();
      const double difference = (entry.tensor.grad().to(at::kDouble) - want).norm().item<double>();
      INFO(entry.name);
      CHECK(difference < 0.01 * want.norm().item<double>() + 1e-6);
    }
  }
}
