#include "train/optimizer.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"

using namespace fettle;

namespace {

at::Tensor leaf(at::Tensor value) { return value.requires_grad_(true); }

// The textbook update, in double.
struct Plain {
  at::Tensor weight, momentum, second;
  int64_t steps = 0;
  void sgd(const at::Tensor& gradient, double lr, const OptimizerOptions& o, double decay) {
    const at::Tensor g = gradient + decay * weight;
    momentum = o.momentum * momentum + g;
    weight = weight - lr * (o.nesterov ? g + o.momentum * momentum : momentum);
  }
  void adamw(const at::Tensor& gradient, double lr, const OptimizerOptions& o, double decay) {
    ++steps;
    weight = weight * (1 - lr * decay);
    momentum = o.beta1 * momentum + (1 - o.beta1) * gradient;
    second = o.beta2 * second + (1 - o.beta2) * gradient * gradient;
    const at::Tensor m = momentum / (1 - std::pow(o.beta1, steps));
    const at::Tensor v = second / (1 - std::pow(o.beta2, steps));
    weight = weight - lr * m / (v.sqrt() + o.eps);
  }
};

Plain plain_of(const at::Tensor& weight) {
  const at::Tensor w = weight.detach().to(at::kDouble);
  return {w, at::zeros_like(w), at::zeros_like(w)};
}

double distance(const at::Tensor& a, const at::Tensor& b) { return (a.detach().to(at::kDouble) - b).abs().max().item<double>(); }

}  // namespace

TEST_CASE("optimizer: the fused steps are the textbook's, with each parameter's own decay and rate") {
  at::manual_seed(1);
  for (const bool adam : {false, true}) {
    for (const bool nesterov : {false, true}) {
      OptimizerOptions options;
      options.kind = adam ? OptimizerOptions::Kind::kAdamW : OptimizerOptions::Kind::kSgd;
      options.nesterov = nesterov;
      const at::Tensor matrix = leaf(at::randn({5, 3})), bias = leaf(at::randn({7}));
      Plain plain_matrix = plain_of(matrix), plain_bias = plain_of(bias);
      Optimizer optimizer({{"w", matrix}, {"b", bias}}, {{.weight_decay = 0.1}, {.lr_scale = 0.5, .weight_decay = 0.02}}, options);
      for (int step = 0; step < 5; ++step) {
        const double lr = 0.1 / (step + 1);
        const at::Tensor g = at::randn({5, 3}), h = at::randn({7});
        matrix.mutable_grad() = g;
        bias.mutable_grad() = h;
        optimizer.step(lr);
        if (adam) {
          plain_matrix.adamw(g.to(at::kDouble), lr, options, 0.1);
          plain_bias.adamw(h.to(at::kDouble), lr / 2, options, 0.02);
        } else {
          plain_matrix.sgd(g.to(at::kDouble), lr, options, 0.1);
          plain_bias.sgd(h.to(at::kDouble), lr / 2, options, 0.02);
        }
      }
      // Five fp32 updates of values near 1.
      CHECK(distance(matrix, plain_matrix.weight) < 2e-6);
      CHECK(distance(bias, plain_bias.weight) < 2e-6);
    }
  }
}

