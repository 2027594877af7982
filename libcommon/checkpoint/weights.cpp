#include "checkpoint/weights.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <variant>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/tensors.h"
#include "io/sha256.h"
#include "io/torch_file.h"
#include "models/module.h"

namespace fettle {
namespace {

constexpr std::string_view kDataParallel = "module.";

at::Tensor to_tensor(const TorchFile& file, const TorchTensor& info) {
  // What a view with steps reaches is copied as it lies, and read through the same steps.
  const std::span<const uint8_t> bytes = file.bytes(info);
  at::Tensor memory = at::empty({static_cast<int64_t>(bytes.size()) / dtype_bytes(info.dtype)}, to_scalar_type(info.dtype));
  if (!bytes.empty()) std::memcpy(memory.mutable_data_ptr(), bytes.data(), bytes.size());
  return memory.as_strided(info.shape, info.strides).contiguous();
}

std::string listed(const std::vector<std::string>& names, bool all) {
  std::vector<std::string> shown;
  for (size_t i = 0; i < names.size() && (all || i < 1); ++i) shown.push_back(quote(names[i]));
  return join(shown, ", ") + (shown.size() < names.size() ? ", ..." : "");
}

}  // namespace

struct WeightsFile::State {
  std::filesystem::path path;
  std::string artifact_id;
  std::variant<std::monostate, SafetensorsFile, TorchFile> file;
  std::vector<std::string> names;
  std::map<std::string, size_t> index;  // name -> position in the file's tensors

