#include "checkpoint/weights.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <algorithm>

#include "checkpoint/tensors.h"
#include "io/sha256.h"
#include "models/factory.h"
#include "models/library_names.h"
#include "models/module.h"
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

const LibraryNames& library_of(const std::vector<LibraryNames>& libraries, const std::string& name) {
  const auto found = std::find_if(libraries.begin(), libraries.end(), [&](const LibraryNames& library) { return library.library == name; });
  REQUIRE(found != libraries.end());
  return *found;
}

bool is_table(const std::string& name) { return name.ends_with("relative_position_index"); }

// The network as that library would write it: query, key and value apart.
NamedTensors renamed(const ImageClassifier& model, const Renaming& rename) {
  NamedTensors tensors;
  for (const auto& [name, tensor] : named_tensors(model)) {
    if (is_table(name)) continue;
    const std::vector<std::string> names = rename(name);
    REQUIRE(!names.empty());
    const std::vector<at::Tensor> parts = names.size() == 1 ? std::vector<at::Tensor>{tensor.detach()} : tensor.detach().chunk(static_cast<int64_t>(names.size()));
    for (size_t i = 0; i < names.size(); ++i) tensors.emplace_back(names[i], parts[i].clone());
  }
  return tensors;
}

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
  expect_error(ExitCode::kInput, "2 tensors are missing ('fc.weight', ...), 2 are unexpected ('a', ...)", [&] { require_complete(report, other, false, ""); });
  expect_error(ExitCode::kInput, "2 tensors are missing ('fc.weight', 'fc.bias'), 2 are unexpected ('a', 'b')", [&] { require_complete(report, other, true, ""); });
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

TEST_CASE("weights: other libraries' names are those that the libraries write") {
  // Number of tensors, and the start of the sha256 over their sorted names joined by newlines, without tables that follow from the
  // architecture. Recorded from torchvision 0.26.0's and timm 1.0.31's state_dict() and transformers 5.23.0's save_pretrained().
  struct Recorded {
    const char *arch, *library;
    size_t count;
    const char* sha256;
  };
  const std::vector<Recorded> recorded = {
      {"resnet50", "Hugging Face", 320, "f492016f5375df4e"},
      {"resnet18", "Hugging Face", 122, "851c1a223aa73474"},
      {"mobilenetv1_100", "Hugging Face", 164, "8dd16b71ec2ffb0e"},
      {"mobilenet_v2", "timm", 314, "774eac90f3f84515"},
      {"mobilenet_v2", "Hugging Face", 314, "10ba7d23be0c5106"},
      {"mobilenet_v3_large", "timm", 312, "a6e853478e86d976"},
      {"mobilenet_v3_small", "timm", 244, "d817e173b96505b2"},
      {"efficientnet_b0", "timm", 360, "5270d24522d5fef2"},
      {"efficientnet_b3", "timm", 574, "f0a0506525cb17d1"},
      {"efficientnet_b0", "Hugging Face", 360, "a4a30e76b631344e"},
      {"efficientnet_b3", "Hugging Face", 574, "1ea669e8c62fbcf4"},
      {"swin_t", "timm", 173, "fdf31d4eed2540fb"},
      {"swin_t", "Hugging Face", 221, "cd204cb2310f307c"},
      {"vit_base_patch16_224", "torchvision", 152, "efb732016fb37e2a"},
      {"vit_tiny_patch16_224", "Hugging Face", 200, "2462566ad7af6ebe"},
  };
  for (const Recorded& r : recorded) {
    INFO(r.arch << " of " << r.library);
    const auto model = make_model(describe(r.arch, 3, 1000));
    const std::vector<LibraryNames> libraries = other_libraries(*model);
    std::vector<std::string> names;
    for (const auto& [name, tensor] : named_tensors(*model)) {
      if (is_table(name)) continue;
      const std::vector<std::string> theirs = library_of(libraries, r.library).rename(name);
      INFO(name);
      CHECK(!theirs.empty());
      names.insert(names.end(), theirs.begin(), theirs.end());
    }
    std::sort(names.begin(), names.end());
    CHECK(names.size() == r.count);
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : "\n") + name;
    CHECK(sha256_hex(text).substr(0, 16) == r.sha256);
  }
}

