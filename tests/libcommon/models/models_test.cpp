#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <cmath>

#include "models/factory.h"
#include "models/layers.h"
#include "models/module.h"
#include "tests/support/expect_error.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

std::map<std::string, at::Tensor> by_name(const Module& module) {
  std::map<std::string, at::Tensor> tensors;
  for (const StateEntry& entry : state_dict(module)) tensors[entry.name] = entry.tensor;
  return tensors;
}

std::string shape_of(const at::Tensor& tensor) { return fmt::format("{}x{}", tensor.size(0), tensor.size(1)); }

}  // namespace

TEST_CASE("models: every architecture has the published number of parameters") {
  const std::map<std::string, int64_t> published = {
      {"resnet18", 11689512},       {"resnet34", 21797672},          {"resnet50", 25557032},          {"resnet101", 44549160},      {"resnet152", 60192808},
      {"seresnet50", 28088024},     {"resnet20", 269722},            {"resnet32", 464154},            {"resnet44", 658586},         {"resnet56", 853018},
      {"mobilenetv1_100", 4231976}, {"mobilenet_v2", 3504872},       {"mobilenet_v3_large", 5483032}, {"mobilenet_v3_small", 2542856}, {"efficientnet_b0", 5288548},
      {"efficientnet_b1", 7794184}, {"efficientnet_b2", 9109994},    {"efficientnet_b3", 12233232},
      {"swin_t", 28288354},         {"swin_s", 49606258},          {"vit_tiny_patch16_224", 5717416}, {"vit_small_patch16_224", 22050664}, {"vit_base_patch16_224", 86567656}};
  CHECK(model_names().size() == published.size());
  for (const std::string& name : model_names()) {
    INFO(name);
    const bool cifar = std::holds_alternative<CifarResNetDescription>(describe(name, 3, 10));
    CHECK(num_parameters(*make_model(describe(name, 3, cifar ? 10 : 1000))) == published.at(name));
  }
}