  template <typename File>
  void read_names(const File& opened) {
    bool parallel = !opened.tensors().empty();
    for (const auto& tensor : opened.tensors()) parallel = parallel && tensor.name.starts_with(kDataParallel);
    for (size_t i = 0; i < opened.tensors().size(); ++i) {
      names.push_back(opened.tensors()[i].name.substr(parallel ? kDataParallel.size() : 0));
      index[names.back()] = i;
    }
  }
  size_t at(const std::string& name) const {
    const auto found = index.find(name);
    FT_CHECK(found != index.end(), "{} in {}", name, path.string());
    return found->second;
  }
};

std::optional<std::filesystem::path> artifact_of(const std::filesystem::path& from) {
  if (std::filesystem::is_directory(from)) return from;
  const std::filesystem::path folder = from.has_parent_path() ? from.parent_path() : std::filesystem::path(".");
  if (!is_artifact(folder)) return std::nullopt;
  for (const ArtifactFile& file : read_manifest(folder).files) {
    if (file.path == from.filename().string()) return folder;
  }
  return std::nullopt;
}

WeightsFile::WeightsFile(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  State& s = *state_;
  s.path = path;
  if (std::filesystem::is_directory(path)) {
    s.artifact_id = manifest_id(read_manifest(path));
    s.path = path / "model.safetensors";
  }
  const MappedFile map(s.path);
  if (is_torch_file(map.bytes())) {
    s.read_names(s.file.emplace<TorchFile>(s.path));
  } else {
    s.read_names(s.file.emplace<SafetensorsFile>(s.path));
  }
}
WeightsFile::~WeightsFile() = default;
WeightsFile::WeightsFile(WeightsFile&&) noexcept = default;
WeightsFile& WeightsFile::operator=(WeightsFile&&) noexcept = default;

const std::vector<std::string>& WeightsFile::names() const { return state_->names; }
bool WeightsFile::holds(const std::string& name) const { return state_->index.contains(name); }
const std::filesystem::path& WeightsFile::path() const { return state_->path; }
std::string WeightsFile::id() const { return state_->artifact_id.empty() ? "sha256:" + sha256_file(state_->path) : state_->artifact_id; }

std::vector<int64_t> WeightsFile::shape(const std::string& name) const {
  const size_t at = state_->at(name);
  if (const auto* torch = std::get_if<TorchFile>(&state_->file)) return torch->tensors()[at].shape;
  return std::get<SafetensorsFile>(state_->file).tensors()[at].shape;
}

at::Tensor WeightsFile::tensor(const std::string& name) const {
  const size_t at = state_->at(name);
  if (const auto* torch = std::get_if<TorchFile>(&state_->file)) return to_tensor(*torch, torch->tensors()[at]);
  const auto& file = std::get<SafetensorsFile>(state_->file);
  return fettle::to_tensor(file, file.tensors()[at]);
}

namespace {

bool follows_from_architecture(const std::string& name) { return name.ends_with("relative_position_index") || name.ends_with("attn_mask"); }

// [1280, 960, 1, 1], a convolution over one pixel, is the linear layer [1280, 960].
bool is_same_shape(at::IntArrayRef a, at::IntArrayRef b) {
  const auto without_last_ones = [](at::IntArrayRef shape) {
    while (shape.size() > 2 && shape.back() == 1) shape = shape.slice(0, shape.size() - 1);
    return shape;
  };
  return without_last_ones(a) == without_last_ones(b);
}

// Of the tensors joined along the first dimension; of the first alone where they do not fit together.
std::vector<int64_t> joined_shape(const WeightsFile& file, const std::vector<std::string>& names) {
  std::vector<int64_t> shape = file.shape(names.front());
  for (size_t i = 1; i < names.size(); ++i) {
    const std::vector<int64_t> next = file.shape(names[i]);
    if (shape.empty() || next.size() != shape.size() || !std::equal(next.begin() + 1, next.end(), shape.begin() + 1)) return file.shape(names.front());
    shape[0] += next[0];
  }
  return shape;
}

// A file that has another table is of a network that computes something else with tensors of the same names and shapes.
void require_same_table(const WeightsFile& file, const std::vector<std::string>& names, const at::Tensor& ours) {
  for (const std::string& name : names) {
    const at::Tensor theirs = file.tensor(name);
    FT_REQUIRE(!theirs.is_floating_point() && theirs.numel() == ours.numel() && at::equal(theirs.reshape({-1}).to(at::kLong), ours.reshape({-1})),
               "{}: {} is not the table that follows from the network's windows", file.path().string(), quote(name));
  }
}

}  // namespace

LoadReport load_weights(const WeightsFile& file, const NamedTensors& state, const std::string& head, const Renaming& rename) {
  LoadReport report;
  struct Source {
    std::string ours;
    at::Tensor tensor;
    std::vector<std::string> names, missing;
    std::vector<int64_t> shape;
  };
  std::vector<Source> sources;
  std::set<std::string> known;
  for (const auto& [name, tensor] : state) {
    Source source{name, tensor, rename(name), {}, {}};
    for (const std::string& part : source.names) {
      known.insert(part);
      if (!file.holds(part)) source.missing.push_back(part);
    }
    if (source.names.empty()) source.missing.push_back(name);
    if (source.missing.empty()) source.shape = joined_shape(file, source.names);
    if (name.starts_with(head) && source.missing.empty() && !is_same_shape(source.shape, tensor.sizes())) report.head_is_new = true;
    sources.push_back(std::move(source));
  }
  for (const std::string& name : file.names()) {
    if (!known.contains(name) && !follows_from_architecture(name)) report.unexpected.push_back(name);
  }
  const at::NoGradGuard no_grad;
  for (const Source& source : sources) {
    if (follows_from_architecture(source.ours)) {
      if (source.missing.empty()) require_same_table(file, source.names, source.tensor);
      continue;
    }
    if (report.head_is_new && source.ours.starts_with(head)) continue;
    if (!source.missing.empty()) {
      if (!source.ours.ends_with("num_batches_tracked")) report.missing.insert(report.missing.end(), source.missing.begin(), source.missing.end());
      continue;
    }
    const std::string name = join(source.names, " + ");
    FT_REQUIRE(is_same_shape(source.shape, source.tensor.sizes()), "{}: {} is of shape {}, expected {}", file.path().string(), quote(name),
               c10::str(at::IntArrayRef(source.shape)), c10::str(source.tensor.sizes()));
    std::vector<at::Tensor> parts;
    for (const std::string& part : source.names) parts.push_back(file.tensor(part));
    const at::Tensor value = parts.size() == 1 ? parts[0] : at::cat(parts);
    FT_REQUIRE(value.is_floating_point() == source.tensor.is_floating_point(), "{}: {} is of type {}, expected {}", file.path().string(), quote(name),
               c10::toString(value.scalar_type()), c10::toString(source.tensor.scalar_type()));
    at::Tensor(source.tensor).copy_(value.view(source.tensor.sizes()));
  }
  return report;
}

LoadReport load_weights(const WeightsFile& file, const ImageClassifier& model) {
  const NamedTensors state = named_tensors(model);
  const auto num_held = [&](const Renaming& rename) {
    return std::count_if(state.begin(), state.end(), [&](const auto& entry) {
      const std::vector<std::string> names = rename(entry.first);
      return !names.empty() && std::all_of(names.begin(), names.end(), [&](const std::string& name) { return file.holds(name); });
    });
  };
  LibraryNames best{"", own_names};
  auto most = num_held(best.rename);
  for (LibraryNames& other : other_libraries(model)) {
    if (const auto held = num_held(other.rename); held > most) {
      best = std::move(other);
      most = held;
    }
  }
  LoadReport report = load_weights(file, state, model.head(), best.rename);
  report.library = best.library;
  return report;
}

void require_complete(const LoadReport& report, const WeightsFile& file, bool all, const std::string& hint) {
  if (report.is_complete()) return;
  std::string message = fmt::format("{} does not fit the network:", file.path().string());
  if (!report.missing.empty()) message += fmt::format(" {} tensors are missing ({})", report.missing.size(), listed(report.missing, all));
  if (!report.missing.empty() && !report.unexpected.empty()) message += ",";
  if (!report.unexpected.empty()) message += fmt::format(" {} are unexpected ({})", report.unexpected.size(), listed(report.unexpected, all));
  throw Error(ExitCode::kInput, message, hint);
}

NamedTensors tensors_for_library(const ImageClassifier& model, const std::string& library) {
  const auto plain = [](std::string name) {
    std::erase(name, ' ');
    return to_lower(std::move(name));
  };
  std::vector<LibraryNames> libraries = other_libraries(model);
  for (const std::string& own : own_libraries(model)) libraries.push_back({own, own_names});
  std::vector<std::string> known;
  for (const LibraryNames& candidate : libraries) {
    known.push_back(plain(candidate.library));
    if (known.back() != plain(library)) continue;
    NamedTensors renamed;
    for (const auto& [name, tensor] : named_tensors(model)) {
      const std::vector<std::string> names = candidate.rename(name);
      // An index table is computed, and each library has its own shape for it.
      if (names.empty() || (names[0] != name && follows_from_architecture(name))) continue;
      const std::vector<at::Tensor> parts = names.size() == 1 ? std::vector<at::Tensor>{tensor} : tensor.chunk(static_cast<int64_t>(names.size()));
      for (size_t i = 0; i < names.size(); ++i) {
        // timm's MobileNetV3 has a convolution over one pixel where torchvision's, and ours, has a linear layer.
        const bool is_convolution = parts[i].dim() == 2 && names[i] == "conv_head.weight";
        renamed.emplace_back(names[i], is_convolution ? parts[i].unsqueeze(2).unsqueeze(3) : parts[i]);
      }
    }
    return renamed;
  }
  FT_FAIL(ExitCode::kUsage, "no library '{}' knows {}; its names can be: {}", library, model.description().at("arch").dump(), known.empty() ? "its own alone" : join(known, ", "));
}

void save_weights(const std::filesystem::path& file, const NamedTensors& tensors) { write_tensors(file, tensors, {{"format", "pt"}}); }

}  // namespace fettle
