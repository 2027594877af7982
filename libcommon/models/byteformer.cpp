#include "models/byteformer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/errors.h"
#include "models/byte_stem.h"
#include "models/layers.h"
#include "models/weight_draws.h"
#include "ops/matrix_products.h"
#include "ops/transformer_block.h"

namespace fettle {
namespace {

constexpr double kEps = 1e-5;

// One parameter under a name.
class Table : public Module {
 public:
  Table(const std::string& name, at::IntArrayRef shape) : weight(register_parameter(name, at::zeros(shape))) {}
  const at::Tensor weight;
};

// A module around another.
class Holder : public Module {
 public:
  template <typename M>
  std::shared_ptr<M> add(const std::string& name, std::shared_ptr<M> module) {
    return register_module(name, std::move(module));
  }
};

class Block : public Module {
 public:
  explicit Block(const ByteFormerDescription& d) {
    const auto mha = register_module("pre_norm_mha", std::make_shared<ModuleList>());
    const auto norm1 = mha->append(std::make_shared<LayerNorm>(d.width, kEps));
    const auto attention = mha->append(std::make_shared<Holder>());
    const auto qkv = attention->add("qkv_proj", std::make_shared<Linear>(d.width, 3 * d.width));
    const auto out = attention->add("out_proj", std::make_shared<Linear>(d.width, d.width));
    const auto ffn = register_module("pre_norm_ffn", std::make_shared<ModuleList>());
    const auto norm2 = ffn->append(std::make_shared<LayerNorm>(d.width, kEps));
    const auto fc1 = ffn->append(std::make_shared<Linear>(d.width, d.ffn_width));
    ffn->skip();  // GELU
    ffn->skip();  // dropout
    const auto fc2 = ffn->append(std::make_shared<Linear>(d.ffn_width, d.width));
    tensors_ = {norm1->weight, norm1->bias, qkv->weight, qkv->bias, out->weight, out->bias, norm2->weight, norm2->bias, fc1->weight, fc1->bias, fc2->weight, fc2->bias, d.num_heads, kEps};
  }
  at::Tensor forward(const at::Tensor& x, const std::vector<int64_t>& segments, const ops::BranchFactors& factors) const { return ops::transformer_block(tensors_, x, segments, factors); }

 private:
  ops::TransformerBlock tensors_;
};

// Packed tokens of files, in mode "reference" equally many of each.
struct Tokens {
  at::Tensor rows;             // [T, C]
  std::vector<int64_t> counts; // of each file, together T
  int64_t num_files() const { return static_cast<int64_t>(counts.size()); }
};

// CoreNet's layer norm of what it takes for channels first: x: [B, C, N].
at::Tensor channel_first_norm(const at::Tensor& x, const LayerNorm& norm) {
  const auto [deviation, mean] = at::std_mean(x, at::IntArrayRef{1}, /*unbiased=*/false, /*keepdim=*/true);
  return (x - mean) / (deviation + kEps) * norm.weight.view({1, -1, 1}) + norm.bias.view({1, -1, 1});
}

at::Tensor norm_tokens(const Tokens& tokens, const LayerNorm& norm, bool public_norm) {
  const int64_t width = norm.weight.size(0);
  if (!public_norm || tokens.counts.front() != width) return norm.forward(tokens.rows);
  return channel_first_norm(tokens.rows.view({tokens.num_files(), width, width}), norm).view({-1, width});
}

class Merging : public Module {
 public:
  explicit Merging(int64_t width)
      : reduction_(register_module("reduction", std::make_shared<Linear>(2 * width, width, /*with_bias=*/false))), norm_(register_module("norm", std::make_shared<LayerNorm>(width, kEps))) {}

