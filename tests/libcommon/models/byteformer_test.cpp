// Properties of ByteFormer; values against the public code are golden cases.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>

#include "device/cuda_modules.h"
#include "models/byte_stem.h"
#include "models/byteformer.h"
#include "models/module.h"
#include "tests/support/expect_error.h"
#include "tests/support/skip.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;
using nlohmann::json;

namespace {

at::Tensor randn(at::IntArrayRef shape, uint64_t seed) { return at::empty(shape, at::kDouble).normal_(0, 1, at::detail::createCPUGenerator(seed)); }

at::Tensor random_file(int64_t length, uint64_t seed) { return at::randint(256, {length}, at::detail::createCPUGenerator(seed), at::TensorOptions(at::kByte)); }

std::vector<at::Tensor> random_files(const std::vector<int64_t>& lengths, uint64_t seed = 100) {
  std::vector<at::Tensor> files;
  for (const int64_t length : lengths) files.push_back(random_file(length, ++seed));
  return files;
}

const json kSmall = {{"width", 24}, {"num_layers", 4}, {"num_heads", 2}, {"ffn_width", 40}, {"kernel", 8}, {"windows", 8}, {"merges", {0, 2}}, {"max_tokens", 200}};

json with(json base, const json& more) {
  base.update(more);
  return base;
}

// Norms, biases and the classifier at random as well, so that none of them could be left out unseen.
std::shared_ptr<ByteFormer> random_model(const json& overrides, at::ScalarType type = at::kDouble, int64_t num_classes = 5) {
  auto model = make_byteformer(byteformer_description("bf_custom", num_classes, overrides), 3);
  const at::NoGradGuard no_grad;
  uint64_t seed = 1000;
  for (const auto& [name, tensor] : named_parameters(*model)) {
    if (tensor.dim() == 1) tensor.detach().add_(randn(tensor.sizes(), ++seed).to(tensor.scalar_type()), 0.3);
  }
  convert_floating(*model, type);
  model->eval();
  return model;
}

at::Tensor logits_of(ByteFormer& model, const std::vector<at::Tensor>& files) {
  const at::NoGradGuard no_grad;
  return model.forward(pack_bytes(files));
}

std::map<std::string, at::Tensor> by_name(const Module& module) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& [name, tensor] : named_tensors(module)) tensors[name] = tensor;
  return tensors;
}

}  // namespace

TEST_CASE("byteformer: a file's logits depend on nothing else in the batch, nor on padding") {
  for (const json& more : {json::object(), json{{"windows", 6}, {"kernel", 5}}, json{{"windows", {4, 16, 3, 8}}, {"shifts", {1, 8, 0, 7}}}}) {
    const auto model = random_model(with(kSmall, more));
    const std::vector<at::Tensor> files = random_files({203, 1, 150, 31, 64, 7});
    const at::Tensor together = logits_of(*model, files);
    // Matrix products of other shapes add up in another order.
    const test::Tolerance rounding{.atol = 1e-12};
    for (size_t i = 0; i < files.size(); ++i) check_tensors(fmt::format("file {} alone", i), logits_of(*model, {files[i]})[0], together[static_cast<int64_t>(i)], rounding);
    check_tensors("reversed", logits_of(*model, {files.rbegin(), files.rend()}).flip(0), together, rounding);
    const at::NoGradGuard no_grad;
    PackedBytes padded = pack_bytes(files);
    padded.padded_length = 1000;
    CHECK(model->forward(padded).equal(together));
    if (more.empty()) CHECK((together[0] - together[2]).abs().max().item<double>() > 1e-3);  // files do matter
  }
}

TEST_CASE("byteformer: in mode reference padding counts, as in the public code") {
  const auto model = random_model(with(kSmall, {{"masks", "reference"}}));
  const std::vector<at::Tensor> files = random_files({203, 150});
  CHECK((logits_of(*model, files)[1] - logits_of(*model, {files[1]})[0]).abs().max().item<double>() > 1e-4);
}

