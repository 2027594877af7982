#include "byteformer-train/saliency.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/errors.h"
#include "base/human.h"
#include "train/memory.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kTokensAtOnce = 8192;      // points of short files are computed together
constexpr int64_t kTokensSpread = 1 << 16;   // a block of tokens whose attributions are spread onto bytes
constexpr int64_t kFirstPieces = 8;
constexpr double kLeastShare = 1.0 / 32;     // of the gap that is allowed, for each of the shortest pieces
constexpr size_t kRowsOfText = 16;

at::Tensor tensor_named(const ByteFormer& model, const std::string& name) {
  const Module::Named all = named_tensors(model);
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& entry) { return entry.first == name; });
  FT_CHECK(found != all.end(), "ByteFormer has no {}", name);
  return found->second.detach();
}

// F of each of the files in a row of logits.
at::Tensor margins(const at::Tensor& logits, const Saliency& of) { return of.runner_up < 0 ? logits.select(1, of.answer) : logits.select(1, of.answer) - logits.select(1, of.runner_up); }

// What each byte has of sum over t of gradient[t] . (token t - its place). gradient: [T, C].
std::vector<double> spread_onto_bytes(const ByteFormer& model, const at::Tensor& bytes, const at::Tensor& gradient) {
  const int64_t kernel = model.description().kernel, stride = model.description().stride(), length = bytes.numel();
  const at::Tensor embedding = tensor_named(model, "embeddings.weight").narrow(0, 0, 256), convolution = tensor_named(model, "token_reduction_net.weight");
  const at::Tensor index = bytes.to(gradient.device()).to(at::kLong);
  at::Tensor of_bytes = at::zeros({length}, gradient.options().dtype(at::kDouble));
  for (int64_t j = 0; j < std::min(kernel, length); ++j) {
    const at::Tensor rows = at::mm(embedding, convolution.select(2, j).t());  // what a byte of each value adds to a token's width
    const at::Tensor values = index.slice(0, j, length, stride);              // of byte j of each token
    at::Tensor sums = of_bytes.slice(0, j, length, stride);
    const int64_t tokens = std::min(values.size(0), gradient.size(0));
    for (int64_t first = 0; first < tokens; first += kTokensSpread) {
      const int64_t count = std::min(kTokensSpread, tokens - first);
      sums.narrow(0, first, count).add_((rows.index_select(0, values.narrow(0, first, count)) * gradient.narrow(0, first, count)).sum({1}, /*keepdim=*/false, at::kDouble));
    }
  }
  of_bytes = of_bytes.cpu();
  return {of_bytes.const_data_ptr<double>(), of_bytes.const_data_ptr<double>() + length};
}

std::string percent(double share) { return fmt::format("{:.1f}", 100 * share); }

}  // namespace