  Tokens forward(const Tokens& tokens, bool public_norm) const {
    const int64_t width = tokens.rows.size(1);
    Tokens merged{evened(tokens).view({-1, 2 * width}), tokens.counts};
    for (int64_t& count : merged.counts) count = (count + 1) / 2;
    // Input 2 * channel + position of the public weights, here position * width + channel.
    const at::Tensor weight = reduction_->weight.view({width, width, 2}).transpose(1, 2).reshape({width, 2 * width});
    const int64_t count = merged.rows.size(0), padding = ops::padded_rows(count) - count;
    merged.rows = ops::linear(padding > 0 ? at::constant_pad_nd(merged.rows, {0, 0, 0, padding}) : merged.rows, weight, {}).narrow(0, 0, count);
    if (merged.rows.scalar_type() != norm_->weight.scalar_type()) merged.rows = merged.rows.to(norm_->weight.scalar_type());  // of autocast
    merged.rows = norm_tokens(merged, *norm_, public_norm);
    return merged;
  }

 private:
  // A row of zeros after each file of an odd number.
  static at::Tensor evened(const Tokens& tokens) {
    if (std::all_of(tokens.counts.begin(), tokens.counts.end(), [](int64_t count) { return count % 2 == 0; })) return tokens.rows;
    const at::Tensor zeros = at::zeros({1, tokens.rows.size(1)}, tokens.rows.options());
    std::vector<at::Tensor> parts;
    const std::vector<at::Tensor> files = tokens.rows.split_with_sizes(tokens.counts);
    for (size_t i = 0; i < files.size(); ++i) {
      parts.push_back(files[i]);
      if (tokens.counts[i] % 2 != 0) parts.push_back(zeros);
    }
    return at::cat(parts);
  }

  std::shared_ptr<Linear> reduction_;
  std::shared_ptr<LayerNorm> norm_;
};

class Network : public ByteFormer {
 public:
  explicit Network(const ByteFormerDescription& d) : description_(d), reference_(d.masks == "reference"), public_norm_(d.layer_norm == "public") {
    FT_CHECK(ByteFormerDescription::has_arch(d.arch) && d.fault().empty(), "{} {}", d.arch, d.fault());
    embeddings_ = register_module("embeddings", std::make_shared<Table>("weight", at::IntArrayRef{kByteVocabulary, d.width}));
    convolution_ = register_module("token_reduction_net", std::make_shared<Table>("weight", at::IntArrayRef{d.width, d.width, d.kernel}));
    const auto position_holder = register_module("pos_embed", std::make_shared<Holder>());
    positions_ = position_holder->add("pos_embed", std::make_shared<Table>("pos_embed", at::IntArrayRef{1, 1, d.max_tokens, d.width}));
    const auto downsamplers = register_module("downsamplers", std::make_shared<Holder>());
    const auto transformer = register_module("transformer", std::make_shared<ModuleList>());
    mergings_.resize(static_cast<size_t>(d.num_layers));
    for (const int64_t layer : d.merges) mergings_[static_cast<size_t>(layer)] = downsamplers->add(fmt::format("downsample_{}", layer), std::make_shared<Merging>(d.width));
    for (int64_t i = 0; i < d.num_layers; ++i) blocks_.push_back(transformer->append(std::make_shared<Block>(d)));
    norm_ = register_module("post_transformer_norm", std::make_shared<LayerNorm>(d.width, kEps));
    classifier_ = register_module("classifier", std::make_shared<Linear>(d.width, d.num_classes));
  }

  const ByteFormerDescription& description() const override { return description_; }

  at::Tensor forward(const PackedBytes& files) override { return classify(embed(files), tokens_of_files(files)); }