TEST_CASE("byteformer: permuted bytes with permuted embedding rows give the same bits") {
  const auto model = random_model(kSmall, at::kFloat);
  const std::vector<at::Tensor> files = random_files({203, 150, 31});
  const at::Tensor before = logits_of(*model, files);
  const at::Tensor permutation = at::randperm(256, at::detail::createCPUGenerator(5));
  const at::Tensor embeddings = by_name(*model).at("embeddings.weight").detach();
  embeddings.narrow(0, 0, 256).index_copy_(0, permutation, embeddings.narrow(0, 0, 256).clone());
  std::vector<at::Tensor> permuted;
  for (const at::Tensor& file : files) permuted.push_back(permutation.index_select(0, file.to(at::kLong)).to(at::kByte));
  CHECK(logits_of(*model, permuted).equal(before));
  CHECK(!logits_of(*model, files).equal(before));
}

TEST_CASE("byteformer: the stem is embedding and convolution, gradients included") {
  for (const int64_t kernel : {2, 3, 8}) {
    const int64_t channels = 6, stride = kernel / 2;
    const std::vector<at::Tensor> files = random_files({37, 1, 16});
    const PackedBytes packed = pack_bytes(files);
    std::vector<int64_t> tokens;
    for (const at::Tensor& file : files) tokens.push_back((file.numel() + stride - 1) / stride);
    const std::vector<at::Tensor> inputs = {randn({257, channels}, 1), randn({channels, channels, kernel}, 2), randn({40, channels}, 3)};
    inputs[0][256].zero_();
    for (const at::Tensor& input : inputs) input.requires_grad_(true);
    const at::Tensor got = byte_stem(packed.bytes, packed.offsets, tokens, inputs[0], inputs[1], inputs[2]);
    std::vector<at::Tensor> rows;
    for (size_t i = 0; i < files.size(); ++i) {
      const at::Tensor padded = at::constant_pad_nd(files[i].to(at::kLong), {0, (tokens[i] - 1) * stride + kernel - files[i].numel()}, 256);
      const at::Tensor embedded = at::embedding(inputs[0], padded, /*padding_idx=*/256);
      rows.push_back(at::conv1d(embedded.t().unsqueeze(0), inputs[1], {}, stride).squeeze(0).t() + inputs[2].narrow(0, 0, tokens[i]));
    }
    const at::Tensor want = at::cat(rows), weights = randn(want.sizes(), 4);
    check_tensors("tokens", got, want, {.atol = 1e-12});
    const auto gradients = [&](const at::Tensor& out) {
      for (const at::Tensor& input : inputs) input.mutable_grad() = at::Tensor();
      (out * weights).sum().backward();
      return std::vector<at::Tensor>{inputs[0].grad(), inputs[1].grad(), inputs[2].grad()};
    };
    const std::vector<at::Tensor> ours = gradients(got), theirs = gradients(want);
    for (size_t i = 0; i < ours.size(); ++i) check_tensors(fmt::format("gradient {}", i), ours[i], theirs[i], {.atol = 1e-12});
  }
}

TEST_CASE("byteformer: tokens of different windows do not see each other, those of one do") {
  // Behind a layer without merging everything is a sum over tokens, so that what two changes do adds up exactly when no token sees both.
  const auto interaction = [](int64_t shift, int64_t first, int64_t second) {
    json overrides = with(kSmall, {{"num_layers", 1}, {"merges", json::array()}, {"shifts", shift}, {"kernel", 2}});
    const auto model = random_model(overrides);
    const at::Tensor file = random_file(29, 8);
    const auto changed = [&](bool one, bool other) {
      const at::Tensor copy = file.clone();
      if (one) copy[first].bitwise_xor_(85);
      if (other) copy[second].bitwise_xor_(85);
      return logits_of(*model, {copy});
    };
    return (changed(true, true) - changed(true, false) - changed(false, true) + changed(false, false)).abs().max().item<double>();
  };
  CHECK(interaction(0, 8, 14) > 1e-6);       // token i covers bytes i and i + 1: tokens 7..8 and 13..14, window 8..15
  CHECK(interaction(0, 6, 8 + 1) < 1e-13);   // tokens 5..6 and 8..9
  CHECK(interaction(4, 1, 3) > 1e-6);        // the first four
  CHECK(interaction(4, 6, 9 + 1) > 1e-6);    // 4..11
  CHECK(interaction(4, 3, 5) < 1e-13);
  CHECK(interaction(4, 1, 28) < 1e-13);      // nothing wraps from the end to the start
  CHECK(interaction(16, 6, 9) < 1e-13);      // whole windows are no shift
  CHECK(interaction(16, 9, 14) > 1e-6);
}