TEST_CASE("models: state_dict names and order are those of the public weights") {
  const auto names = [](const std::string& arch) {
    std::vector<std::string> list;
    for (const StateEntry& entry : state_dict(*make_model(describe(arch, 3, 10)))) list.push_back(entry.name);
    return list;
  };
  const std::vector<std::string> cifar = names("resnet20");
  const std::vector<std::string> start = {"conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "bn1.num_batches_tracked", "layer1.0.conv1.weight",
                                          "layer1.0.bn1.weight"};
  CHECK(std::vector<std::string>(cifar.begin(), cifar.begin() + 8) == start);
  CHECK(cifar.size() == 19 * 6 + 2);
  CHECK(cifar[cifar.size() - 8] == "layer3.2.conv2.weight");
  CHECK(cifar[cifar.size() - 2] == "linear.weight");
  CHECK(cifar.back() == "linear.bias");
  const std::vector<std::string> large = names("resnet34");
  for (const char* name : {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.num_batches_tracked", "layer3.5.bn2.bias", "fc.weight", "fc.bias"}) {
    INFO(name);
    CHECK(std::count(large.begin(), large.end(), name) == 1);
  }
  CHECK(std::count(large.begin(), large.end(), "layer1.0.downsample.0.weight") == 0);
}

TEST_CASE("models: an unknown name is refused with the nearest one") {
  expect_error(ExitCode::kUsage, "did you mean resnet18?", [] { describe("resnet-18", 3, 10); });
  expect_error(ExitCode::kUsage, "no architecture 'xception'\n--arch help lists", [] { describe("xception", 3, 10); });
  expect_error(ExitCode::kUsage, "did you mean mobilenet_v2? --arch help", [] { describe("mobilnet_v2", 3, 10); });
  expect_error(ExitCode::kUsage, "did you mean vit_tiny_patch16_224? --arch help", [] { describe("vit_tiny", 3, 10); });
  expect_error(ExitCode::kUsage, "did you mean efficientnet_b0 or efficientnet_b1 or efficientnet_b2? --arch help", [] { describe("efficientnet", 3, 10); });
}

TEST_CASE("models: a description survives JSON, and the model hands out its own") {
  for (const std::string& name : model_names()) {
    const nlohmann::json json = to_json(describe(name, 2, 7));
    CHECK(json.at("arch") == name);
    const ModelDescription read = model_description_from_json(nlohmann::json::parse(json.dump()));
    CHECK(to_json(read) == json);
    const auto model = make_model(read);
    CHECK(model->description() == json);
    CHECK(model->in_channels() == 2);
    CHECK(model->num_classes() == 7);
    CHECK(model->family() == json.at("family"));
  }
}

TEST_CASE("models: a damaged description is the file's fault, and the message names the key") {
  const auto refuse = [](const std::string& text, const std::string& part) {
    INFO(text);
    expect_error(ExitCode::kInput, part, [&] { model_description_from_json(nlohmann::json::parse(text)); });
  };
  refuse(R"([1])", "expected an object");
  refuse(R"({"arch": "resnet18"})", "'family' is missing");
  refuse(R"({"family": "vgg", "arch": "vgg16", "in_channels": 3, "num_classes": 10})", "found 'vgg'");
  refuse(R"({"family": 3})", "found 3");
  for (const std::string family : {"resnet", "cifar_resnet"}) {
    const std::string head = R"({"family": ")" + family + R"(", )";
    refuse(head + R"("arch": "resnet20", "in_channels": 3})", "'num_classes' is missing");
    refuse(head + R"("arch": "resnet20", "in_channels": 3, "num_classes": 10, "width": 2})", "unknown key 'width'");
    refuse(head + R"("arch": "resnet20", "in_channels": 0, "num_classes": 10})", "in_channels must be an integer of 1 to 65536, found 0");
    refuse(head + R"("arch": "resnet20", "in_channels": 3, "num_classes": 2.5})", "num_classes must be");
    refuse(head + R"("arch": "resnet20", "in_channels": 3, "num_classes": 18446744073709551615})", "found 18446744073709551615");
    refuse(head + R"("arch": 20, "in_channels": 3, "num_classes": 10})", "arch must be text");
    for (const std::string arch : {"resnet", "resnet21", "resnet020", "resnet2", "resnet20x", "resnet99999999999999999999", "net20", "resnet-4"}) {
      refuse(head + R"("arch": ")" + arch + R"(", "in_channels": 3, "num_classes": 10})", "found '" + arch + "'");
    }
  }
  refuse(R"({"family": "resnet", "arch": "resnet20", "in_channels": 3, "num_classes": 10})", "resnet152 and seresnet50, found 'resnet20'");
}

TEST_CASE("models: initial weights depend on the seed alone and leave the global generator where it was") {
  at::manual_seed(5);
  const at::Tensor expected_draw = at::rand({4});
  at::manual_seed(5);
  const auto first = by_name(*make_model(describe("resnet20", 1, 10), 3));
  const at::Tensor draw = at::rand({4});
  check_tensors("a draw after a model was made", draw, expected_draw);
  const auto again = by_name(*make_model(describe("resnet20", 1, 10), 3));
  const auto other = by_name(*make_model(describe("resnet20", 1, 10), 4));
  for (const auto& [name, tensor] : first) {
    check_tensors(name, again.at(name), tensor);
    if (name.ends_with("conv1.weight") || name.starts_with("linear")) CHECK_FALSE(tensor.equal(other.at(name)));
  }
  // Another head leaves the other layers' draws alone.
  const auto wider = by_name(*make_model(describe("resnet20", 1, 100), 3));
  check_tensors("a convolution", wider.at("layer3.2.conv2.weight"), first.at("layer3.2.conv2.weight"));
}

TEST_CASE("models: initial weights have the documented distributions") {
  struct Expected {
    std::string arch, convolution, linear;
    double deviation;
  };
  // layer3.0.conv2: fan_out 256 * 9 in ResNet-18, fan_in 64 * 9 in the CIFAR nets.
  for (const Expected& e : {Expected{"resnet18", "layer3.0.conv2.weight", "fc", std::sqrt(2.0 / (256 * 9))}, Expected{"resnet20", "layer3.0.conv2.weight", "linear", std::sqrt(2.0 / (64 * 9))}}) {
    INFO(e.arch);
    const auto tensors = by_name(*make_model(describe(e.arch, 3, 1000), 1));
    const at::Tensor weight = tensors.at(e.convolution).to(at::kDouble);
    // 36,864 draws at least: the deviation is known to 0.4 %, the mean to 0.5 % of it.
    CHECK(weight.std().item<double>() == Approx(e.deviation).epsilon(0.02));
    CHECK(std::abs(weight.mean().item<double>()) < 0.03 * e.deviation);
    CHECK(weight.abs().max().item<double>() > 3.5 * e.deviation);  // a Gaussian's tail, not a uniform's
    const at::Tensor linear = tensors.at(e.linear + ".weight").to(at::kDouble);
    const double bound = 1 / std::sqrt(static_cast<double>(linear.size(1)));
    const at::Tensor bias = tensors.at(e.linear + ".bias").to(at::kDouble);
    CHECK(bias.abs().max().item<double>() <= bound);
    CHECK(bias.std().item<double>() == Approx(bound / std::sqrt(3.0)).epsilon(0.1));
    const bool uniform = e.arch == "resnet18";
    CHECK(linear.std().item<double>() == Approx(uniform ? bound / std::sqrt(3.0) : std::sqrt(2.0) * bound).epsilon(0.02));
    CHECK((linear.abs().max().item<double>() <= bound) == uniform);
  }
  // The stem tells fan_out from fan_in: 16 * 9 against 3 * 9.
  CHECK(by_name(*make_model(describe("resnet20", 3, 10), 1)).at("conv1.weight").std().item<double>() == Approx(std::sqrt(2.0 / 27)).epsilon(0.1));
  CHECK(by_name(*make_model(describe("resnet18", 3, 10), 1)).at("conv1.weight").std().item<double>() == Approx(std::sqrt(2.0 / (64 * 49))).epsilon(0.05));
}

TEST_CASE("models: initialise forgets a training that went before") {
  const auto model = make_model(describe("resnet20", 1, 10), 3);
  const auto fresh = by_name(*make_model(describe("resnet20", 1, 10), 3));
  model->forward(at::randn({4, 1, 8, 8}));
  {
    const at::NoGradGuard no_grad;
    for (StateEntry& entry : state_dict(*model)) {
      if (entry.is_parameter) entry.tensor.add_(1);
    }
  }
  CHECK_FALSE(by_name(*model).at("bn1.running_mean").equal(fresh.at("bn1.running_mean")));
  model->initialise(3);
  for (const auto& [name, tensor] : by_name(*model)) check_tensors(name, tensor, fresh.at(name));
}

TEST_CASE("models: any size from one pixel on, square or not, any number of channels and classes") {
  const at::NoGradGuard no_grad;
  for (const std::string& name : model_names()) {
    // The others are the same code as their neighbours.
    const std::vector<std::string> skipped = {"resnet34", "resnet101", "resnet152", "resnet44", "resnet56", "efficientnet_b1", "efficientnet_b2", "efficientnet_b3"};
    if (std::find(skipped.begin(), skipped.end(), name) != skipped.end()) continue;
    if (name.starts_with("swin") || name.starts_with("vit")) continue;  // these have sizes that they do not take
    const auto model = make_model(describe(name, 2, 7), 1);
    CHECK(model->min_input_size() == 1);
    for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {3, 2}, {33, 14}}) {
      INFO(name << " at " << height << "x" << width);
      model->eval();
      CHECK(shape_of(model->forward(at::ones({1, 2, height, width}))) == "1x7");
      model->train();
      const at::Tensor logits = model->forward(at::randn({2, 2, height, width}));
      CHECK(shape_of(logits) == "2x7");
      CHECK(logits.isfinite().all().item<bool>());
    }
  }
}

