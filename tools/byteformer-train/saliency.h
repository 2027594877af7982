#pragma once
// Which bytes of a file an answer hangs on: integrated gradients (Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", ICML 2017,
// arXiv 1703.01365) of the margin
//
//   F = logit of the answer - logit of the runner-up                 (softmax leaves open what is common to all logits)
//
// on the straight line from a file without bytes to the file: the embeddings e(x_i) of all bytes grow from zero, which is padding's, while
// the places of tokens stay. Byte i gets
//
//   a_i = e(x_i) . integral from 0 to 1 of dF / de_i (s e(x)) ds,   sum of a_i = F(file) - F(no bytes)   (completeness)
//
// The stem is linear in the embeddings, so the line is one of tokens, places + s * (tokens - places), and byte i's share of token t is
// convolution[:, :, i - t * stride] e(x_i): gradients at the tokens are enough, and what each byte gets is exact though tokens overlap.
// What F does between two points of the line is known from F itself: the line is cut, a piece's gradient taken at its middle, and pieces whose
// product with it misses their change of F are cut in three, until what they miss is 1 % of the whole change in proportion to their
// lengths, or `max_points` gradients are taken; the gap that is left is part of the result.
//
// What is explained is the way from no bytes to the file. Some class is the answer for no bytes, and files of that class may hang on nothing
// but the absence of what tells the others: then F hardly changes, and shares are of next to nothing. `baseline_answer` says so.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "bytes/layout.h"
#include "models/byteformer.h"

namespace fettle::byteformer {

using Json = nlohmann::json;

struct Saliency {
  int64_t answer = 0, runner_up = -1;  // classes; a network of one class has no runner-up, and its logit is the margin
  double probability = 0, runner_up_probability = 0;
  double margin = 0, baseline_margin = 0;  // F of the file and of no bytes, in logits
  int64_t baseline_answer = 0;             // for no bytes
  double completeness_gap = 0;             // sum of attributions - (margin - baseline_margin)
  int64_t points = 0;                      // gradients taken
  std::vector<double> of_bytes;            // a_i, in logits
};

struct SaliencyOptions {
  double relative_gap = 0.01, absolute_gap = 1e-3;  // of margin - baseline_margin, and in logits: the larger one counts
  int64_t max_points = 400;
  double allowed_gap(const Saliency& of) const { return std::max(relative_gap * std::abs(of.margin - of.baseline_margin), absolute_gap); }
};

// `bytes` as the network reads them. The model is in evaluation mode and computes in fp32; `progress` hears of points done. Errors: (kInput)
// those of ByteFormer::forward; (kNumbers) logits that are none; (kMachine) a file whose gradients take more memory than is free.
Saliency integrated_gradients(ByteFormer& model, std::span<const uint8_t> bytes, const std::string& name, const SaliencyOptions& options = {},
                              const std::function<void(int64_t points)>& progress = [](int64_t) {});

// One file, explained by its own bytes: those that it is stored or encoded as, before they are reordered or left out.
struct Explanation {
  std::string model_id, file, format;
  std::vector<std::string> class_names;   // one a class
  std::vector<Region> regions;
  std::vector<double> of_bytes;           // a_i at each position of the file; 0 where the network reads none
  int64_t bytes_read = 0;
  Saliency saliency;
};

// Of a region of the file.
struct RegionShare {
  double of_file = 0;        // of its bytes
  double of_attribution = 0; // of the sum of |a_i|
  double attribution = 0;    // sum of a_i
  double per_byte = 0;       // mean of |a_i|
};
std::vector<RegionShare> shares_of(const Explanation& explanation);

Json to_json(const Explanation& explanation);
std::string to_text(const Explanation& explanation);  // for a terminal

}  // namespace fettle::byteformer