TEST_CASE("byteformer: windows are cut at the shift, then at every window") {
  using Lengths = std::vector<int64_t>;
  CHECK(window_segments(8, 4, 2) == Lengths{2, 4, 2});
  CHECK(window_segments(8, 4, 0) == Lengths{4, 4});
  CHECK(window_segments(9, 4, 0) == Lengths{4, 4, 1});
  CHECK(window_segments(1, 4, 2) == Lengths{1});
  CHECK(window_segments(2, 4, 2) == Lengths{2});
  CHECK(window_segments(7, 32, 64) == Lengths{7});
}

TEST_CASE("byteformer: merging takes the first token's channel, then the second's, channel by channel, zeros beside an odd last token") {
  // Blocks of zeros add nothing, so that what is merged are the stem's tokens.
  const json overrides = {{"width", 2}, {"num_layers", 1}, {"num_heads", 1}, {"kernel", 2}, {"merges", {0}}, {"max_tokens", 3}};
  const auto model = make_byteformer(byteformer_description("bf_custom", 2, overrides));
  convert_floating(*model, at::kDouble);
  auto tensors = by_name(*model);
  const at::NoGradGuard no_grad;
  tensors.at("embeddings.weight")[7] = at::tensor({1.0, 2.0}, at::kDouble);
  tensors.at("embeddings.weight")[9] = at::tensor({3.0, 4.0}, at::kDouble);
  tensors.at("token_reduction_net.weight").select(2, 0).copy_(at::eye(2, at::kDouble));
  const at::Tensor reduction = at::tensor({0.001, 0.01, 0.1, 1.0, 0.5, 0.25, 0.125, 0.75}, at::kDouble).view({2, 4});
  tensors.at("downsamplers.downsample_0.reduction.weight").copy_(reduction);
  tensors.at("downsamplers.downsample_0.norm.weight").copy_(at::tensor({2.0, 3.0}, at::kDouble));
  tensors.at("post_transformer_norm.weight").fill_(1);
  tensors.at("classifier.weight").copy_(at::eye(2, at::kDouble));
  const auto norm = [](const at::Tensor& x) { return at::layer_norm(x, {2}, {}, {}, 1e-5); };
  const auto merged = [&](std::vector<double> pair) { return norm(norm(at::mv(reduction, at::tensor(pair, at::kDouble))) * at::tensor({2.0, 3.0}, at::kDouble)); };
  const auto file = [](std::vector<int64_t> bytes) { return at::tensor(bytes, at::kLong).to(at::kByte); };
  check_tensors("a pair", logits_of(*model, {file({7, 9})})[0], merged({1, 3, 2, 4}), {.atol = 1e-14});
  check_tensors("three", logits_of(*model, {file({7, 9, 9})})[0], (merged({1, 3, 2, 4}) + merged({3, 0, 4, 0})) / 2, {.atol = 1e-14});
}

TEST_CASE("byteformer: numbers of parameters") {
  const std::map<std::string, int64_t> published = {{"bf_tiny", 6615592}, {"bf_small", 25911400}, {"bf_base", 102546664}};  // without positions
  for (const auto& [arch, count] : published) {
    const ByteFormerDescription d = byteformer_description(arch, 1000, json::object());
    CHECK(d.max_tokens == 10000);
    CHECK(num_parameters(*make_byteformer(d)) == count + d.max_tokens * d.width);
    CHECK(byteformer_parameters(d) == count + d.max_tokens * d.width);
  }
  CHECK(byteformer_parameters(byteformer_description("bf_tiny", 1000, {{"kernel", 32}, {"max_tokens", 9415}})) == 9013096);
}

