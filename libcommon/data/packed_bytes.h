#pragma once
// A batch of files as a network of bytes takes it.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace fettle {

// Files behind one another.
struct PackedBytes {
  at::Tensor bytes;               // uint8, as many as the last offset, on the CPU
  std::vector<int64_t> offsets;   // of each file and, last, the end of all
  // What the batch is padded to, in bytes. 0: in mode "correct" as many as all tokens need, else the longest file. Fewer cost the longest
  // files their last tokens, as the public code's batches do; more change nothing but in mode "reference".
  int64_t padded_length = 0;

  int64_t size() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t file) const { return offsets[static_cast<size_t>(file) + 1] - offsets[static_cast<size_t>(file)]; }
};

// Concatenates. Each is uint8 [L].
PackedBytes pack_bytes(const std::vector<at::Tensor>& files);

}  // namespace fettle