TEST_CASE("models: what a network cannot take is refused before it runs") {
  for (const auto& [name, stride] : std::vector<std::pair<std::string, int64_t>>{{"resnet18", 32}, {"resnet20", 4}}) {
    INFO(name);
    const auto model = make_model(describe(name, 3, 10), 1);
    expect_error(ExitCode::kUsage, "0x8 pixels is too small: the network takes 1x1 and up", [&] { model->forward(at::zeros({2, 3, 0, 8})); });
    expect_error(ExitCode::kUsage, "images of 3 channels, found 1", [&] { model->forward(at::zeros({2, 1, 8, 8})); });
    expect_error(ExitCode::kBug, "found 3 dimensions", [&] { model->forward(at::zeros({3, 8, 8})); });
    // Batch norm needs two values a channel in training: exactly where LibTorch would refuse too.
    expect_error(ExitCode::kUsage, "a batch of 1 at", [&] { model->forward(at::zeros({1, 3, stride, stride})); });
    CHECK(shape_of(model->forward(at::randn({1, 3, stride, stride + 1}))) == "1x10");
    CHECK(shape_of(model->forward(at::randn({2, 3, 1, 1}))) == "2x10");
    CHECK_NOTHROW(model->require_input(1, 3, 1, 1, false));
  }
}