Saliency integrated_gradients(ByteFormer& model, std::span<const uint8_t> bytes, const std::string& name, const SaliencyOptions& options, const std::function<void(int64_t)>& progress) {
  FT_CHECK(!model.is_training(), "dropout would be explained too");
  const at::Tensor packed = at::from_blob(const_cast<uint8_t*>(bytes.data()), {static_cast<int64_t>(bytes.size())}, at::kByte);
  const PackedBytes file{packed, {0, packed.numel()}};
  Saliency result;
  at::Tensor places, line;
  int64_t num_tokens = 0;
  {
    const at::NoGradGuard no_grad;
    const std::vector<int64_t> counts = model.tokens_of_files(file);
    num_tokens = counts[0];
    const at::Tensor tokens = model.embed(file);
    places = model.embed_places(counts);
    line = tokens - places;
    const at::Tensor logits = model.classify(at::cat({tokens, places}), {num_tokens, num_tokens}).to(at::kFloat);
    if (!logits.isfinite().all().item<bool>()) FT_FAIL(ExitCode::kNumbers, "{}: the network's answer is not a number", name);
    const at::Tensor probabilities = logits[0].softmax(0);
    const auto [values, classes] = probabilities.topk(std::min<int64_t>(2, probabilities.size(0)));
    result.answer = classes[0].item<int64_t>();
    result.probability = values[0].item<double>();
    if (classes.size(0) > 1) {
      result.runner_up = classes[1].item<int64_t>();
      result.runner_up_probability = values[1].item<double>();
    }
    result.baseline_answer = logits[1].argmax().item<int64_t>();
    const at::Tensor ends = margins(logits, result);
    result.margin = ends[0].item<double>();
    result.baseline_margin = ends[1].item<double>();
  }
  const auto at_once = static_cast<size_t>(std::max<int64_t>(1, kTokensAtOnce / num_tokens));
  const auto needed = static_cast<uint64_t>(byteformer_cost(model.description(), packed.numel()).activation_bytes), available = available_memory(line.device());
  if (needed > available) FT_FAIL(ExitCode::kMachine, "{}: the gradients of its {} tokens take about {} of memory, and {} are free", name, with_thousands(num_tokens), human_bytes(needed), human_bytes(available));

  // Tokens at places on the line, as many files.
  const auto at_places = [&](std::span<const double> on_line) {
    std::vector<at::Tensor> files;
    for (const double s : on_line) files.push_back(at::add(places, line, s));
    return at::cat(files);
  };
  const auto margins_of = [&](const at::Tensor& tokens, size_t num_files) { return margins(model.classify(tokens, std::vector<int64_t>(num_files, num_tokens)).to(at::kFloat), result); };
  struct Piece {
    double begin, end, change;  // of F from begin to end
  };
  // `parts` equal pieces of each, and what F does over them.
  const auto cut = [&](const std::vector<Piece>& pieces, int64_t parts) {
    std::vector<double> edges;
    for (const Piece& piece : pieces) {
      for (int64_t i = 0; i <= parts; ++i) edges.push_back(piece.begin + (piece.end - piece.begin) * static_cast<double>(i) / static_cast<double>(parts));
    }
    const at::NoGradGuard no_grad;
    std::vector<double> values;
    for (size_t first = 0; first < edges.size(); first += at_once) {
      const std::span<const double> some = std::span(edges).subspan(first, std::min(at_once, edges.size() - first));
      const at::Tensor found = margins_of(at_places(some), some.size()).to(at::kDouble).cpu();
      values.insert(values.end(), found.const_data_ptr<double>(), found.const_data_ptr<double>() + found.numel());
    }
    std::vector<Piece> cuts;
    for (size_t i = 0; i + 1 < edges.size(); ++i) {
      if ((i + 1) % static_cast<size_t>(parts + 1) != 0) cuts.push_back({edges[i], edges[i + 1], values[i + 1] - values[i]});
    }
    return cuts;
  };

  const double wanted = result.margin - result.baseline_margin, allowed = options.allowed_gap(result);
  at::Tensor gradient = at::zeros_like(line);
  for (std::vector<Piece> pieces = cut({{0, 1, wanted}}, kFirstPieces); !pieces.empty();) {
    std::vector<Piece> missed;
    const bool last = result.points + static_cast<int64_t>(4 * pieces.size()) > options.max_points;  // no room for three of each
    for (size_t first = 0; first < pieces.size(); first += at_once) {
      const size_t count = std::min(at_once, pieces.size() - first);
      std::vector<double> middles;
      for (size_t i = 0; i < count; ++i) middles.push_back((pieces[first + i].begin + pieces[first + i].end) / 2);
      const at::AutoGradMode with_gradients(true);
      const at::Tensor x = at_places(middles).detach().requires_grad_(true);
      margins_of(x, count).sum().backward({}, std::nullopt, false, at::TensorList({x}));
      const std::vector<at::Tensor> of_middles = x.grad().split(num_tokens);
      for (size_t i = 0; i < count; ++i) {
        const Piece& piece = pieces[first + i];
        const double length = piece.end - piece.begin, found = length * (of_middles[i] * line).sum(at::kDouble).item<double>();
        if (!std::isfinite(found)) FT_FAIL(ExitCode::kNumbers, "{}: the network's gradients are not numbers", name);
        if (last || std::abs(found - piece.change) <= allowed * std::max(length, kLeastShare)) {
          gradient.add_(of_middles[i], length);
        } else {
          missed.push_back(piece);
        }
      }
      progress(result.points += static_cast<int64_t>(count));
    }
    pieces = missed.empty() ? missed : cut(missed, 3);
  }
  const at::NoGradGuard no_grad;
  result.of_bytes = spread_onto_bytes(model, packed, gradient);
  result.completeness_gap = std::accumulate(result.of_bytes.begin(), result.of_bytes.end(), 0.0) - wanted;
  return result;
}

