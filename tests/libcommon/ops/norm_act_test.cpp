#include "ops/norm_act.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <vector>

#include "base/errors.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using kernels::NormActivation;
using ops::NormAct;
using test::check_tensors;

namespace {

constexpr NormActivation kActivations[] = {NormActivation::kNone, NormActivation::kRelu, NormActivation::kRelu6, NormActivation::kHardswish};

struct Tensors {
  at::Tensor x, residual, weight, bias, mean, var, dy;
};

Tensors draw(at::IntArrayRef shape, at::ScalarType type, bool with_residual) {
  at::manual_seed(5);
  const at::ScalarType numbers = type == at::kDouble ? at::kDouble : at::kFloat;
  const auto image = [&](double scale) { return (at::randn(shape, at::kDouble) * scale + 0.3).to(type).contiguous(at::MemoryFormat::ChannelsLast); };
  const auto channels = [&](double center, double scale) { return (at::randn({shape[1]}, at::kDouble) * scale + center).to(numbers); };
  Tensors t{image(2), with_residual ? image(1) : at::Tensor(), channels(1, 0.3), channels(0.5, 1), channels(0.2, 0.1), channels(2, 0.1), image(1)};
  for (at::Tensor* leaf : {&t.x, &t.weight, &t.bias}) leaf->requires_grad_(true);
  if (with_residual) t.residual.requires_grad_(true);
  return t;
}

// The same values in double: LibTorch's own bf16 rounds between its operators.
Tensors widened(Tensors t) {
  for (at::Tensor* tensor : {&t.x, &t.residual, &t.weight, &t.bias, &t.mean, &t.var, &t.dy}) {
    if (tensor->defined()) *tensor = tensor->detach().to(at::kDouble).requires_grad_(tensor->requires_grad());
  }
  return t;
}

at::Tensor composition(const NormAct& settings, const Tensors& t) {
  at::Tensor z = at::batch_norm(t.x, t.weight, t.bias, t.mean, t.var, settings.batch_statistics, settings.momentum, settings.eps, false);
  if (t.residual.defined()) z = z + t.residual;
  switch (settings.activation) {
    case NormActivation::kNone: return z;
    case NormActivation::kRelu: return at::relu(z);
    case NormActivation::kRelu6: return at::hardtanh(z, 0, 6);
    case NormActivation::kHardswish: return at::hardswish(z);
  }
  return z;
}

at::Tensor fused(const NormAct& settings, const Tensors& t) { return ops::norm_act(settings, t.x, t.weight, t.bias, t.mean, t.var, t.residual); }

// Element by element; of bf16 the norm of the difference: rounding turns single values over a kink.
void check_close(const std::string& name, const at::Tensor& got, const at::Tensor& want, at::ScalarType type, double atol_scale = 1) {
  if (type != at::kBFloat16) {
    return check_tensors(name, got, want, type == at::kDouble ? test::Tolerance{.atol = 1e-12 * atol_scale, .rtol = 1e-11} : test::Tolerance{.atol = 2e-5 * atol_scale, .rtol = 1e-5});
  }
  INFO(name);
  const at::Tensor exact = want.to(at::kDouble);
  CHECK((got.to(at::kDouble) - exact).norm().item<double>() < 0.01 * exact.norm().item<double>());
}

bool has_form(NormActivation activation, bool residual) { return !(residual && activation == NormActivation::kHardswish); }

}  // namespace

TEST_CASE("norm_act: values, gradients and running statistics equal LibTorch's composition") {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    for (const bool batch_statistics : {true, false}) {
      for (const NormActivation activation : kActivations) {
        for (const bool residual : {false, true}) {
          if (!has_form(activation, residual)) continue;
          INFO(c10::toString(type) << ", batch statistics " << batch_statistics << ", activation " << static_cast<int>(activation) << ", residual " << residual);
          const NormAct settings{batch_statistics, 0.1, 1e-5, activation};
          const Tensors ours = draw({4, 20, 5, 7}, type, residual), alike = draw({4, 20, 5, 7}, type, residual);
          const Tensors theirs = type == at::kBFloat16 ? widened(alike) : alike;
          const at::Tensor y = fused(settings, ours), want = composition(settings, theirs);
          CHECK(y.is_contiguous(at::MemoryFormat::ChannelsLast));
          check_close("y", y, want, type);
          y.backward(ours.dy);
          want.backward(theirs.dy);
          check_close("dx", ours.x.grad(), theirs.x.grad(), type);
          check_close("dweight", ours.weight.grad(), theirs.weight.grad(), type, 20);  // sums over 140 pixels
          check_close("dbias", ours.bias.grad(), theirs.bias.grad(), type, 20);
          if (residual) check_close("dresidual", ours.residual.grad(), theirs.residual.grad(), type);
          const test::Tolerance statistics = type == at::kDouble ? test::Tolerance{.atol = 1e-12, .rtol = 1e-11} : test::Tolerance{.atol = 1e-6, .rtol = 1e-5};
          check_tensors("running mean", ours.mean.to(at::kDouble), theirs.mean.to(at::kDouble), statistics);
          check_tensors("running variance", ours.var.to(at::kDouble), theirs.var.to(at::kDouble), statistics);
        }
      }
    }
  }
}