TEST_CASE("models: conversions keep counters integral and move convolutions to channels-last") {
  const auto model = make_model(describe("resnet20", 3, 10), 1);
  const auto before = by_name(*make_model(describe("resnet20", 3, 10), 1));
  convert_floating(*model, at::kDouble);
  convert_memory_format(*model, at::MemoryFormat::ChannelsLast);
  for (const StateEntry& entry : state_dict(*model)) {
    INFO(entry.name);
    CHECK(entry.tensor.scalar_type() == (entry.name.ends_with("num_batches_tracked") ? at::kLong : at::kDouble));
    if (entry.tensor.dim() == 4) CHECK(entry.tensor.is_contiguous(at::MemoryFormat::ChannelsLast));
    CHECK(entry.tensor.requires_grad() == entry.is_parameter);
    check_tensors(entry.name, entry.tensor, before.at(entry.name).to(entry.tensor.scalar_type()));
  }
}

TEST_CASE("models: batch norm counts its batches in training only") {
  const auto model = make_model(describe("resnet20", 1, 10), 1);
  const auto count = [&] { return by_name(*model).at("layer2.0.bn1.num_batches_tracked").item<int64_t>(); };
  model->forward(at::randn({2, 1, 8, 8}));
  CHECK(count() == 1);
  model->eval();
  model->forward(at::randn({2, 1, 8, 8}));
  CHECK(count() == 1);
}

TEST_CASE("module: names and modes of a tree, and what is not allowed") {
  class Leaf : public Module {
   public:
    Leaf() {
      register_buffer("seen", at::zeros({}, at::kLong));
      register_parameter("weight", at::ones({1, 2, 3, 4}));
    }
  };
  class Root : public Module {
   public:
    Root() {
      register_module("b", std::make_shared<Leaf>());
      register_module("a", std::make_shared<Leaf>());
      register_parameter("scale", at::ones({2}));
    }
    void add(const std::string& name) { register_buffer(name, at::zeros({1})); }
  };
  Root root;
  std::vector<std::string> names;
  for (const StateEntry& entry : state_dict(root)) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"scale", "b.weight", "b.seen", "a.weight", "a.seen"});
  CHECK(num_parameters(root) == 2 + 24 + 24);
  CHECK(state_dict(root)[1].tensor.requires_grad());
  root.child("a").eval();
  CHECK((root.is_training() && root.child("b").is_training() && !root.child("a").is_training()));
  root.train();
  CHECK(root.child("a").is_training());
  root.eval();
  CHECK_FALSE(root.child("b").is_training());
  convert_floating(root, at::kDouble);
  convert_memory_format(root, at::MemoryFormat::ChannelsLast);
  CHECK(state_dict(root)[1].tensor.is_contiguous(at::MemoryFormat::ChannelsLast));
  CHECK(state_dict(root)[1].tensor.scalar_type() == at::kDouble);
  CHECK(state_dict(root)[2].tensor.scalar_type() == at::kLong);
  expect_error(ExitCode::kBug, "registered twice", [&] { root.add("a"); });
  expect_error(ExitCode::kBug, "is no name", [&] { root.add("a.b"); });
  expect_error(ExitCode::kBug, "no module 'c'", [&] { root.child("c"); });
}

