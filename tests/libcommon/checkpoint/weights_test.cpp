#include "checkpoint/weights.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include "checkpoint/tensors.h"
#include "tests/support/expect_error.h"
#include "tests/support/shared_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

std::filesystem::path write_weights(const std::filesystem::path& path, const NamedTensors& tensors) {
  save_weights(path, tensors);
  return path;
}

NamedTensors network() { return {{"conv.weight", at::zeros({2, 3})}, {"bn.num_batches_tracked", at::zeros({}, at::kLong)}, {"fc.weight", at::zeros({4, 2})}, {"fc.bias", at::zeros({4})}}; }

}  // namespace

TEST_CASE("weights: PyTorch's file and the same as safetensors give the same tensors") {
  const auto name = GENERATE(std::string("state_dict.pt"), std::string("checkpoint.pt"), std::string("state_dict_legacy.pt"));
  const WeightsFile file(test::source_folder() / "tests/libcommon/io/torch_files" / name);
  const at::Tensor whole = at::arange(24, at::kFloat).reshape({4, 6});
  CHECK(file.names().size() == 11);
  check_tensors("whole", file.tensor("whole"), whole);
  check_tensors("transposed", file.tensor("transposed"), whole.t().contiguous());
  CHECK(file.tensor("transposed").is_contiguous());
  check_tensors("part", file.tensor("part"), whole.slice(0, 1, 3).slice(1, 2, 4).contiguous());
  check_tensors("bfloat", file.tensor("bfloat"), at::tensor({1.0, -3.0}).reshape({1, 2}).to(at::kBFloat16));
  check_tensors("count", file.tensor("count"), at::tensor(7, at::kLong).reshape({}));
  CHECK(file.tensor("empty").sizes() == at::IntArrayRef({0, 3}));
}

TEST_CASE("weights: what fits is copied and converted, and the rest is reported") {
  const test::TempDir dir;
  NamedTensors state = network();
  const at::Tensor conv = at::randn({2, 3}), weight = at::randn({4, 2});
  // Half precision with a part in single precision, under DataParallel's names, from before num_batches_tracked.
  LoadReport report = load_weights(
      WeightsFile(write_weights(dir / "half.safetensors", {{"module.conv.weight", conv.to(at::kHalf)}, {"module.fc.weight", weight}, {"module.fc.bias", at::ones({4}, at::kHalf)}})), state, "fc.");
  CHECK((report.is_complete() && !report.head_is_new));
  check_tensors("conv", state[0].second, conv.to(at::kHalf).to(at::kFloat));
  check_tensors("fc", state[2].second, weight);

  // A head for other classes stays as it was, both of its tensors.
  state = network();
  report = load_weights(WeightsFile(write_weights(dir / "head.safetensors", {{"conv.weight", conv}, {"fc.weight", at::ones({7, 2})}, {"fc.bias", at::ones({4})}})), state, "fc.");
  CHECK((report.is_complete() && report.head_is_new));
  CHECK(state[2].second.sum().item<float>() == 0);
  CHECK(state[3].second.sum().item<float>() == 0);

  const WeightsFile other(write_weights(dir / "other.safetensors", {{"conv.weight", conv}, {"a", conv}, {"b", conv}}));
  report = load_weights(other, state, "fc.");
  CHECK(report.missing == std::vector<std::string>{"fc.weight", "fc.bias"});
  CHECK(report.unexpected == std::vector<std::string>{"a", "b"});
  expect_error(ExitCode::kInput, "2 tensors are missing ('fc.weight', ...), 2 are unexpected ('a', ...)", [&] { require_complete(report, other, false); });
  expect_error(ExitCode::kInput, "2 tensors are missing ('fc.weight', 'fc.bias'), 2 are unexpected ('a', 'b')", [&] { require_complete(report, other, true); });
}

TEST_CASE("weights: shapes and types that do not fit, and files that are none, are refused by name") {
  const test::TempDir dir;
  const NamedTensors state = network();
  expect_error(ExitCode::kInput, "'conv.weight' is of shape [3, 2], expected [2, 3]",
               [&] { load_weights(WeightsFile(write_weights(dir / "shape.safetensors", {{"conv.weight", at::zeros({3, 2})}})), state, "fc."); });
  expect_error(ExitCode::kInput, "'conv.weight' is of type Long, expected Float",
               [&] { load_weights(WeightsFile(write_weights(dir / "type.safetensors", {{"conv.weight", at::zeros({2, 3}, at::kLong)}})), state, "fc."); });
  expect_error(ExitCode::kInput, "manifest.json", [&] { WeightsFile(std::filesystem::path(dir / "")); });
  expect_error(ExitCode::kInput, "none.pth", [&] { WeightsFile(dir / "none.pth"); });
}