TEST_CASE("byteformer: tokens and multiply-adds are those of the published table") {
  struct Row {
    int64_t bytes, kernel;
    std::vector<int64_t> tokens;  // at layers 0, 1, 2, 4, 6, 8, 10
    double stem, linear, attention, merging, total;  // in units of 1e9, rounded
  };
  const std::vector<Row> rows = {{150528, 32, {9407, 4704, 2352, 1176, 588, 294, 147}, 11.10, 10.70, 1.19, 0.68, 23.7},  {150668, 32, {9415, 4708, 2354, 1177, 589, 295, 148}, 11.11, 10.70, 1.19, 0.68, 23.7},
                                 {150864, 32, {9428, 4714, 2357, 1179, 590, 295, 148}, 11.12, 10.70, 1.19, 0.68, 23.7},  {48564, 8, {12140, 6070, 3035, 1518, 759, 380, 190}, 3.58, 13.42, 1.49, 0.88, 19.4},
                                 {64058, 32, {4002, 2001, 1001, 501, 251, 126, 63}, 4.72, 4.53, 0.50, 0.29, 10.0},       {15052, 4, {7525, 3763, 1882, 941, 471, 236, 118}, 1.11, 8.44, 0.94, 0.55, 11.0}};
  for (const Row& row : rows) {
    INFO(row.bytes << " bytes");
    const json overrides = {{"kernel", row.kernel}, {"masks", "reference"}};
    const ByteFormerCost cost = byteformer_cost(byteformer_description("bf_tiny", 1000, overrides), row.bytes);
    CHECK(std::vector<int64_t>{cost.tokens[0], cost.tokens[1], cost.tokens[2], cost.tokens[4], cost.tokens[6], cost.tokens[8], cost.tokens[10]} == row.tokens);
    CHECK(static_cast<double>(cost.stem) * 1e-9 == Approx(row.stem).margin(0.0051));
    CHECK(static_cast<double>(cost.linear) * 1e-9 == Approx(row.linear).margin(0.0051));
    CHECK(static_cast<double>(cost.attention) * 1e-9 == Approx(row.attention).margin(0.0051));
    CHECK(static_cast<double>(cost.merging) * 1e-9 == Approx(row.merging).margin(0.0051));
    CHECK(static_cast<double>(cost.multiply_adds()) * 1e-9 == Approx(row.total).margin(0.051));
    // Without padding a little less; one token more where the last bytes fill no window.
    const ByteFormerCost correct = byteformer_cost(byteformer_description("bf_tiny", 1000, {{"kernel", row.kernel}}), row.bytes);
    CHECK(correct.tokens[0] - row.tokens[0] <= 2);
    CHECK(correct.linear < cost.linear);
    CHECK(correct.attention < cost.attention);
  }
  // The layer of 129 tokens: 129 rows in a window of 128 and one of 1.
  const ByteFormerCost one = byteformer_cost(byteformer_description("bf_tiny", 10, {{"num_layers", 1}, {"kernel", 2}, {"merges", json::array()}}), 129);
  CHECK(one.linear == 129 * 12 * 192 * 192);
  CHECK(one.attention == 2 * (128 * 128 + 1) * 192);
}

TEST_CASE("byteformer: a token is counted where one of its bytes exists") {
  const auto model = make_byteformer(byteformer_description("bf_tiny", 2, json::object()));
  PackedBytes files = pack_bytes({random_file(129, 1)});
  CHECK(model->tokens_of_files(files) == std::vector<int64_t>{17});
  files.padded_length = 256;
  CHECK(model->tokens_of_files(files) == std::vector<int64_t>{17});
  CHECK(make_byteformer(byteformer_description("bf_tiny", 2, {{"masks", "reference"}}))->tokens_of_files(files) == std::vector<int64_t>{31});
}

TEST_CASE("byteformer: descriptions resolve their lists, and JSON gives them back") {
  const ByteFormerDescription huge = byteformer_description("bf_huge", 10, json::object());
  CHECK(huge.windows == std::vector<int64_t>(32, 128));
  CHECK(huge.shifts[0] == 0);
  CHECK(huge.shifts[31] == 64);
  CHECK(huge.merges == std::vector<int64_t>{2, 5, 10, 15, 21, 26});
  CHECK(huge.ffn_width == 5120);
  CHECK(byteformer_description("bf_tiny", 10, json::object()).merges == std::vector<int64_t>{0, 1, 3, 5, 7, 9});
  const ByteFormerDescription small = byteformer_description("bf_custom", 10, {{"windows", 32}, {"num_layers", 6}, {"width", 64}, {"num_heads", 4}, {"positions", "interpolated"}, {"dropout", 0.1}});
  CHECK(small.shifts == std::vector<int64_t>{0, 16, 0, 16, 0, 16});
  CHECK(small.merges == std::vector<int64_t>{0, 1, 2, 3, 4});
  CHECK(small.ffn_width == 256);
  for (const ByteFormerDescription& d : {huge, small}) CHECK(to_json(byteformer_description_from_json(to_json(d))) == to_json(d));
  CHECK(!to_json(small).contains("in_channels"));
  CHECK(make_byteformer(small)->description().windows == std::vector<int64_t>(6, 32));
}