TEST_CASE("norm_act: gradients equal central differences in double") {
  constexpr double kStep = 1e-6;
  for (const NormActivation activation : kActivations) {
    for (const bool residual : {false, true}) {
      if (!has_form(activation, residual)) continue;
      const NormAct settings{true, 0.1, 1e-5, activation};
      const Tensors t = draw({2, 3, 3, 2}, at::kDouble, residual);
      const auto loss = [&] { return (fused(settings, t) * t.dy).sum(); };
      loss().backward();
      const at::NoGradGuard no_grad;
      for (const auto& [name, leaf] : std::vector<std::pair<std::string, at::Tensor>>{{"x", t.x}, {"residual", t.residual}, {"weight", t.weight}, {"bias", t.bias}}) {
        if (!leaf.defined()) continue;
        double* values = leaf.mutable_data_ptr<double>();
        const at::Tensor gradient = leaf.grad().dim() == 4 ? leaf.grad().contiguous(at::MemoryFormat::ChannelsLast) : leaf.grad().contiguous();
        for (int64_t i = 0; i < leaf.numel(); ++i) {
          const double kept = values[i];
          values[i] = kept + kStep;
          const double above = loss().item<double>();
          values[i] = kept - kStep;
          const double below = loss().item<double>();
          values[i] = kept;
          INFO(name << " element " << i << ", activation " << static_cast<int>(activation) << ", residual " << residual);
          CHECK(gradient.const_data_ptr<double>()[i] == Approx((above - below) / (2 * kStep)).epsilon(1e-5).margin(1e-7));
        }
      }
    }
  }
}

TEST_CASE("norm_act: frozen weights and an input without gradient are left alone") {
  Tensors t = draw({2, 8, 3, 3}, at::kFloat, true);
  t.weight.requires_grad_(false);
  t.bias.requires_grad_(false);
  t.x.requires_grad_(false);
  fused({false, 0.1, 1e-5, NormActivation::kRelu}, t).sum().backward();
  CHECK(!t.x.grad().defined());
  CHECK(!t.weight.grad().defined());
  CHECK(t.residual.grad().defined());
}

TEST_CASE("norm_act: a gradient in another memory format is brought into order") {
  const Tensors ours = draw({2, 8, 3, 4}, at::kDouble, false), theirs = draw({2, 8, 3, 4}, at::kDouble, false);
  const NormAct settings{true, 0.1, 1e-5, NormActivation::kRelu};
  (fused(settings, ours).mean({2, 3}) * 3).sum().backward();
  (composition(settings, theirs).mean({2, 3}) * 3).sum().backward();
  check_tensors("dx", ours.x.grad(), theirs.x.grad(), {.atol = 1e-12, .rtol = 1e-10});
}

TEST_CASE("norm_act: says what it does not take") {
  const at::Tensor last = at::zeros({2, 8, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  CHECK(ops::norm_act_takes(last, {}, NormActivation::kHardswish));
  CHECK(ops::norm_act_takes(last, last, NormActivation::kRelu));
  CHECK(!ops::norm_act_takes(last, last, NormActivation::kHardswish));
  CHECK(!ops::norm_act_takes(last.contiguous(), {}, NormActivation::kRelu));
  CHECK(!ops::norm_act_takes(last, last.contiguous(), NormActivation::kRelu));
  CHECK(!ops::norm_act_takes(last, last.to(at::kDouble), NormActivation::kRelu));
  CHECK(!ops::norm_act_takes(last.to(at::kHalf), {}, NormActivation::kRelu));
  CHECK(!ops::norm_act_takes(at::zeros({0, 8, 3, 3}), {}, NormActivation::kRelu));
  const at::Tensor ones = at::ones({8});
  CHECK_THROWS_AS(ops::norm_act({}, last.contiguous(), ones, ones, ones, ones), Error);
  CHECK_THROWS_AS(ops::norm_act({}, last, at::ones({7}), ones, ones, ones), Error);
  CHECK_THROWS_AS(ops::norm_act({}, last, ones.to(at::kDouble), ones, ones, ones), Error);
  CHECK_THROWS_AS(ops::norm_act({}, last.slice(0, 0, 1).slice(2, 0, 1).slice(3, 0, 1), ones, ones, ones, ones), Error);  // one row
}
