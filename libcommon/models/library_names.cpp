#include "models/library_names.h"

#include <fmt/format.h>

#include <span>

namespace fettle {
namespace {

using Names = std::vector<std::string>;

struct Prefix {
  const char *ours, *theirs;
};

// name with the first of the prefixes that begins it exchanged; empty when none does.
std::string exchanged(const std::string& name, std::span<const Prefix> prefixes) {
  for (const Prefix& prefix : prefixes) {
    if (name.starts_with(prefix.ours)) return prefix.theirs + name.substr(std::string(prefix.ours).size());
  }
  return "";
}

// Reads "features.12.conv.0.0.weight" by "features.#.conv.": the numbers, and what follows.
struct Match {
  std::vector<int64_t> numbers;
  std::string rest;
};
bool match(const std::string& pattern, const std::string& name, Match& found) {
  found.numbers.clear();
  size_t at = 0;
  for (const char c : pattern) {
    if (c != '#') {
      if (at == name.size() || name[at++] != c) return false;
      continue;
    }
    const size_t begin = at;
    while (at < name.size() && name[at] >= '0' && name[at] <= '9') ++at;
    if (at == begin) return false;
    found.numbers.push_back(std::stoll(name.substr(begin, at - begin)));
  }
  found.rest = name.substr(at);
  return true;
}

// A name built from a part that may be unknown.
Names one(const std::string& head, const std::string& tail) { return tail.empty() ? Names{} : Names{head + tail}; }

// What transformers keeps apart.
Names query_key_value(const std::string& head, const std::string& tail) { return {head + "query." + tail, head + "key." + tail, head + "value." + tail}; }

// Block number of all -> (stage, block of the stage).
std::pair<int64_t, int64_t> staged(int64_t block, const std::vector<int64_t>& depths) {
  int64_t stage = 0;
  while (stage + 1 < static_cast<int64_t>(depths.size()) && block >= depths[static_cast<size_t>(stage)]) block -= depths[static_cast<size_t>(stage++)];
  return {stage, block};
}
int64_t flat(int64_t stage, int64_t block, const std::vector<int64_t>& depths) {
  for (int64_t i = 0; i < stage; ++i) block += depths[static_cast<size_t>(i)];
  return block;
}

Names resnet_in_transformers(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"conv1.", "resnet.embedder.embedder.convolution."}, {"bn1.", "resnet.embedder.embedder.normalization."}, {"fc.", "classifier.1."}};
  static constexpr Prefix kBlock[] = {{"conv1.", "layer.0.convolution."}, {"bn1.", "layer.0.normalization."}, {"conv2.", "layer.1.convolution."},
                                      {"bn2.", "layer.1.normalization."}, {"conv3.", "layer.2.convolution."}, {"bn3.", "layer.2.normalization."},
                                      {"downsample.0.", "shortcut.convolution."}, {"downsample.1.", "shortcut.normalization."}};
  Match m;
  if (!match("layer#.#.", name, m)) return one("", exchanged(name, kOuter));
  return one(fmt::format("resnet.encoder.stages.{}.layers.{}.", m.numbers[0] - 1, m.numbers[1]), exchanged(m.rest, kBlock));
}

Names mobilenet_v1_in_transformers(const std::string& name, const std::vector<int64_t>& depths) {
  static constexpr Prefix kOuter[] = {{"conv_stem.", "mobilenet_v1.conv_stem.convolution."}, {"bn1.", "mobilenet_v1.conv_stem.normalization."}, {"classifier.", "classifier."}};
  static constexpr Prefix kDepthwise[] = {{"conv_dw.", "convolution."}, {"bn1.", "normalization."}};
  static constexpr Prefix kPointwise[] = {{"conv_pw.", "convolution."}, {"bn2.", "normalization."}};
  Match m;
  if (!match("blocks.#.#.", name, m)) return one("", exchanged(name, kOuter));
  const int64_t layer = 2 * flat(m.numbers[0], m.numbers[1], depths);
  if (const std::string depthwise = exchanged(m.rest, kDepthwise); !depthwise.empty()) return {fmt::format("mobilenet_v1.layer.{}.{}", layer, depthwise)};
  return one(fmt::format("mobilenet_v1.layer.{}.", layer + 1), exchanged(m.rest, kPointwise));
}