TEST_CASE("optimizer: memory formats that differ give the same numbers") {
  // The fused kernels walk weight, gradient and state side by side: a contiguous momentum beside a channels-last weight
  // would be applied to the wrong elements without an error.
  at::manual_seed(2);
  const at::Tensor start = at::randn({4, 3, 5, 5});
  const at::Tensor first = at::randn({4, 3, 5, 5}), second = at::randn({4, 3, 5, 5});
  const auto run = [&](at::MemoryFormat weight_format, at::MemoryFormat gradient_format, bool reload) {
    const at::Tensor weight = leaf(start.clone(weight_format));
    auto optimizer = std::make_unique<Optimizer>(NamedTensors{{"w", weight}}, std::vector<ParameterSetting>(1), OptimizerOptions{});
    weight.mutable_grad() = first.clone(gradient_format);
    optimizer->step(0.1);
    if (reload) {
      NamedTensors contiguous;
      for (const auto& [name, tensor] : optimizer->state()) contiguous.emplace_back(name, tensor.contiguous());
      optimizer = std::make_unique<Optimizer>(NamedTensors{{"w", weight}}, std::vector<ParameterSetting>(1), OptimizerOptions{});
      optimizer->load_state(contiguous);
    }
    weight.mutable_grad() = second.clone(gradient_format);
    optimizer->step(0.1);
    return weight.detach().contiguous();
  };
  const at::Tensor expected = run(at::MemoryFormat::Contiguous, at::MemoryFormat::Contiguous, false);
  for (const auto weight : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    for (const auto gradient : {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
      for (const bool reload : {false, true}) CHECK(at::equal(run(weight, gradient, reload), expected));
    }
  }
}

TEST_CASE("optimizer: a parameter without a gradient is left alone") {
  const at::Tensor used = leaf(at::ones({2, 2})), unused = leaf(at::ones({2, 2}));
  Optimizer optimizer({{"used", used}, {"unused", unused}}, {{.weight_decay = 0.5}, {.weight_decay = 0.5}}, {});
  used.mutable_grad() = at::ones({2, 2});
  optimizer.step(0.1);
  CHECK(at::equal(unused.detach(), at::ones({2, 2})));
  CHECK_FALSE(at::equal(used.detach(), at::ones({2, 2})));
  optimizer.zero_grad();
  CHECK_FALSE(used.grad().defined());
}

TEST_CASE("optimizer: a state that does not fit is refused") {
  const at::Tensor weight = leaf(at::ones({2, 2}));
  Optimizer optimizer({{"w", weight}}, {{}}, {});
  test::expect_error(ExitCode::kInput, "no optimiser tensor 'momentum/w'", [&] { optimizer.load_state({}); });
  test::expect_error(ExitCode::kInput, "another shape", [&] { optimizer.load_state({{"momentum/w", at::ones({4})}}); });
}

TEST_CASE("optimizer: what is frozen needs no gradient and has no state") {
  const at::Tensor frozen = leaf(at::ones({2, 2})), trained = leaf(at::ones({2, 2}));
  Optimizer optimizer({{"frozen", frozen}, {"trained", trained}}, {{.frozen = true}, {}}, {});
  CHECK_FALSE(frozen.requires_grad());
  CHECK(optimizer.parameters().size() == 1);
  REQUIRE(optimizer.state().size() == 1);
  CHECK(optimizer.state()[0].first == "momentum/trained");
  (trained * frozen).sum().backward();
  optimizer.step(0.1);
  CHECK(at::equal(frozen, at::ones({2, 2})));
}

TEST_CASE("parameter settings: decay by rank and pattern, rates and freezing by pattern") {
  const NamedTensors parameters = {{"stem.weight", at::ones({3, 3})}, {"stem.bias", at::ones({3})}, {"head.weight", at::ones({3, 3})}, {"pos_embed", at::ones({1, 4, 3})}};
  TrainOptions options;
  options.weight_decay = 0.1;
  options.norm_weight_decay = 0.01;
  options.no_weight_decay = {"pos_embed"};
  options.lr_scale = {"*=0.5", "head.*=2"};
  options.freeze = {"stem.b*"};
  const std::vector<ParameterSetting> settings = parameter_settings(parameters, options);
  REQUIRE(settings.size() == 4);
  CHECK(settings[0].weight_decay == 0.1);
  CHECK(settings[1].weight_decay == 0.01);
  CHECK(settings[3].weight_decay == 0);
  CHECK(settings[0].lr_scale == 0.5);
  CHECK(settings[2].lr_scale == 2);
  CHECK(settings[1].frozen);
  CHECK_FALSE(settings[0].frozen);

  options.freeze = {"features.*"};
  test::expect_error(ExitCode::kUsage, "--freeze 'features.*': no parameter has such a name", [&] { parameter_settings(parameters, options); });
  options.freeze = {"*"};
  test::expect_error(ExitCode::kUsage, "every parameter is frozen", [&] { parameter_settings(parameters, options); });
  for (const char* wrong : {"layer4", "=2", "a=", "a=0", "a=-1", "a=x"}) test::expect_error(ExitCode::kUsage, "--lr-scale: expected PATTERN=FACTOR", [&] { parse_lr_scale(wrong); });
}
