#include "metrics/multiply_adds.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "models/factory.h"
#include "models/module.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;

namespace {

std::vector<std::string> rows(const MultiplyAdds& counted) {
  std::vector<std::string> lines;
  for (const LayerMultiplyAdds& layer : counted.layers) {
    std::string shape;
    for (const int64_t size : layer.output_shape) shape += fmt::format("{}{}", shape.empty() ? "" : "x", size);
    lines.push_back(fmt::format("{} {} {}", layer.name, layer.multiply_adds, shape));
  }
  return lines;
}

}  // namespace

TEST_CASE("multiply-adds: CIFAR ResNet-20 by hand") {
  const auto model = make_model(describe("resnet20", 3, 10), 1);
  const int64_t stage1 = 6 * 16 * 16 * 9 * 32 * 32, stage2 = (16 * 32 + 5 * 32 * 32) * 9 * 16 * 16, stage3 = (32 * 64 + 5 * 64 * 64) * 9 * 8 * 8;
  const MultiplyAdds counted = count_multiply_adds(*model, 32, 32);
  CHECK(counted.total == 3 * 16 * 9 * 32 * 32 + stage1 + stage2 + stage3 + 640);
  REQUIRE(counted.layers.size() == 20);
  CHECK(rows(counted)[0] == "conv1 442368 1x16x32x32");
  CHECK(rows(counted)[7] == "layer2.0.conv1 1179648 1x32x16x16");
  CHECK(rows(counted)[19] == "linear 640 1x10");
  // Sizes that do not divide, and not square: ceil(7 / 2) = 4, ceil(5 / 2) = 3.
  CHECK(rows(count_multiply_adds(*model, 7, 5))[7] == fmt::format("layer2.0.conv1 {} 1x32x4x3", 16 * 32 * 9 * 4 * 3));
}

TEST_CASE("multiply-adds: a projection shortcut is a row of its own") {
  const MultiplyAdds counted = count_multiply_adds(*make_model(describe("resnet18", 1, 10), 1), 32, 32);
  const std::vector<std::string> lines = rows(counted);
  CHECK(std::count(lines.begin(), lines.end(), fmt::format("layer2.0.downsample.0 {} 1x128x4x4", 64 * 128 * 16)) == 1);
  int64_t sum = 0;
  for (const LayerMultiplyAdds& layer : counted.layers) sum += layer.multiply_adds;
  CHECK(sum == counted.total);
}

TEST_CASE("multiply-adds: grouped, dilated, transposed convolutions, linear layers of any rank, plain products") {
  class Layer : public Module {
   public:
    Layer(at::IntArrayRef weight_shape, at::IntArrayRef bias_shape) : weight(register_parameter("weight", at::zeros(weight_shape))) {
      if (!bias_shape.empty()) bias = register_parameter("bias", at::zeros(bias_shape));
    }
    at::Tensor weight, bias;
  };
  class Parts : public Module {
   public:
    std::shared_ptr<Layer> grouped = register_module("0", std::make_shared<Layer>(at::IntArrayRef{12, 2, 3, 1}, 12));
    std::shared_ptr<Layer> transposed = register_module("1", std::make_shared<Layer>(at::IntArrayRef{12, 2, 2, 2}, 6));
    std::shared_ptr<Layer> linear = register_module("2", std::make_shared<Layer>(at::IntArrayRef{5, 8}, 5));
    std::shared_ptr<Layer> dilated = register_module("3", std::make_shared<Layer>(at::IntArrayRef{4, 3, 3}, 4));
    std::shared_ptr<Layer> no_bias = register_module("4", std::make_shared<Layer>(at::IntArrayRef{2, 8}, at::IntArrayRef{}));
  };
  const Parts parts;
  const auto count = [&](const std::function<void()>& forward) { return rows(count_multiply_adds(parts, forward)); };
  using Rows = std::vector<std::string>;
  CHECK(count([&] { at::conv2d(at::zeros({2, 8, 7, 5}), parts.grouped->weight, parts.grouped->bias, 1, at::IntArrayRef{0}, 1, /*groups=*/4); }) ==
        Rows{fmt::format("0 {} 2x12x5x5", 2 * 12 * 5 * 5 * 2 * 3)});
  CHECK(count([&] { at::conv_transpose2d(at::zeros({1, 12, 3, 4}), parts.transposed->weight, parts.transposed->bias, 2, 0, 0, /*groups=*/3); }) ==
        Rows{fmt::format("1 {} 1x6x6x8", 12 * 3 * 4 * 2 * 4)});
  CHECK(count([&] { at::linear(at::zeros({3, 8}), parts.linear->weight, parts.linear->bias); }) == Rows{"2 120 3x5"});
  const MultiplyAdds deep = count_multiply_adds(parts, [&] { at::linear(at::zeros({2, 7, 8}), parts.linear->weight, parts.linear->bias); });
  CHECK(deep.total == 2 * 7 * 8 * 5);
  CHECK(deep.layers.at(0).name == "2");
  CHECK(count([&] { at::conv1d(at::zeros({1, 3, 9}), parts.dilated->weight, parts.dilated->bias, 1, at::IntArrayRef{0}, /*dilation=*/2); }) == Rows{fmt::format("3 {} 1x4x5", 4 * 5 * 3 * 3)});
  const MultiplyAdds no_bias = count_multiply_adds(parts, [&] { at::linear(at::zeros({2, 7, 8}), parts.no_bias->weight); });
  CHECK(no_bias.total == 2 * 7 * 8 * 2);
  CHECK(count([] { at::bmm(at::zeros({4, 3, 6}), at::zeros({4, 6, 2})); }) == Rows{fmt::format("bmm {} 4x3x2", 4 * 3 * 6 * 2)});
  CHECK(count_multiply_adds(parts, [] { at::matmul(at::zeros({5, 4, 3, 6}), at::zeros({6, 2})); }).total == 5 * 4 * 3 * 6 * 2);
  CHECK(count([] { at::scaled_dot_product_attention(at::zeros({1, 2, 3, 6}), at::zeros({1, 2, 5, 6}), at::zeros({1, 2, 5, 6})); }) ==
        Rows{fmt::format("scaled_dot_product_attention {} 1x2x3x6", 2 * 3 * 5 * (6 + 6))});
  CHECK(count([&] { at::bmm(at::linear(at::zeros({1, 3, 8}), parts.linear->weight), at::zeros({1, 5, 2})); }).back() == fmt::format("bmm {} 1x3x2", 3 * 5 * 2));
  CHECK(count([] { at::relu(at::zeros({4})) * 2 + 1; }).empty());
}

TEST_CASE("multiply-adds: counting leaves the model, its modes and autograd as they were") {
  const auto model = make_model(describe("resnet20", 3, 10), 1);
  std::vector<at::Tensor> before;
  for (const StateEntry& entry : state_dict(*model)) before.push_back(entry.tensor.clone());
  model->train();
  Module& frozen = model->child("bn1");
  frozen.eval();
  count_multiply_adds(*model, 8, 8);
  const std::vector<StateEntry> after = state_dict(*model);
  for (size_t i = 0; i < after.size(); ++i) test::check_tensors(after[i].name, after[i].tensor, before[i]);
  CHECK(model->is_training());
  CHECK(model->child("layer1").is_training());
  CHECK_FALSE(frozen.is_training());
  CHECK(at::GradMode::is_enabled());
  // Also after an error, and nothing counts afterwards.
  test::expect_error(ExitCode::kUsage, "too small", [&] { count_multiply_adds(*model, 0, 8); });
  CHECK(model->is_training());
  CHECK(count_multiply_adds(*model, 8, 8).layers.size() == 20);
}