TEST_CASE("weights: a file of another library gives the network that wrote it, and says whose names it has") {
  const test::TempDir dir;
  for (const char* arch : {"resnet18", "mobilenetv1_100", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "swin_t", "vit_tiny_patch16_224"}) {
    const auto written = make_model(describe(arch, 3, 5), 1);
    for (const LibraryNames& library : other_libraries(*written)) {
      INFO(arch << " of " << library.library);
      NamedTensors tensors = renamed(*written, library.rename);
      for (auto& [name, tensor] : tensors) {
        if (name == "conv_head.weight" && std::string(arch) == "mobilenet_v3_small") tensor = tensor.unsqueeze(2).unsqueeze(3);  // timm's is a convolution
      }
      const auto read = make_model(describe(arch, 3, 5), 2);
      const WeightsFile file(write_weights(dir / "weights.safetensors", tensors));
      const LoadReport report = load_weights(file, *read);
      CHECK(report.library == library.library);
      CHECK((report.is_complete() && !report.head_is_new));
      const NamedTensors want = named_tensors(*written), got = named_tensors(*read);
      for (size_t i = 0; i < want.size(); ++i) check_tensors(want[i].first, got[i].second, want[i].second);

      // For other classes all but the head.
      const auto other = make_model(describe(arch, 3, 7), 2);
      const LoadReport with_head = load_weights(file, *other);
      CHECK((with_head.is_complete() && with_head.head_is_new));
    }
    CHECK(load_weights(WeightsFile(write_weights(dir / "ours.safetensors", named_tensors(*written))), *written).library.empty());
  }
}

TEST_CASE("weights: a third of a joined tensor that is missing or of another shape is named as the file names it") {
  const test::TempDir dir;
  const auto model = make_model(describe("vit_tiny_patch16_224", 3, 5, {{"depth", 1}}), 1);
  const std::vector<LibraryNames> libraries = other_libraries(*model);
  NamedTensors tensors = renamed(*model, library_of(libraries, "Hugging Face").rename);
  const std::string key = "vit.encoder.layer.0.attention.attention.key.weight";
  const auto at_key = std::find_if(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == key; });
  REQUIRE(at_key != tensors.end());
  at_key->second = at::zeros({192, 191});
  expect_error(ExitCode::kInput, "attention.query.weight + vit.encoder", [&] { load_weights(WeightsFile(write_weights(dir / "shape.safetensors", tensors)), *model); });
  tensors.erase(at_key);
  const LoadReport report = load_weights(WeightsFile(write_weights(dir / "missing.safetensors", tensors)), *model);
  CHECK(report.missing == std::vector<std::string>{key});
  CHECK(report.unexpected.empty());
}

TEST_CASE("weights: a Swin with other windows in its index table is refused, under any library's name; one without is read") {
  const test::TempDir dir;
  const auto model = make_model(describe("swin_t", 3, 5), 1);
  const std::string table = "features.1.0.attn.relative_position_index";
  NamedTensors tensors;
  for (const auto& [name, tensor] : named_tensors(*model)) tensors.emplace_back(name, tensor.detach().clone());
  const auto read = [&] { load_weights(WeightsFile(write_weights(dir / "w.safetensors", tensors)), *model); };
  const auto at_table = std::find_if(tensors.begin(), tensors.end(), [&](const auto& entry) { return entry.first == table; });
  REQUIRE(at_table != tensors.end());
  const at::Tensor right = at_table->second;
  read();
  at_table->second = right.view({49, 49});  // timm's shape
  read();
  for (const at::Tensor& wrong : {right.index_fill(0, at::tensor({7}, at::kLong), 1 << 30), right.flip(0), right.slice(0, 0, 49), right.to(at::kFloat)}) {
    at_table->second = wrong.contiguous();
    expect_error(ExitCode::kInput, "'" + table + "' is not the table that follows from the network's windows", read);
  }
  tensors.erase(at_table);
  read();
}