TEST_CASE("models: the tensors of every architecture are drawn, and the draws are those of its kind") {
  // Norms at 1 and 0, no weight left at zero; no two weights alike.
  for (const std::string& name : model_names()) {
    if (name == "resnet152" || name == "resnet101" || name == "vit_base_patch16_224" || name == "swin_s") continue;  // large, and their neighbours' code
    INFO(name);
    const auto tensors = by_name(*make_model(describe(name, 3, 10), 1));
    for (const auto& [tensor_name, tensor] : tensors) {
      INFO(tensor_name);
      if (!tensor.is_floating_point()) continue;
      CHECK(tensor.isfinite().all().item<bool>());
      if (tensor.dim() >= 2) CHECK(tensor.ne(0).all().item<bool>());
      if (tensor_name.ends_with(".weight") && tensor.dim() == 1) CHECK(tensor.eq(1).all().item<bool>());
    }
  }
  const auto deviation = [](const std::map<std::string, at::Tensor>& tensors, const std::string& name) { return tensors.at(name).std().item<double>(); };
  const auto v1 = by_name(*make_model(describe("mobilenetv1_100", 3, 1000), 1));
  CHECK(deviation(v1, "blocks.4.1.conv_dw.weight") == Approx(std::sqrt(2.0 / 9)).epsilon(0.03));  // fan_out of one group
  CHECK(deviation(v1, "blocks.4.1.conv_pw.weight") == Approx(std::sqrt(2.0 / 1024)).epsilon(0.01));
  const auto v2 = by_name(*make_model(describe("mobilenet_v2", 3, 1000), 1));
  CHECK(deviation(v2, "features.17.conv.1.0.weight") == Approx(std::sqrt(2.0 / (9 * 960))).epsilon(0.03));  // of all groups
  CHECK(deviation(v2, "classifier.1.weight") == Approx(0.01).epsilon(0.01));
  CHECK(v2.at("classifier.1.bias").eq(0).all().item<bool>());
  const auto b0 = by_name(*make_model(describe("efficientnet_b0", 3, 1000), 1));
  CHECK(deviation(b0, "classifier.1.weight") == Approx(1 / std::sqrt(3.0 * 1000)).epsilon(0.01));
  const auto vit = by_name(*make_model(describe("vit_tiny_patch16_224", 3, 1000), 1));
  CHECK(deviation(vit, "blocks.11.attn.qkv.weight") == Approx(0.02).epsilon(0.01));
  CHECK(deviation(vit, "pos_embed") == Approx(0.02).epsilon(0.02));
  CHECK(deviation(vit, "patch_embed.proj.weight") == Approx(1 / std::sqrt(3.0 * 768)).epsilon(0.01));
}

TEST_CASE("models: options of a family override its description, and what does not fit is refused") {
  const auto overridden = [](const std::string& name, const std::string& text) { return to_json(describe(name, 3, 10, nlohmann::json::parse(text))); };
  CHECK(overridden("mobilenet_v2", R"({"width_multiplier": 0.5, "padding": "same"})").at("width_multiplier") == 0.5);
  CHECK(overridden("efficientnet_b3", "{}").at("depth_multiplier") == 1.4);
  CHECK(num_parameters(*make_model(describe("mobilenet_v2", 3, 1000, {{"width_multiplier", 0.5}}))) == 1968680);  // timm's mobilenetv2_050
  const auto refuse = [&](const std::string& name, const std::string& text, const std::string& part) {
    INFO(name << " " << text);
    expect_error(ExitCode::kUsage, part, [&] { overridden(name, text); });
  };
  refuse("mobilenet_v2", R"([])", "expected an object");
  refuse("mobilenet_v2", R"({"width": 2})", "unknown key 'width', expected width_multiplier, dropout, norm_eps, padding");
  refuse("mobilenet_v2", R"({"num_classes": 2})", "unknown key 'num_classes'");
  refuse("resnet18", R"({"dropout": 0.1})", "unknown key 'dropout', expected none");
  refuse("mobilenet_v2", R"({"width_multiplier": 0})", "width_multiplier must be a number of 0.05 to 16, found 0");
  refuse("mobilenet_v2", R"({"dropout": "much"})", "dropout must be a number");
  refuse("mobilenet_v2", R"({"padding": "valid"})", "padding must be 'symmetric' or 'same', found 'valid'");
  refuse("vit_tiny_patch16_224", R"({"depth": 1.5})", "depth must be an integer of 1 to 1024, found 1.5");
  refuse("vit_tiny_patch16_224", R"({"num_heads": 5})", "width 192 is no multiple of num_heads 5");
  refuse("vit_tiny_patch16_224", R"({"patch_size": 15})", "image_size 224 is no multiple of patch_size 15");
  nlohmann::json damaged = to_json(describe("vit_tiny_patch16_224", 3, 10));
  damaged["num_heads"] = 5;
  expect_error(ExitCode::kInput, "no multiple of num_heads", [&] { model_description_from_json(damaged); });
}