// timm's names within a block, after the layers' names of ours.
constexpr Prefix kTimmPlainV2[] = {{"0.0.", "conv_dw."}, {"0.1.", "bn1."}, {"1.", "conv_pw."}, {"2.", "bn2."}};
constexpr Prefix kTimmExpandedV2[] = {{"0.0.", "conv_pw."}, {"0.1.", "bn1."}, {"1.0.", "conv_dw."}, {"1.1.", "bn2."}, {"2.", "conv_pwl."}, {"3.", "bn3."}};
// With squeeze-and-excitation and without, told apart by fc1 and fc2.
constexpr Prefix kTimmPlain[] = {{"0.0.", "conv_dw."}, {"0.1.", "bn1."}, {"1.fc1.", "se.conv_reduce."}, {"1.fc2.", "se.conv_expand."},
                                 {"1.0.", "conv_pw."}, {"1.1.", "bn2."}, {"2.0.", "conv_pw."},          {"2.1.", "bn2."}};
constexpr Prefix kTimmExpanded[] = {{"0.0.", "conv_pw."}, {"0.1.", "bn1."}, {"1.0.", "conv_dw."}, {"1.1.", "bn2."}, {"2.fc1.", "se.conv_reduce."}, {"2.fc2.", "se.conv_expand."},
                                    {"2.0.", "conv_pwl."}, {"2.1.", "bn3."}, {"3.0.", "conv_pwl."}, {"3.1.", "bn3."}};

Names mobilenet_v2_in_timm(const std::string& name, const std::vector<int64_t>& depths) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "conv_stem."}, {"features.0.1.", "bn1."}, {"features.18.0.", "conv_head."}, {"features.18.1.", "bn2."}, {"classifier.1.", "classifier."}};
  Match m;
  if (!match("features.#.conv.", name, m)) return one("", exchanged(name, kOuter));
  const auto [stage, block] = staged(m.numbers[0] - 1, depths);
  return one(fmt::format("blocks.{}.{}.", stage, block), stage == 0 ? exchanged(m.rest, kTimmPlainV2) : exchanged(m.rest, kTimmExpandedV2));
}

Names mobilenet_v2_in_transformers(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "mobilenet_v2.conv_stem.first_conv.convolution."}, {"features.0.1.", "mobilenet_v2.conv_stem.first_conv.normalization."},
                                      {"features.18.0.", "mobilenet_v2.conv_1x1.convolution."},            {"features.18.1.", "mobilenet_v2.conv_1x1.normalization."},
                                      {"classifier.1.", "classifier."}};
  static constexpr Prefix kPlain[] = {{"0.0.", "conv_3x3.convolution."}, {"0.1.", "conv_3x3.normalization."}, {"1.", "reduce_1x1.convolution."}, {"2.", "reduce_1x1.normalization."}};
  static constexpr Prefix kExpanded[] = {{"0.0.", "expand_1x1.convolution."}, {"0.1.", "expand_1x1.normalization."}, {"1.0.", "conv_3x3.convolution."},
                                         {"1.1.", "conv_3x3.normalization."}, {"2.", "reduce_1x1.convolution."},     {"3.", "reduce_1x1.normalization."}};
  Match m;
  if (!match("features.#.conv.", name, m)) return one("", exchanged(name, kOuter));
  if (m.numbers[0] == 1) return one("mobilenet_v2.conv_stem.", exchanged(m.rest, kPlain));
  return one(fmt::format("mobilenet_v2.layer.{}.", m.numbers[0] - 2), exchanged(m.rest, kExpanded));
}

Names mobilenet_v3_in_timm(const std::string& name, const std::vector<int64_t>& depths) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "conv_stem."}, {"features.0.1.", "bn1."}, {"classifier.0.", "conv_head."}, {"classifier.3.", "classifier."}};
  static constexpr Prefix kLast[] = {{"0.", "conv."}, {"1.", "bn1."}};
  Match m;
  if (const std::string outer = exchanged(name, kOuter); !outer.empty()) return {outer};
  if (match("features.#.block.", name, m)) {
    const auto [stage, block] = staged(m.numbers[0] - 1, depths);
    return one(fmt::format("blocks.{}.{}.", stage, block), stage == 0 ? exchanged(m.rest, kTimmPlain) : exchanged(m.rest, kTimmExpanded));
  }
  if (match("features.#.", name, m)) return one(fmt::format("blocks.{}.0.", depths.size()), exchanged(m.rest, kLast));
  return {};
}