TEST_CASE("byteformer: wrong descriptions say what is wrong") {
  const auto fails = [](const json& overrides, const std::string& part) {
    INFO(overrides);
    expect_error(ExitCode::kUsage, part, [&] { byteformer_description("bf_tiny", 10, overrides); });
  };
  fails({{"num_heads", 5}}, "width 192 is no multiple of num_heads 5");
  fails({{"windows", {128, 128}}}, "windows has 2 entries for 12 layers");
  fails({{"shifts", {0, 64, 0}}}, "shifts has 3 entries for 12 layers");
  fails({{"shifts", 200}}, "a shift of 200 is neither less than the window of 128");
  fails({{"merges", {3, 1}}}, "merges must ascend, found 1 after 3");
  fails({{"merges", {12}}}, "merges names layer 12 of 12");
  fails({{"windows", {128, "x"}}}, "windows must be integers");
  fails({{"kernel", 1}}, "kernel must be an integer of 2");
  fails({{"masks", "none"}}, "masks must be 'correct' or 'reference'");
  fails({{"layer_norm", "public"}}, "goes with masks 'reference'");
  fails({{"window", 3}}, "unknown key 'window'");
  json damaged = to_json(byteformer_description("bf_tiny", 10, json::object()));
  damaged["windows"] = {128};
  expect_error(ExitCode::kInput, "windows has 1 entries", [&] { byteformer_description_from_json(damaged); });
  damaged.erase("windows");
  expect_error(ExitCode::kInput, "'windows' is missing", [&] { byteformer_description_from_json(damaged); });
}

TEST_CASE("byteformer: files that it cannot take are named with the numbers") {
  const auto model = random_model(with(kSmall, {{"max_tokens", 20}}));
  expect_error(ExitCode::kInput, "file 1 of the batch has 21 tokens (81 bytes, kernel 8); the position table has 20 rows", [&] { model->forward(pack_bytes(random_files({80, 81}))); });
  expect_error(ExitCode::kInput, "file 0 of the batch is empty", [&] { model->forward(pack_bytes(random_files({0, 81}))); });
  const auto reference = random_model(with(kSmall, {{"masks", "reference"}}));
  expect_error(ExitCode::kInput, "7 bytes with masks 'reference'; a token needs the kernel's 8", [&] { reference->forward(pack_bytes(random_files({7, 3}))); });
}

TEST_CASE("byteformer: a short position table is interpolated where asked, for longer files only") {
  const auto table = random_model(with(kSmall, {{"max_tokens", 20}})), interpolated = random_model(with(kSmall, {{"max_tokens", 20}, {"positions", "interpolated"}}));
  const std::vector<at::Tensor> files = random_files({80, 203, 40});
  const at::Tensor together = logits_of(*interpolated, files);
  check_tensors("short files", together.index_select(0, at::tensor({0, 2}, at::kLong)), logits_of(*table, {files[0], files[2]}), {.atol = 1e-12});
  // The same file with a table that holds the interpolated rows.
  const auto longer = random_model(with(kSmall, {{"max_tokens", 51}}));
  const at::NoGradGuard no_grad;
  auto from = by_name(*interpolated), to = by_name(*longer);
  for (auto& [name, tensor] : to) {
    if (name != "pos_embed.pos_embed.pos_embed") tensor.copy_(from.at(name));
  }
  const at::Tensor rows = from.at("pos_embed.pos_embed.pos_embed").squeeze(0).squeeze(0);
  for (int64_t i = 0; i < 51; ++i) {
    const double place = std::max(0.0, (static_cast<double>(i) + 0.5) * 20 / 51 - 0.5);
    const auto low = static_cast<int64_t>(place);
    const double share = place - static_cast<double>(low);
    to.at("pos_embed.pos_embed.pos_embed")[0][0][i] = rows[low] * (1 - share) + rows[std::min<int64_t>(low + 1, 19)] * share;
  }
  check_tensors("long file", together[1], logits_of(*longer, {files[1]})[0], {.atol = 1e-12});
}