TEST_CASE("vision transformer: multiples of the patch, any grid, and both rules for the position table") {
  const at::NoGradGuard no_grad;
  const auto model = make_model(describe("vit_tiny_patch16_224", 3, 7, {{"depth", 1}, {"image_size", 64}}), 1);
  CHECK(by_name(*model).at("pos_embed").size(1) == 17);
  CHECK(shape_of(model->forward(at::randn({1, 3, 16, 16}))) == "1x7");  // also a batch of one in training: there is no batch norm
  CHECK(shape_of(model->forward(at::randn({2, 3, 48, 80}))) == "2x7");
  expect_error(ExitCode::kUsage, "40x48 pixels cannot be cut into patches of 16x16", [&] { model->forward(at::zeros({2, 3, 40, 48})); });
  expect_error(ExitCode::kUsage, "the network takes 16x16 and up", [&] { model->forward(at::zeros({2, 3, 8, 16})); });

  const auto line = make_model(describe("vit_tiny_patch16_224", 3, 7, {{"depth", 1}, {"image_size", 64}, {"position_resampling", "1d"}}), 1);
  const at::Tensor same = at::randn({1, 3, 64, 64}), other = at::randn({1, 3, 32, 32});
  check_tensors("at the table's size", line->forward(same), model->forward(same));
  CHECK_FALSE(line->forward(other).equal(model->forward(other)));
  // 16 tokens are the table's number; only the 2-D rule sees that the grid is another one.
  const at::Tensor wide = at::randn({1, 3, 32, 128});
  CHECK_FALSE(line->forward(wide).equal(model->forward(wide)));
}

TEST_CASE("swin: any image from the patch on, square or not") {
  const at::NoGradGuard no_grad;
  const auto model = make_model(describe("swin_t", 2, 7), 1);
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{4, 4}, {5, 61}, {96, 33}}) {
    INFO(height << "x" << width);
    const at::Tensor logits = model->forward(at::randn({1, 2, height, width}));
    CHECK(shape_of(logits) == "1x7");
    CHECK(logits.isfinite().all().item<bool>());
  }
  expect_error(ExitCode::kUsage, "the network takes 4x4 and up", [&] { model->forward(at::zeros({2, 2, 3, 8})); });
}

TEST_CASE("layers: TensorFlow's SAME padding puts the odd pixel below and to the right") {
  for (const auto& [height, width, kernel, stride] : std::vector<std::array<int64_t, 4>>{{6, 7, 3, 2}, {7, 7, 3, 2}, {5, 8, 5, 2}, {1, 1, 3, 2}, {8, 9, 3, 1}}) {
    INFO(height << "x" << width << ", kernel " << kernel << ", stride " << stride);
    Convolution same(1, 1, kernel, stride, {.padding = Padding::kTensorflowSame});
    const at::NoGradGuard no_grad;
    same.weight.copy_(at::arange(1, kernel * kernel + 1).view({1, 1, kernel, kernel}));
    const at::Tensor x = at::arange(1, height * width + 1).to(at::kFloat).view({1, 1, height, width});
    // By definition: output i starts at i * stride - floor(missing / 2).
    const auto missing = [&](int64_t size) { return std::max<int64_t>(((size + stride - 1) / stride - 1) * stride + kernel - size, 0); };
    const at::Tensor padded = at::zeros({height + 2 * kernel, width + 2 * kernel});
    padded.slice(0, kernel, kernel + height).slice(1, kernel, kernel + width).copy_(x[0][0]);
    const at::Tensor want = at::zeros({1, 1, (height + stride - 1) / stride, (width + stride - 1) / stride});
    for (int64_t i = 0; i < want.size(2); ++i) {
      for (int64_t j = 0; j < want.size(3); ++j) {
        const int64_t top = kernel + i * stride - missing(height) / 2, left = kernel + j * stride - missing(width) / 2;
        want[0][0][i][j] = (padded.slice(0, top, top + kernel).slice(1, left, left + kernel) * same.weight[0][0]).sum();
      }
    }
    check_tensors("same", same.forward(x), want);
  }
}