Names efficientnet_in_timm(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "conv_stem."}, {"features.0.1.", "bn1."}, {"features.8.0.", "conv_head."}, {"features.8.1.", "bn2."}, {"classifier.1.", "classifier."}};
  Match m;
  if (!match("features.#.#.block.", name, m)) return one("", exchanged(name, kOuter));
  const int64_t stage = m.numbers[0] - 1;
  return one(fmt::format("blocks.{}.{}.", stage, m.numbers[1]), stage == 0 ? exchanged(m.rest, kTimmPlain) : exchanged(m.rest, kTimmExpanded));
}

Names efficientnet_in_transformers(const std::string& name, const std::vector<int64_t>& depths) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "efficientnet.embeddings.convolution."}, {"features.0.1.", "efficientnet.embeddings.batchnorm."},
                                      {"features.8.0.", "efficientnet.encoder.top_conv."},       {"features.8.1.", "efficientnet.encoder.top_bn."},
                                      {"classifier.1.", "classifier."}};
  static constexpr Prefix kPlain[] = {{"0.0.", "depthwise_conv.depthwise_conv."}, {"0.1.", "depthwise_conv.depthwise_norm."}, {"1.fc1.", "squeeze_excite.reduce."},
                                      {"1.fc2.", "squeeze_excite.expand."},       {"2.0.", "projection.project_conv."},       {"2.1.", "projection.project_bn."}};
  static constexpr Prefix kExpanded[] = {{"0.0.", "expansion.expand_conv."}, {"0.1.", "expansion.expand_bn."}, {"1.0.", "depthwise_conv.depthwise_conv."},
                                         {"1.1.", "depthwise_conv.depthwise_norm."}, {"2.fc1.", "squeeze_excite.reduce."}, {"2.fc2.", "squeeze_excite.expand."},
                                         {"3.0.", "projection.project_conv."}, {"3.1.", "projection.project_bn."}};
  Match m;
  if (!match("features.#.#.block.", name, m)) return one("", exchanged(name, kOuter));
  const int64_t stage = m.numbers[0] - 1;
  return one(fmt::format("efficientnet.encoder.blocks.{}.", flat(stage, m.numbers[1], depths)), stage == 0 ? exchanged(m.rest, kPlain) : exchanged(m.rest, kExpanded));
}

// Stages lie at 1, 3, 5, 7, with the mergings between them.
Names swin_in_timm(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "patch_embed.proj."}, {"features.0.2.", "patch_embed.norm."}, {"norm.", "norm."}, {"head.", "head.fc."}};
  static constexpr Prefix kBlock[] = {{"norm1.", "norm1."}, {"attn.", "attn."}, {"norm2.", "norm2."}, {"mlp.0.", "mlp.fc1."}, {"mlp.3.", "mlp.fc2."}};
  Match m;
  if (const std::string outer = exchanged(name, kOuter); !outer.empty()) return {outer};
  if (match("features.#.#.", name, m)) return one(fmt::format("layers.{}.blocks.{}.", m.numbers[0] / 2, m.numbers[1]), exchanged(m.rest, kBlock));
  if (match("features.#.", name, m)) return {fmt::format("layers.{}.downsample.{}", m.numbers[0] / 2, m.rest)};
  return {};
}

Names swin_in_transformers(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"features.0.0.", "swin.embeddings.patch_embeddings.projection."}, {"features.0.2.", "swin.embeddings.norm."}, {"norm.", "swin.layernorm."}, {"head.", "classifier."}};
  static constexpr Prefix kBlock[] = {{"norm1.", "layernorm_before."}, {"attn.proj.", "attention.output.dense."}, {"attn.relative", "attention.self.relative"},
                                      {"norm2.", "layernorm_after."},  {"mlp.0.", "intermediate.dense."},         {"mlp.3.", "output.dense."}};
  Match m;
  if (const std::string outer = exchanged(name, kOuter); !outer.empty()) return {outer};
  if (match("features.#.#.attn.qkv.", name, m)) return query_key_value(fmt::format("swin.encoder.layers.{}.blocks.{}.attention.self.", m.numbers[0] / 2, m.numbers[1]), m.rest);
  if (match("features.#.#.", name, m)) return one(fmt::format("swin.encoder.layers.{}.blocks.{}.", m.numbers[0] / 2, m.numbers[1]), exchanged(m.rest, kBlock));
  if (match("features.#.", name, m)) return {fmt::format("swin.encoder.layers.{}.downsample.{}", m.numbers[0] / 2 - 1, m.rest)};
  return {};
}

