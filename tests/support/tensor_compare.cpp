#include "tests/support/tensor_compare.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <catch2/catch.hpp>

namespace fettle::test {
namespace {

std::string shape_text(const at::Tensor& tensor) { return fmt::format("{} [{}]", c10::toString(tensor.scalar_type()), fmt::join(tensor.sizes().vec(), ", ")); }

std::string place(int64_t flat, at::IntArrayRef shape) {
  std::string text;
  for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
    text = fmt::format("{}{}", flat % *size, text.empty() ? "" : ", " + text);
    flat /= *size;
  }
  return "[" + text + "]";
}

std::string first_place(const at::Tensor& differs) { return place(differs.reshape({-1}).to(at::kByte).argmax().item<int64_t>(), differs.sizes()); }

}  // namespace

std::string compare_tensors(const at::Tensor& got_in, const at::Tensor& want_in, Tolerance tolerance, const at::Tensor& scale) {
  if (!got_in.defined() || !want_in.defined()) return "a tensor is undefined";
  if (got_in.scalar_type() != want_in.scalar_type() || got_in.sizes() != want_in.sizes()) {
    return fmt::format("got {}, want {}", shape_text(got_in), shape_text(want_in));
  }
  const at::Tensor got = got_in.detach().cpu().contiguous(), want = want_in.detach().cpu().contiguous();
  if (got.numel() == 0) return "";
  if (!got.is_floating_point()) {
    const at::Tensor differs = got != want;
    // Without a tolerance integers are equal or not, whatever their size.
    if (tolerance.atol == 0 && tolerance.rtol == 0 && differs.any().item<bool>()) return "integers differ, first at " + first_place(differs);
  }
  const at::Tensor a = got.to(at::kDouble), b = want.to(at::kDouble);
  struct Class { const char* name; at::Tensor differs; };
  for (const Class& c : {Class{"NaN", a.isnan() != b.isnan()}, Class{"+inf", a.isposinf() != b.isposinf()}, Class{"-inf", a.isneginf() != b.isneginf()}}) {
    if (c.differs.any().item<bool>()) {
      return fmt::format("{} on one side only at {} of {} places, first at {}", c.name, c.differs.sum().item<int64_t>(), a.numel(), first_place(c.differs));
    }
  }
  const at::Tensor finite = b.isfinite();
  const at::Tensor difference = at::where(finite, (a - b).abs(), at::zeros({}, at::kDouble));
  const at::Tensor allowed = tolerance.atol + tolerance.rtol * (scale.defined() ? scale.detach().cpu().to(at::kDouble).expand(b.sizes()) : at::where(finite, b.abs(), at::zeros({}, at::kDouble)));
  const at::Tensor bad = (difference <= allowed).logical_not();  // a NaN tolerance passes nothing
  if (!bad.any().item<bool>()) return "";
  const int64_t worst = at::where(bad, (difference - allowed).nan_to_num(1e300), at::full({}, -1, at::kDouble)).reshape({-1}).argmax().item<int64_t>();
  return fmt::format("{} of {} differ, worst at {}: got {:.17g}, want {:.17g}, difference {:.3g}, allowed {:.3g}", bad.sum().item<int64_t>(), a.numel(),
                     place(worst, a.sizes()), a.reshape({-1})[worst].item<double>(), b.reshape({-1})[worst].item<double>(),
                     difference.reshape({-1})[worst].item<double>(), allowed.reshape({-1})[worst].item<double>());
}

void check_tensors(const std::string& what, const at::Tensor& got, const at::Tensor& want, Tolerance tolerance, const at::Tensor& scale) {
  const std::string difference = compare_tensors(got, want, tolerance, scale);
  INFO(what << ": " << difference);
  CHECK(difference.empty());
}

}  // namespace fettle::test
