#pragma once
// ByteFormer (arXiv 2306.00238): sorts files into classes by their bytes. Tensor names are those of the public checkpoints (CoreNet):
// embeddings.weight token_reduction_net.weight pos_embed.pos_embed.pos_embed downsamplers.downsample_0.reduction.weight ...
// transformer.0.pre_norm_mha.1.qkv_proj.weight ... post_transformer_norm classifier; layer norm with eps 1e-5, exact GELU.
//
// A token covers `kernel` bytes from every kernel / 2 bytes on: a file of L bytes has ceil(L / (kernel / 2)) of them, the last ones with
// nothing behind the file's end. Layer i attends within windows of windows[i] tokens, cut at shifts[i] + m * windows[i]; after the layers
// of `merges` pairs of tokens become one, an odd last one with zeros as its partner. The answer is read from the mean of the tokens.
//
// masks "correct": that, on packed tokens of all files: no padding exists, and what else is in the batch does not matter.
// masks "reference": what the public code computes from a batch padded to one length: padding acts as tokens and counts in the mean,
// windows are padded with zeros that are attended to, and shifted ones wrap from the end to the start of the file. For released weights.
// There, layer_norm "public" also has its trap: a norm after a merging, or the last one, that sees exactly `width` tokens takes them for
// channels (BF-Ti: files of 12,225 to 12,288 tokens at the last norm). The public code always has it; "plain", the usual value, never.
//
// Initialisation as the public code's: embeddings and positions normal with width^-1/2 (it truncates at 2, eight deviations away for a width
// of 16), the padding row zero, linear layers Xavier uniform, the convolution uniform within (width * kernel)^-1/2, biases zero.

#include <ATen/core/Tensor.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/packed_bytes.h"
#include "models/module.h"

namespace fettle {

inline constexpr int64_t kByteVocabulary = 257;  // the last row is padding's: zeros that do not train

struct ByteFormerDescription {
  static constexpr const char* kFamily = "byteformer";
  static constexpr const char* kArchs = "bf_tiny, bf_small, bf_base, bf_huge and bf_custom";
  static bool has_arch(const std::string& arch);
  static void fields(auto&& self, auto&& field) {
    field("width", self.width, 1, 1 << 14);
    field("num_layers", self.num_layers, 1, 1 << 10);
    field("num_heads", self.num_heads, 1, 1 << 10);
    field("ffn_width", self.ffn_width, 1, 1 << 16);
    field("kernel", self.kernel, 2, 1 << 12);
    field("windows", self.windows, 1, 1 << 24);
    field("shifts", self.shifts, 0, 1 << 24);
    field("merges", self.merges, 0, 1 << 10);
    field("max_tokens", self.max_tokens, 1, 1 << 26);
    field("positions", self.positions, std::vector<std::string>{"table", "truncated", "interpolated"});
    field("masks", self.masks, std::vector<std::string>{"correct", "reference"});
    field("layer_norm", self.layer_norm, std::vector<std::string>{"plain", "public"});
    field("dropout", self.dropout, 0.0, 0.999);
    field("stochastic_depth", self.stochastic_depth, 0.0, 0.999);
  }
  std::string fault() const;  // of members that do not go together; empty: none

  std::string arch = "bf_tiny";
  int64_t num_classes = 1000;
  int64_t width = 192;
  int64_t num_layers = 12;
  int64_t num_heads = 3;
  int64_t ffn_width = 768;
  int64_t kernel = 16;
  std::vector<int64_t> windows;           // a layer each
  std::vector<int64_t> shifts;            // a layer each; less than the window, or whole windows, which is no shift
  std::vector<int64_t> merges;            // layers, ascending
  int64_t max_tokens = 10000;             // rows of the position table
  // What becomes of a file of more tokens than the table has rows: refused, cut to as many tokens, or given positions interpolated linearly
  // along the file.
  std::string positions = "table";
  std::string masks = "correct";
  std::string layer_norm = "plain";
  double dropout = 0;                     // of the embedded tokens and of both branches of each layer
  double stochastic_depth = 0;            // layer i of n leaves a file's branches out with i / (n - 1) of it

