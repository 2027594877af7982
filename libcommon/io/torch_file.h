#pragma once
// Weights that PyTorch saved: torch.save()'s ZIP format (since 1.6) and the legacy one before it (.th, older .pth and .pt), little-endian.
// The dictionary of tensors is the file's root, or lies in it as "state_dict", "model" or the like, as training scripts save it; what else
// the file holds (an epoch, an optimiser's state) is left alone.
//
// Errors (kInput, each starts with the file's path): neither of the formats; what index_zip() and read_pickle() refuse; TorchScript
// programs; no dictionary of tensors; tensors without a storage, or that reach beyond it; legacy files cut short; wrong checksums.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/mapped_file.h"
#include "io/safetensors.h"

namespace fettle {

struct TorchTensor {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<int64_t> shape, strides;  // elements; all that they reach lies in begin..end
  uint64_t begin = 0, end = 0;          // bytes of the file, from the first element to behind the last
};

struct TorchContents {
  std::vector<TorchTensor> tensors;  // in the file's order
  std::string key;                   // where in the root they lie: "state_dict"; "" for the root itself
};

// `bytes`: the whole file; `name` begins each error.
TorchContents index_torch_file(std::span<const uint8_t> bytes, std::string_view name);

// Whether the file begins as one of torch.save's formats does.
bool is_torch_file(std::span<const uint8_t> bytes);

class TorchFile {
 public:
  explicit TorchFile(const std::filesystem::path& path);  // maps and indexes the file

  const std::vector<TorchTensor>& tensors() const { return contents_.tensors; }
  const std::string& key() const { return contents_.key; }
  std::span<const uint8_t> bytes(const TorchTensor& tensor) const { return file_.bytes().subspan(tensor.begin, tensor.end - tensor.begin); }  // not always aligned to the dtype
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  MappedFile file_;
  TorchContents contents_;
};

}  // namespace fettle