  std::vector<int64_t> tokens_of_files(const PackedBytes& files) const override {
    const int64_t num_files = files.size(), stride = description_.stride(), kernel = description_.kernel;
    FT_CHECK(num_files > 0 && files.offsets.front() == 0 && files.offsets.back() == files.bytes.numel() && files.bytes.scalar_type() == at::kByte, "not packed bytes");
    int64_t longest = 0;
    for (int64_t i = 0; i < num_files; ++i) {
      FT_REQUIRE(files.length(i) > 0, "file {} of the batch is empty; ByteFormer needs at least one byte", i);
      longest = std::max(longest, files.length(i));
    }
    FT_CHECK(files.padded_length == 0 || files.padded_length >= longest, "{} bytes padded to {}", longest, files.padded_length);
    const int64_t padded = files.padded_length > 0 ? files.padded_length : longest, whole = padded < kernel ? 0 : (padded - kernel) / stride + 1;
    std::vector<int64_t> counts;
    for (int64_t i = 0; i < num_files; ++i) {
      int64_t count = description_.num_tokens(files.length(i));
      if (reference_) count = whole;
      else if (files.padded_length > 0) count = std::min(count, whole);
      FT_REQUIRE(count > 0, "{} bytes with masks '{}'; a token needs the kernel's {}", padded, description_.masks, kernel);
      if (description_.positions == "truncated") count = std::min(count, description_.max_tokens);
      FT_REQUIRE(count <= description_.max_tokens || description_.positions == "interpolated", "file {} of the batch has {} tokens ({} bytes, kernel {}); the position table has {} rows", i, count,
                 files.length(i), kernel, description_.max_tokens);
      counts.push_back(count);
    }
    return counts;
  }

  at::Tensor embed(const PackedBytes& files) override {
    std::vector<int64_t> counts = tokens_of_files(files);
    const bool in_table = *std::max_element(counts.begin(), counts.end()) <= description_.max_tokens;
    if (in_table && !reference_) return dropped(stem(files, counts, positions()));
    const std::vector<int64_t> all = counts;
    for (int64_t i = 0; i < files.size(); ++i) counts[static_cast<size_t>(i)] = std::min(counts[static_cast<size_t>(i)], description_.num_tokens(files.length(i)));
    at::Tensor rows = stem(files, counts, {});
    if (counts != all) rows = padded_to(rows, counts, all);
    return dropped(rows + embed_places(all));
  }

  at::Tensor embed_places(const std::vector<int64_t>& counts) const override {
    std::vector<at::Tensor> places;
    for (const int64_t count : counts) places.push_back(positions_of(count));
    return at::cat(places);
  }

  at::Tensor classify(const at::Tensor& rows, const std::vector<int64_t>& counts) override {
    Tokens tokens{rows, counts};
    for (size_t i = 0; i < blocks_.size(); ++i) {
      tokens.rows = reference_ ? padded_block(i, tokens) : blocks_[i]->forward(tokens.rows, segments(i, tokens.counts), factors(i, tokens.counts, rows));
      if (mergings_[i]) tokens = mergings_[i]->forward(tokens, public_norm_);
    }
    const at::Tensor lengths = at::tensor(tokens.counts, at::kLong).to(rows.device());
    const at::Tensor means = at::segment_reduce(norm_tokens(tokens, *norm_, public_norm_), "mean", lengths);
    return classifier_->forward(means);
  }

  void initialise(uint64_t seed) override {
    const WeightDraws draws(seed);
    const auto width = static_cast<double>(description_.width);
    for (StateEntry& entry : state_dict(*this)) {
      const at::Tensor& t = entry.tensor;
      if (entry.name == "token_reduction_net.weight") {
        draws.uniform(entry.name, t, 1 / std::sqrt(width * static_cast<double>(description_.kernel)));
      } else if (entry.name == "embeddings.weight") {
        draws.normal(entry.name, t, 1 / std::sqrt(width));
        draws.constant(t.detach().narrow(0, kByteVocabulary - 1, 1), 0);
      } else if (t.dim() == 4) {
        draws.normal(entry.name, t, 1 / std::sqrt(width));  // positions
      } else if (t.dim() == 2) {
        draws.uniform(entry.name, t, std::sqrt(6 / static_cast<double>(t.size(0) + t.size(1))));
      } else {
        draws.constant(t, entry.name.ends_with("bias") ? 0 : 1);
      }
    }
  }

 private:
  at::Tensor positions() const { return positions_->weight.view({description_.max_tokens, description_.width}); }

  at::Tensor positions_of(int64_t count) const {
    if (count <= description_.max_tokens) return positions().narrow(0, 0, count);
    return at::upsample_linear1d(positions().t().unsqueeze(0), {count}, /*align_corners=*/false).squeeze(0).t();
  }

  at::Tensor stem(const PackedBytes& files, const std::vector<int64_t>& counts, const at::Tensor& positions) const {
    return byte_stem(files.bytes, files.offsets, counts, embeddings_->weight, convolution_->weight, positions);
  }

