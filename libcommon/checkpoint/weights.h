#pragma once
// A network's weights, written as .safetensors and read from whatever holds them: an artifact of ours (its
// model.safetensors), a .safetensors file, or what torch.save wrote (io/torch_file.h), told apart by their contents.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/tensors.h"
#include "models/library_names.h"

namespace fettle {

// The artifact that `from` is, or that it is a weights file of ("runs/a/model_best.safetensors"); a directory counts as one unseen.
std::optional<std::filesystem::path> artifact_of(const std::filesystem::path& from);

class WeightsFile {
 public:
  // Errors (kInput): neither of the three, and what their readers refuse.
  explicit WeightsFile(const std::filesystem::path& path);
  ~WeightsFile();
  WeightsFile(WeightsFile&&) noexcept;
  WeightsFile& operator=(WeightsFile&&) noexcept;

  // Without the "module." that DataParallel puts in front of every name.
  const std::vector<std::string>& names() const;
  bool holds(const std::string& name) const;
  std::vector<int64_t> shape(const std::string& name) const;
  at::Tensor tensor(const std::string& name) const;  // a copy on the CPU, contiguous, of the file's own type

  const std::filesystem::path& path() const;  // of the file itself: an artifact's model.safetensors
  std::string id() const;                     // "sha256:..." of an artifact's manifest, or of the file

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct LoadReport {
  std::string library;                  // whose names the file has, where they are not ours: "timm"
  std::vector<std::string> missing;     // names of the network that the file lacks; they keep their values
  std::vector<std::string> unexpected;  // names of the file that the network lacks
  bool head_is_new = false;             // the head has another shape there and keeps its values

  bool is_complete() const { return missing.empty() && unexpected.empty(); }
};

// Copies what has the same name and shape into the network's own tensors, converting between floating types. `head` begins the names of
// the last layer ("fc."), whose shape may differ. Batch norm's num_batches_tracked, which old files lack, may be missing unreported.
// Errors (kInput, naming file and tensor): another shape elsewhere; integers where the network has floats, or the other way round.
// Several names of `rename` are joined along the first dimension (query, key, value), dimensions of 1 at the end are added or dropped,
// and index tables that follow from the architecture (Swin's) are computed; a file that has others is an Error(kInput).
LoadReport load_weights(const WeightsFile& file, const NamedTensors& state, const std::string& head, const Renaming& rename = own_names);

// The same for a network, whose file may have the names of any library that knows it (models/library_names.h): the one of
// most hits.
LoadReport load_weights(const WeightsFile& file, const ImageClassifier& model);

// Refuses a report that is not complete: Error(kInput) with the numbers, the first names and, with `all`, every name.
void require_complete(const LoadReport& report, const WeightsFile& file, bool all, const std::string& hint);

// The network's tensors under the names of a library ("torchvision", "timm", "Hugging Face"; in any case, without blanks), what it joins
// taken apart and what it lacks left out. Error(kUsage) with what there is, for a library that does not know the network.
NamedTensors tensors_for_library(const ImageClassifier& model, const std::string& library);

// As transformers and timm write it: metadata {"format": "pt"}.
void save_weights(const std::filesystem::path& file, const NamedTensors& tensors);

}  // namespace fettle