TEST_CASE("layers: a kernel larger than the image is the convolution by definition, gradients included") {
  for (const int64_t kernel : {1, 3, 5, 7}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {1, 2}, {2, 2}, {2, 5}, {3, 1}, {3, 4}, {4, 4}, {7, 6}}) {
        INFO(height << "x" << width << ", kernel " << kernel << ", stride " << stride);
        at::manual_seed(5);
        Convolution convolution(4, 6, kernel, stride, {.groups = 2, .bias = true});
        convert_floating(convolution, at::kDouble);
        const at::Tensor x = at::randn({3, 4, height, width}, at::kDouble).requires_grad_();
        {
          const at::NoGradGuard no_grad;
          convolution.weight.normal_();
          convolution.bias.normal_();
        }
        const at::Tensor y = convolution.forward(x), dy = at::randn_like(y);
        y.backward(dy);
        const at::Tensor weight = convolution.weight.detach().requires_grad_(), bias = convolution.bias.detach().requires_grad_(), same = x.detach().requires_grad_();
        const at::Tensor want = at::conv2d(same, weight, bias, stride, kernel / 2, 1, 2);
        want.backward(dy);
        // Other kernels of LibTorch for other shapes: sums of at most 98 products in another order.
        constexpr fettle::test::Tolerance kOrder{.atol = 1e-13, .rtol = 1e-13};
        check_tensors("y", y, want, kOrder);
        check_tensors("dx", x.grad(), same.grad(), kOrder);
        check_tensors("dweight", convolution.weight.grad(), weight.grad(), kOrder);
        check_tensors("dbias", convolution.bias.grad(), bias.grad(), kOrder);
      }
    }
  }
}

TEST_CASE("layers: stochastic depth drops whole samples and keeps the mean") {
  at::manual_seed(3);
  const at::Tensor y = at::ones({2000, 2, 3});
  check_tensors("in evaluation", stochastic_depth(y, 0.25, false), y);
  const at::Tensor dropped = stochastic_depth(y, 0.25, true).reshape({2000, 6});
  CHECK(dropped.select(1, 0).unsqueeze(1).expand_as(dropped).equal(dropped));
  CHECK(dropped.select(1, 0).eq(0).to(at::kDouble).mean().item<double>() == Approx(0.25).margin(0.04));
  CHECK(dropped.max().item<double>() == Approx(1 / 0.75));
}

TEST_CASE("models: batch norm that was folded into the convolutions is known while it trains, and no other") {
  const at::NoGradGuard no_grad;
  const auto model = make_model(describe("resnet20", 1, 10), 1);
  CHECK(num_folded_batch_norms_in_training(*model) == 0);  // new ones add nothing
  auto tensors = by_name(*model);
  for (const char* norm : {"bn1.", "layer1.0.bn1.", "layer2.1.bn2."}) {
    tensors.at(norm + std::string("bias")).fill_(0.5);
    tensors.at(norm + std::string("running_var")).fill_(1 - 1e-5);
  }
  CHECK(num_folded_batch_norms_in_training(*model) == 3);
  tensors.at("bn1.running_mean")[0] = 0.1;
  tensors.at("layer1.0.bn1.weight")[3] = 1.01;
  CHECK(num_folded_batch_norms_in_training(*model) == 1);
  set_training_mode(*model, true, /*freeze_batch_norm=*/true);
  CHECK(num_folded_batch_norms_in_training(*model) == 0);
}
