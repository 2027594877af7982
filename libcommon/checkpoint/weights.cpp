#include "checkpoint/weights.h"

#include <ATen/ATen.h>

#include <cstring>
#include <map>
#include <set>
#include <variant>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/tensors.h"
#include "io/sha256.h"
#include "io/torch_file.h"

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

LoadReport load_weights(const WeightsFile& file, const NamedTensors& state, const std::string& head) {
  LoadReport report;
  std::set<std::string> known;
  for (const auto& [name, tensor] : state) {
    known.insert(name);
    if (name.starts_with(head) && file.holds(name) && file.shape(name) != tensor.sizes().vec()) report.head_is_new = true;
  }
  for (const std::string& name : file.names()) {
    if (!known.contains(name)) report.unexpected.push_back(name);
  }
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : state) {
    if (report.head_is_new && name.starts_with(head)) continue;
    if (!file.holds(name)) {
      if (!name.ends_with("num_batches_tracked")) report.missing.push_back(name);
      continue;
    }
    const std::vector<int64_t> found = file.shape(name);
    FT_REQUIRE(found == tensor.sizes().vec(), "{}: {} is of shape {}, expected {}", file.path().string(), quote(name), c10::str(at::IntArrayRef(found)),
               c10::str(tensor.sizes()));
    const at::Tensor value = file.tensor(name);
    FT_REQUIRE(value.is_floating_point() == tensor.is_floating_point(), "{}: {} is of type {}, expected {}", file.path().string(), quote(name), c10::toString(value.scalar_type()),
               c10::toString(tensor.scalar_type()));
    at::Tensor(tensor).copy_(value);
  }
  return report;
}

void require_complete(const LoadReport& report, const WeightsFile& file, bool all) {
  if (report.is_complete()) return;
  std::string message = fmt::format("{} does not fit the network:", file.path().string());
  if (!report.missing.empty()) message += fmt::format(" {} tensors are missing ({})", report.missing.size(), listed(report.missing, all));
  if (!report.missing.empty() && !report.unexpected.empty()) message += ",";
  if (!report.unexpected.empty()) message += fmt::format(" {} are unexpected ({})", report.unexpected.size(), listed(report.unexpected, all));
  throw Error(ExitCode::kInput, message, all ? "--init-partial takes what fits" : "-v lists all names; --init-partial takes what fits");
}

void save_weights(const std::filesystem::path& file, const NamedTensors& tensors) { write_tensors(file, tensors, {{"format", "pt"}}); }

}  // namespace fettle
