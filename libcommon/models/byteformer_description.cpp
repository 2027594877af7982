// Descriptions of ByteFormer and what follows from them without a tensor.
#include <algorithm>
#include <array>

#include "base/errors.h"
#include "models/byteformer.h"
#include "models/description_json.h"

namespace fettle {
namespace {

struct Size {
  const char* arch;
  int64_t width, num_layers, num_heads;
};
constexpr Size kSizes[] = {{"bf_tiny", 192, 12, 3}, {"bf_small", 384, 12, 6}, {"bf_base", 768, 12, 12}, {"bf_huge", 1280, 32, 20}, {"bf_custom", 192, 12, 3}};

constexpr int64_t kMlpRatio = 4;
constexpr std::array<int64_t, 6> kMergedOf12 = {1, 2, 4, 6, 8, 10};  // layers, counted from 1

std::vector<int64_t> usual_merges(int64_t num_layers) {
  std::vector<int64_t> merges;
  for (const int64_t layer : kMergedOf12) {
    const int64_t index = (layer * num_layers + 11) / 12 - 1;
    if (merges.empty() || merges.back() != index) merges.push_back(index);
  }
  return merges;
}

void spread(std::vector<int64_t>& list, int64_t num_layers) {
  if (list.size() == 1) list.resize(static_cast<size_t>(num_layers), list.front());
}

bool merges_after(const ByteFormerDescription& d, int64_t layer) { return std::binary_search(d.merges.begin(), d.merges.end(), layer); }

}  // namespace

bool ByteFormerDescription::has_arch(const std::string& arch) { return find_arch(kSizes, arch) != nullptr; }

std::string ByteFormerDescription::fault() const {
  if (width % num_heads != 0) return fmt::format("width {} is no multiple of num_heads {}", width, num_heads);
  for (const auto& [name, list] : {std::pair{"windows", &windows}, std::pair{"shifts", &shifts}}) {
    if (static_cast<int64_t>(list->size()) != num_layers) return fmt::format("{} has {} entries for {} layers", name, list->size(), num_layers);
  }
  for (size_t i = 0; i < windows.size(); ++i) {
    if (shifts[i] >= windows[i] && shifts[i] % windows[i] != 0) {
      return fmt::format("layer {}: a shift of {} is neither less than the window of {} nor a multiple of it", i, shifts[i], windows[i]);
    }
    if (layer_norm == "public" && windows[i] == width) return fmt::format("layer_norm 'public' is not known for windows as long as the width {}", width);
  }
  for (size_t i = 0; i < merges.size(); ++i) {
    if (merges[i] >= num_layers) return fmt::format("merges names layer {} of {}, counted from 0", merges[i], num_layers);
    if (i > 0 && merges[i] <= merges[i - 1]) return fmt::format("merges must ascend, found {} after {}", merges[i], merges[i - 1]);
  }
  if (layer_norm == "public" && masks != "reference") return "layer_norm 'public' goes with masks 'reference' only";
  return "";
}

ByteFormerDescription byteformer_description(const std::string& arch, int64_t num_classes, const nlohmann::json& overrides) {
  const Size* size = find_arch(kSizes, arch);
  FT_CHECK(size != nullptr, "{}", arch);
  ByteFormerDescription d{.arch = arch, .num_classes = num_classes, .width = size->width, .num_layers = size->num_layers, .num_heads = size->num_heads};
  d.windows = {128};
  std::vector<std::string> keys;
  ByteFormerDescription::fields(d, [&](const char* name, const auto&...) { keys.emplace_back(name); });
  const DescriptionReader reader(overrides, keys, DescriptionReader::Keys::kSome, ExitCode::kUsage);
  ByteFormerDescription::fields(d, [&](const char* name, auto& value, const auto&... limits) { reader.read(name, value, limits...); });

  if (!overrides.contains("ffn_width")) d.ffn_width = kMlpRatio * d.width;
  spread(d.windows, d.num_layers);
  if (!overrides.contains("shifts")) {
    for (size_t i = 0; i < d.windows.size(); ++i) d.shifts.push_back(i % 2 == 0 ? 0 : d.windows[i] / 2);
  }
  spread(d.shifts, d.num_layers);
  if (!overrides.contains("merges")) d.merges = usual_merges(d.num_layers);
  require_no_fault(d, ExitCode::kUsage);
  return d;
}

void leave_out_merges(ByteFormerDescription& description, int64_t num_bytes) {
  int64_t tokens = description.num_tokens(num_bytes);
  size_t kept = 0;
  for (; kept < description.merges.size() && (tokens + 1) / 2 >= kMinMergedTokens; ++kept) tokens = (tokens + 1) / 2;
  description.merges.resize(kept);
}

nlohmann::json to_json(const ByteFormerDescription& description) { return description_to_json(description); }

ByteFormerDescription byteformer_description_from_json(const nlohmann::json& json) { return description_from_json<ByteFormerDescription>(json); }

int64_t byteformer_parameters(const ByteFormerDescription& d) {
  const int64_t norm = 2 * d.width, block = 4 * d.width * d.width + 4 * d.width + 2 * d.width * d.ffn_width + d.width + d.ffn_width + 2 * norm;
  return (kByteVocabulary + d.max_tokens) * d.width + d.width * d.width * d.kernel + static_cast<int64_t>(d.merges.size()) * (2 * d.width * d.width + norm) + d.num_layers * block + norm +
         d.num_classes * (d.width + 1);
}

ByteFormerCost byteformer_cost(const ByteFormerDescription& d, int64_t num_bytes) {
  const bool reference = d.masks == "reference";
  ByteFormerCost cost;
  int64_t n = reference ? std::max(num_bytes - d.kernel, int64_t{0}) / d.stride() + 1 : d.num_tokens(num_bytes);
  cost.stem = n * d.kernel * d.width * d.width;
  for (int64_t i = 0; i < d.num_layers; ++i) {
    cost.tokens.push_back(n);
    const auto layer = static_cast<size_t>(i);
    const int64_t window = d.windows[layer], rows = reference ? (n + window - 1) / window * window : n;
    cost.linear += rows * (4 * d.width * d.width + 2 * d.width * d.ffn_width);
    int64_t pairs = 0;  // of rows that see each other
    if (reference) {
      pairs = rows * window;
    } else {
      for (const int64_t length : window_segments(n, window, d.shifts[layer])) pairs += length * length;
    }
    cost.attention += 2 * pairs * d.width;
    cost.activation_bytes += 4 * rows * (6 * d.width + d.ffn_width + d.num_heads);
    if (!merges_after(d, i)) continue;
    n = (n + 1) / 2;
    cost.merging += n * 2 * d.width * d.width;
    cost.activation_bytes += 4 * n * 3 * d.width;  // the pairs and their product
  }
  return cost;
}

std::vector<int64_t> window_segments(int64_t num_tokens, int64_t window, int64_t shift) {
  std::vector<int64_t> segments;
  const int64_t first = std::min(shift % window, num_tokens), rest = num_tokens - first;
  if (first > 0) segments.push_back(first);
  segments.insert(segments.end(), static_cast<size_t>(rest / window), window);
  if (rest % window > 0) segments.push_back(rest % window);
  return segments;
}

}  // namespace fettle