Names vit_in_torchvision(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"cls_token", "class_token"}, {"pos_embed", "encoder.pos_embedding"}, {"patch_embed.proj.", "conv_proj."}, {"norm.", "encoder.ln."}, {"head.", "heads.head."}};
  static constexpr Prefix kBlock[] = {{"norm1.", "ln_1."}, {"attn.qkv.", "self_attention.in_proj_"}, {"attn.proj.", "self_attention.out_proj."},
                                      {"norm2.", "ln_2."}, {"mlp.fc1.", "mlp.0."},                   {"mlp.fc2.", "mlp.3."}};
  Match m;
  if (!match("blocks.#.", name, m)) return one("", exchanged(name, kOuter));
  return one(fmt::format("encoder.layers.encoder_layer_{}.", m.numbers[0]), exchanged(m.rest, kBlock));
}

Names vit_in_transformers(const std::string& name) {
  static constexpr Prefix kOuter[] = {{"cls_token", "vit.embeddings.cls_token"}, {"pos_embed", "vit.embeddings.position_embeddings"},
                                      {"patch_embed.proj.", "vit.embeddings.patch_embeddings.projection."}, {"norm.", "vit.layernorm."}, {"head.", "classifier."}};
  static constexpr Prefix kBlock[] = {{"norm1.", "layernorm_before."}, {"attn.proj.", "attention.output.dense."}, {"norm2.", "layernorm_after."},
                                      {"mlp.fc1.", "intermediate.dense."}, {"mlp.fc2.", "output.dense."}};
  Match m;
  if (match("blocks.#.attn.qkv.", name, m)) return query_key_value(fmt::format("vit.encoder.layer.{}.attention.attention.", m.numbers[0]), m.rest);
  if (!match("blocks.#.", name, m)) return one("", exchanged(name, kOuter));
  return one(fmt::format("vit.encoder.layer.{}.", m.numbers[0]), exchanged(m.rest, kBlock));
}

}  // namespace

std::vector<std::string> own_names(const std::string& name) { return {name}; }

std::vector<std::string> own_libraries(const ImageClassifier& model) {
  const std::string family = model.family();
  if (family == "cifar_resnet") return {};
  if (family == "resnet") return model.description().at("arch") == "seresnet50" ? std::vector<std::string>{"timm"} : std::vector<std::string>{"torchvision", "timm"};
  return {family == "mobilenet_v1" || family == "vit" ? "timm" : "torchvision"};
}

std::vector<LibraryNames> other_libraries(const ImageClassifier& model) {
  const std::string family = model.family();
  const std::vector<int64_t> depths = model.stage_depths();
  const auto with_depths = [&](Names (*rename)(const std::string&, const std::vector<int64_t>&)) { return [rename, depths](const std::string& name) { return rename(name, depths); }; };
  if (family == "resnet" && model.description().at("arch") != "seresnet50") return {{"Hugging Face", resnet_in_transformers}};
  if (family == "mobilenet_v1") return {{"Hugging Face", with_depths(mobilenet_v1_in_transformers)}};
  if (family == "mobilenet_v2") return {{"timm", with_depths(mobilenet_v2_in_timm)}, {"Hugging Face", mobilenet_v2_in_transformers}};
  if (family == "mobilenet_v3") return {{"timm", with_depths(mobilenet_v3_in_timm)}};
  if (family == "efficientnet") return {{"timm", efficientnet_in_timm}, {"Hugging Face", with_depths(efficientnet_in_transformers)}};
  if (family == "swin") return {{"timm", swin_in_timm}, {"Hugging Face", swin_in_transformers}};
  if (family == "vit") return {{"torchvision", vit_in_torchvision}, {"Hugging Face", vit_in_transformers}};
  return {};
}

}  // namespace fettle