std::vector<RegionShare> shares_of(const Explanation& explanation) {
  std::vector<RegionShare> shares;
  double all = 0;
  for (const Region& region : explanation.regions) {
    RegionShare share{.of_file = static_cast<double>(region.size()) / static_cast<double>(explanation.of_bytes.size())};
    for (size_t i = region.begin; i < region.end; ++i) {
      share.attribution += explanation.of_bytes[i];
      share.of_attribution += std::abs(explanation.of_bytes[i]);
    }
    share.per_byte = share.of_attribution / static_cast<double>(region.size());
    all += share.of_attribution;
    shares.push_back(share);
  }
  for (RegionShare& share : shares) share.of_attribution = all > 0 ? share.of_attribution / all : 0;
  return shares;
}

Json to_json(const Explanation& e) {
  const Saliency& s = e.saliency;
  const auto class_name = [&](int64_t c) { return e.class_names[static_cast<size_t>(c)]; };
  Json json = {{"model_id", e.model_id}, {"file", e.file}, {"format", e.format}, {"bytes", e.of_bytes.size()}, {"bytes_read", e.bytes_read}, {"class", class_name(s.answer)}, {"probability", s.probability},
               {"method", "integrated gradients of the margin, from no bytes"}, {"points", s.points}, {"margin", s.margin}, {"baseline_margin", s.baseline_margin}, {"baseline_class", class_name(s.baseline_answer)},
               {"completeness_gap", s.completeness_gap}, {"regions", Json::array()}};
  if (s.runner_up >= 0) json.update({{"runner_up", class_name(s.runner_up)}, {"runner_up_probability", s.runner_up_probability}});
  const std::vector<RegionShare> shares = shares_of(e);
  for (size_t i = 0; i < e.regions.size(); ++i) {
    const Region& region = e.regions[i];
    json["regions"].push_back({{"name", region.name}, {"kind", region_kind_name(region.kind)}, {"begin", region.begin}, {"end", region.end}, {"share_of_file", shares[i].of_file},
                               {"share_of_attribution", shares[i].of_attribution}, {"attribution", shares[i].attribution}, {"attribution_per_byte", shares[i].per_byte}});
  }
  return json;
}

std::string to_text(const Explanation& e) {
  const Saliency& s = e.saliency;
  std::string text = fmt::format("{}: {}, {} bytes\n{} {:.3f}", e.file, e.format, with_thousands(static_cast<int64_t>(e.of_bytes.size())), e.class_names[static_cast<size_t>(s.answer)], s.probability);
  if (s.runner_up >= 0) text += fmt::format(", rather than {} {:.3f}", e.class_names[static_cast<size_t>(s.runner_up)], s.runner_up_probability);
  text += fmt::format("\nmargin {:+.3f} logits, without bytes {:+.3f}, where the answer is {}\n\n       bytes  of file, %  of attribution, %    logits  region\n", s.margin, s.baseline_margin,
                      e.class_names[static_cast<size_t>(s.baseline_answer)]);
  const std::vector<RegionShare> shares = shares_of(e);
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (order.size() > kRowsOfText) {  // those with the largest shares, as the file has them
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return shares[a].of_attribution > shares[b].of_attribution; });
    order.resize(kRowsOfText);
    std::sort(order.begin(), order.end());
  }
  for (const size_t i : order) {
    text += fmt::format("{:>12}  {:>10}  {:>17}  {:>+8.3f}  {}\n", with_thousands(static_cast<int64_t>(e.regions[i].size())), percent(shares[i].of_file), percent(shares[i].of_attribution),
                        shares[i].attribution, e.regions[i].name);
  }
  if (shares.size() > order.size()) text += fmt::format("and {} regions with smaller shares\n", shares.size() - order.size());
  return text;
}

}  // namespace fettle::byteformer