TEST_CASE("byteformer: short files get fewer merges, so that eight tokens remain") {
  const auto merges = [](int64_t num_bytes, int64_t kernel) {
    ByteFormerDescription d = byteformer_description("bf_tiny", 10, {{"kernel", kernel}});
    leave_out_merges(d, num_bytes);
    return d.merges;
  };
  CHECK(merges(784, 4) == std::vector<int64_t>{0, 1, 3, 5, 7});  // 392 tokens, 13 after five merges
  CHECK(merges(150668, 32).size() == 6);
  CHECK(merges(8 * 64 * 2, 4).size() == 6);
  CHECK(merges(7 * 64 * 2, 4).size() == 5);
  CHECK(merges(3, 4).empty());
}

TEST_CASE("byteformer: initial weights are the public code's distributions, a function of the seed") {
  const json overrides = {{"width", 128}, {"num_layers", 2}, {"num_heads", 2}, {"merges", {0}}, {"max_tokens", 300}};
  const auto one = make_byteformer(byteformer_description("bf_custom", 50, overrides), 1), again = make_byteformer(byteformer_description("bf_custom", 50, overrides), 1),
             other = make_byteformer(byteformer_description("bf_custom", 50, overrides), 2);
  auto same = by_name(*again), different = by_name(*other);
  for (const auto& [name, tensor] : named_tensors(*one)) {
    INFO(name);
    CHECK(tensor.equal(same.at(name)));
    if (tensor.dim() == 1) {
      CHECK((tensor == (name.ends_with("bias") ? 0 : 1)).all().item<bool>());
      continue;
    }
    CHECK(!tensor.equal(different.at(name)));
    const bool is_table = name == "embeddings.weight" || tensor.dim() == 4;
    const double bound = tensor.dim() == 3 ? 1 / std::sqrt(128.0 * 16) : std::sqrt(6.0 / static_cast<double>(tensor.size(0) + tensor.size(1)));
    const double deviation = is_table ? std::sqrt(1.0 / 128) : bound / std::sqrt(3.0);
    // Of at least 6,400 numbers: the deviation's own deviation is below 1 %.
    const at::Tensor drawn = name == "embeddings.weight" ? tensor.narrow(0, 0, 256) : tensor;
    CHECK(drawn.std().item<double>() == Approx(deviation).epsilon(0.04));
    CHECK(std::abs(drawn.mean().item<double>()) < 0.05 * deviation);
    if (!is_table) CHECK(drawn.abs().max().item<double>() <= bound);
  }
  CHECK(same.at("embeddings.weight")[256].abs().max().item<double>() == 0);
}

TEST_CASE("byteformer: gradients equal central differences in double, in both modes") {
  for (const char* masks : {"correct", "reference"}) {
    const auto model = random_model({{"width", 8}, {"num_layers", 3}, {"num_heads", 2}, {"ffn_width", 12}, {"kernel", 4}, {"windows", 4}, {"merges", {0, 1}}, {"max_tokens", 20}, {"masks", masks}});
    const PackedBytes files = pack_bytes(random_files({37, 9, 22}));
    const at::Tensor labels = at::tensor({4, 0, 2}, at::kLong);
    const auto loss = [&] { return at::cross_entropy_loss(model->forward(files), labels); };
    loss().backward();
    const at::NoGradGuard no_grad;
    constexpr double kStep = 1e-6;
    int moved = 0;
    for (const auto& [name, tensor] : named_parameters(*model)) {
      const auto* byte = files.bytes.const_data_ptr<uint8_t>();
      const bool is_embedding = name == "embeddings.weight";
      for (const int64_t index : {is_embedding ? byte[5] * 8 + 3 : tensor.numel() / 3, is_embedding ? byte[60] * 8 : 2 * tensor.numel() / 3}) {
        double* value = tensor.mutable_data_ptr<double>() + index;
        const double kept = *value;
        *value = kept + kStep;
        const double above = loss().item<double>();
        *value = kept - kStep;
        const double below = loss().item<double>();
        *value = kept;
        INFO(masks << " " << name << " element " << index);
        const double gradient = tensor.grad().contiguous().const_data_ptr<double>()[index];
        CHECK(gradient == Approx((above - below) / (2 * kStep)).epsilon(1e-4).margin(1e-8));
        moved += std::abs(gradient) > 1e-6;
      }
    }
    CHECK(moved > 60);
    CHECK(by_name(*model).at("embeddings.weight").grad()[256].abs().max().item<double>() == 0);
  }
}