  int64_t stride() const { return kernel / 2; }
  int64_t num_tokens(int64_t num_bytes) const { return (num_bytes + stride() - 1) / stride(); }  // at the first layer
  int64_t most_bytes() const { return positions == "table" ? max_tokens * stride() : 0; }         // of a file; 0: any number
};

// One of kArchs; "bf_custom" starts as bf_tiny. `overrides` is a JSON object of any further members; what is wrong is Error(kUsage).
// `windows` and `shifts` may be one number for all layers. Without an override ffn_width is 4 * width; every second layer, from the
// second on, is shifted by half its window; merges follow layers 1, 2, 4, 6, 8 and 10 of 12, rounded up in proportion to num_layers
// (of bf_huge's 32: 3, 6, 11, 16, 22 and 27).
ByteFormerDescription byteformer_description(const std::string& arch, int64_t num_classes, const nlohmann::json& overrides);

// For short files: leaves out merges, from the last one on, until a file of that many bytes keeps at least 8 tokens.
inline constexpr int64_t kMinMergedTokens = 8;
void leave_out_merges(ByteFormerDescription& description, int64_t num_bytes);

nlohmann::json to_json(const ByteFormerDescription& description);
ByteFormerDescription byteformer_description_from_json(const nlohmann::json& json);  // strict: Error(kInput)

class ByteFormer : public Module {
 public:
  virtual const ByteFormerDescription& description() const = 0;
  // Logits [B, num_classes]. Error(kInput): an empty file; one of more tokens than the position table has rows; in mode "reference" a batch
  // that is shorter than the kernel.
  virtual at::Tensor forward(const PackedBytes& files) = 0;
  // The parts of forward(). embed: packed tokens, [sum of tokens, width] (mode "reference": of equally many a file).
  virtual at::Tensor embed(const PackedBytes& files) = 0;
  // What embed() adds to tokens for their places, [sum of tokens, width]: what it would give, without dropout, for files without bytes.
  virtual at::Tensor embed_places(const std::vector<int64_t>& tokens_of_file) const = 0;
  virtual at::Tensor classify(const at::Tensor& tokens, const std::vector<int64_t>& tokens_of_file) = 0;
  // Tokens at the first layer of each file of the batch.
  virtual std::vector<int64_t> tokens_of_files(const PackedBytes& files) const = 0;
  virtual void initialise(uint64_t seed) = 0;  // the same values for the same seed on every machine
};

inline constexpr const char* kByteFormerHead = "classifier.";

std::shared_ptr<ByteFormer> make_byteformer(const ByteFormerDescription& description);                 // weights at zero, to be loaded
std::shared_ptr<ByteFormer> make_byteformer(const ByteFormerDescription& description, uint64_t seed);  // weights drawn from the seed

// Lengths of the pieces of a file that a layer attends within: up to the first cut, whole windows, the rest. None is empty.
std::vector<int64_t> window_segments(int64_t num_tokens, int64_t window, int64_t shift);

// What a file of that many bytes costs.
struct ByteFormerCost {
  std::vector<int64_t> tokens;       // entering each layer
  int64_t stem = 0;                  // multiply-adds as a convolution; looked up, they are additions
  int64_t linear = 0, attention = 0, merging = 0;  // multiply-adds; mode "reference": with the padding of windows
  int64_t activation_bytes = 0;      // that a training step keeps for its backward pass, in fp32
  int64_t multiply_adds() const { return stem + linear + attention + merging; }
};
ByteFormerCost byteformer_cost(const ByteFormerDescription& description, int64_t num_bytes);
int64_t byteformer_parameters(const ByteFormerDescription& description);

}  // namespace fettle