  at::Tensor dropped(const at::Tensor& rows) const { return at::dropout(rows, description_.dropout, is_training()); }

  static at::Tensor padded_to(const at::Tensor& rows, const std::vector<int64_t>& counts, const std::vector<int64_t>& all) {
    std::vector<at::Tensor> parts;
    const std::vector<at::Tensor> files = rows.split_with_sizes(counts);
    for (size_t i = 0; i < files.size(); ++i) {
      parts.push_back(files[i]);
      if (all[i] > counts[i]) parts.push_back(at::zeros({all[i] - counts[i], rows.size(1)}, rows.options()));
    }
    return at::cat(parts);
  }

  std::vector<int64_t> segments(size_t layer, const std::vector<int64_t>& counts) const {
    std::vector<int64_t> all;
    for (const int64_t count : counts) {
      const std::vector<int64_t> own = window_segments(count, description_.windows[layer], description_.shifts[layer]);
      all.insert(all.end(), own.begin(), own.end());
    }
    return all;
  }

  // Stochastic depth of whole files and dropout of single numbers, of both branches.
  ops::BranchFactors factors(size_t layer, const std::vector<int64_t>& counts, const at::Tensor& like) const {
    const double dropout = description_.dropout;
    const double drop = description_.num_layers > 1 ? description_.stochastic_depth * static_cast<double>(layer) / static_cast<double>(description_.num_layers - 1) : 0;
    if (!is_training() || (dropout == 0 && drop == 0)) return {};
    const auto kept = [&](at::IntArrayRef shape, double probability) { return at::empty(shape, like.options().requires_grad(false)).bernoulli_(1 - probability).div_(1 - probability); };
    const int64_t num_rows = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    const auto branch = [&] {
      at::Tensor factor;
      if (drop > 0) factor = at::repeat_interleave(kept({static_cast<int64_t>(counts.size()), 1}, drop), at::tensor(counts, at::kLong).to(like.device()), 0);
      if (dropout > 0) {
        const at::Tensor numbers = kept({num_rows, description_.width}, dropout);
        factor = factor.defined() ? factor * numbers : numbers;
      }
      return factor;
    };
    ops::BranchFactors both;
    both.attention = branch();
    both.ffn = branch();
    return both;
  }

  // Windows as the public code has them: zeros at the end of each file, and the shift a rotation.
  at::Tensor padded_block(size_t layer, const Tokens& tokens) const {
    const int64_t count = tokens.counts.front(), window = description_.windows[layer], shift = description_.shifts[layer], width = description_.width;
    const int64_t num_windows = (count + window - 1) / window, padded = num_windows * window;
    at::Tensor x = at::constant_pad_nd(tokens.rows.view({tokens.num_files(), count, width}), {0, 0, 0, padded - count});
    if (shift > 0) x = at::roll(x, -shift, 1);
    const std::vector<int64_t> windows(static_cast<size_t>(tokens.num_files() * num_windows), window), of_file(tokens.counts.size(), padded);
    x = blocks_[layer]->forward(x.reshape({-1, width}), windows, factors(layer, of_file, x)).view({tokens.num_files(), padded, width});
    if (shift > 0) x = at::roll(x, shift, 1);
    return x.narrow(1, 0, count).reshape({-1, width});
  }

  const ByteFormerDescription description_;
  const bool reference_, public_norm_;
  std::shared_ptr<Table> embeddings_, convolution_, positions_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::vector<std::shared_ptr<Merging>> mergings_;  // null where none follows the layer
  std::shared_ptr<LayerNorm> norm_;
  std::shared_ptr<Linear> classifier_;
};

}  // namespace

std::shared_ptr<ByteFormer> make_byteformer(const ByteFormerDescription& description) { return std::make_shared<Network>(description); }

std::shared_ptr<ByteFormer> make_byteformer(const ByteFormerDescription& description, uint64_t seed) {
  auto model = make_byteformer(description);
  model->initialise(seed);
  return model;
}

}  // namespace fettle