TEST_CASE("byteformer: dropout and stochastic depth act in training alone and follow the generator") {
  for (const json& more : {json{{"dropout", 0.3}}, json{{"stochastic_depth", 0.7}}, json{{"dropout", 0.2}, {"stochastic_depth", 0.5}}}) {
    const auto model = random_model(with(kSmall, more)), plain = random_model(kSmall);
    const std::vector<at::Tensor> files = random_files({203, 150, 31, 80});
    CHECK(logits_of(*model, files).equal(logits_of(*plain, files)));
    model->train();
    plain->train();
    const auto drawn = [&](uint64_t seed) {
      at::manual_seed(seed);
      return logits_of(*model, files);
    };
    const at::Tensor first = drawn(1);
    CHECK(first.equal(drawn(1)));
    CHECK(!first.equal(drawn(2)));
    CHECK(!first.equal(logits_of(*plain, files)));
  }
}

TEST_CASE("byteformer: 64 files of random bytes and labels are learned by heart") {
  const auto model = make_byteformer(byteformer_description("bf_custom", 8, {{"width", 48}, {"num_layers", 3}, {"num_heads", 3}, {"kernel", 4}, {"windows", 8}, {"merges", {0, 1}}, {"max_tokens", 48}}), 1);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < 64; ++i) lengths.push_back(40 + i * 7 % 50);
  const PackedBytes files = pack_bytes(random_files(lengths));
  const at::Tensor labels = at::randint(8, {64}, at::detail::createCPUGenerator(3), at::TensorOptions(at::kLong));
  const Module::Named parameters = named_parameters(*model);
  std::vector<at::Tensor> first, second;
  for (const auto& [name, tensor] : parameters) first.push_back(at::zeros_like(tensor)), second.push_back(at::zeros_like(tensor));
  double accuracy = 0;
  for (int step = 1; step <= 150 && accuracy < 1; ++step) {
    const at::Tensor logits = model->forward(files);
    accuracy = (logits.argmax(1) == labels).to(at::kFloat).mean().item<double>();
    at::cross_entropy_loss(logits, labels).backward();
    const at::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters.size(); ++i) {  // Adam
      at::Tensor tensor = parameters[i].second;
      first[i].lerp_(tensor.grad(), 0.1);
      second[i].lerp_(tensor.grad().square(), 0.01);
      const at::Tensor root = (second[i] / (1 - std::pow(0.99, step))).sqrt_().add_(1e-8);
      tensor.detach().addcdiv_(first[i], root, -3e-3 / (1 - std::pow(0.9, step)));
      tensor.mutable_grad() = at::Tensor();
    }
  }
  CHECK(accuracy == 1);
}

TEST_CASE("byteformer on CUDA: the CPU's answers and gradients") {
  if (cuda_table() == nullptr) return test::skip("no CUDA device");
  const std::vector<at::Tensor> files = random_files({80, 3, 1000, 250});
  const at::Tensor labels = at::tensor({0, 1, 2, 3}, at::kLong);
  for (const char* masks : {"correct", "reference"}) {
    INFO(masks);
    const auto on_cpu = random_model(with(kSmall, {{"max_tokens", 300}, {"masks", masks}}), at::kFloat), on_gpu = random_model(with(kSmall, {{"max_tokens", 300}, {"masks", masks}}), at::kFloat);
    move_to_device(*on_gpu, c10::Device("cuda:0"));
    const at::Tensor want = on_cpu->forward(pack_bytes(files)), got = on_gpu->forward(pack_bytes(files));
    check_tensors("logits", got.detach().cpu(), want.detach(), {.atol = 1e-4, .rtol = 1e-4});
    at::cross_entropy_loss(want, labels).backward();
    at::cross_entropy_loss(got, labels.to(got.device())).backward();
    const auto gpu = named_parameters(*on_gpu);
    size_t i = 0;
    for (const auto& [name, tensor] : named_parameters(*on_cpu)) check_tensors(name, gpu[i++].second.grad().cpu(), tensor.grad(), {.atol = 1e-4, .rtol = 1e-3});
  }
}
