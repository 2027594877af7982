#include "io/torch_file.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "base/errors.h"
#include "base/text.h"
#include "io/pickle.h"
#include "io/zip.h"

namespace fettle {
namespace {

// Legacy: pickles of the number 0x1950a86a20f9469cfc6c and of the protocol 1001, of facts about the machine, of the object, of the
// storages' keys; then for each key the number of elements (8 bytes) and the elements.
constexpr std::string_view kLegacyMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
constexpr std::string_view kLegacyProtocol("\x80\x02M\xe9\x03.", 6);

bool begins_with(std::span<const uint8_t> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::equal(text.begin(), text.end(), bytes.begin(), [](char c, uint8_t byte) { return static_cast<uint8_t>(c) == byte; });
}

const PickleValue* find(const Pickle& pickle, const PickleDict& dict, std::string_view key) {
  const PickleValue* found = nullptr;
  for (const auto& [name, value] : dict.items) {
    const auto* text = std::get_if<std::string>(&pickle[name]);
    if (text != nullptr && *text == key) found = &pickle[value];
  }
  return found;
}

bool holds_tensors(const Pickle& pickle, const PickleValue* value) {
  const auto* dict = value == nullptr ? nullptr : std::get_if<PickleDict>(value);
  return dict != nullptr && std::any_of(dict->items.begin(), dict->items.end(), [&](const auto& item) {
           return std::holds_alternative<std::string>(pickle[item.first]) && std::holds_alternative<PickleTensor>(pickle[item.second]);
         });
}

// The elements from the first to the last that a tensor reaches, counted from its offset; nothing when that exceeds 63 bits.
std::optional<int64_t> reach(const PickleTensor& tensor) {
  int64_t last = 0;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    if (tensor.shape[i] == 0) return 0;
    int64_t step = 0;
    if (__builtin_mul_overflow(tensor.shape[i] - 1, tensor.strides[i], &step) || __builtin_add_overflow(last, step, &last)) return std::nullopt;
  }
  return last == INT64_MAX ? std::nullopt : std::optional(last + 1);
}

using Bytes = std::span<const uint8_t>;

struct Part {
  uint64_t begin = 0, size = 0;  // bytes of the file
};
using Storages = std::map<std::string, Part>;  // by key

TorchContents collect(const Pickle& pickle, const Storages& storages, std::string_view name) {
  TorchContents contents;
  const PickleValue* found = &pickle[pickle.root];
  if (const auto* root = std::get_if<PickleDict>(found); root != nullptr && !holds_tensors(pickle, found)) {
    for (const std::string_view key : {"state_dict", "model_state_dict", "model", "net", "network", "module", "params", "model_ema", "state_dict_ema"}) {
      const PickleValue* value = find(pickle, *root, key);
      if (!holds_tensors(pickle, value)) continue;
      found = value;
      contents.key = key;
      break;
    }
  }
  FT_REQUIRE(holds_tensors(pickle, found), "{} holds no dictionary of tensors, expected torch.save(model.state_dict(), ...)", name);
  std::set<std::string> names;
  for (const auto& [key, value] : std::get<PickleDict>(*found).items) {
    const auto* text = std::get_if<std::string>(&pickle[key]);
    const auto* tensor = std::get_if<PickleTensor>(&pickle[value]);
    if (text == nullptr || tensor == nullptr) continue;
    FT_REQUIRE(names.insert(*text).second, "{} names {} twice", name, quote(*text));
    const PickleStorage& storage = tensor->storage;
    const auto part = storages.find(storage.key);
    FT_REQUIRE(part != storages.end(), "{}: the storage of {} is missing", name, quote(*text));
    const auto size = static_cast<uint64_t>(dtype_bytes(storage.dtype));
    FT_REQUIRE(static_cast<uint64_t>(storage.num_elements) <= part->second.size / size, "{} is truncated: the storage of {} has {} bytes, expected {} elements of {}", name,
               quote(*text), part->second.size, storage.num_elements, size);
    const std::optional<int64_t> count = reach(*tensor);
    FT_REQUIRE(count && storage.view_elements <= storage.num_elements && storage.view_offset <= storage.num_elements - storage.view_elements &&
                   tensor->offset <= storage.view_elements && *count <= storage.view_elements - tensor->offset,
               "{}: {} reaches beyond its storage", name, quote(*text));
    const uint64_t begin = part->second.begin + static_cast<uint64_t>(storage.view_offset + tensor->offset) * size;
    contents.tensors.push_back({*text, storage.dtype, tensor->shape, tensor->strides, begin, begin + static_cast<uint64_t>(*count) * size});
  }
  return contents;
}

// ROOT/data.pkl, ROOT/data/KEY for each storage, ROOT/byteorder.
TorchContents index_zip_format(Bytes all, std::string_view name) {
  const std::vector<ZipMember> members = index_zip(all, name);
  std::string root;
  for (const ZipMember& member : members) {
    const size_t slash = member.path.find('/');
    if (slash != std::string::npos && member.path.substr(slash) == "/data.pkl") root = member.path.substr(0, slash + 1);
  }
  const auto member_at = [&](const std::string& path) {
    const auto found = std::find_if(members.begin(), members.end(), [&](const ZipMember& member) { return member.path == path; });
    return found == members.end() ? nullptr : &*found;
  };
  const ZipMember* const pickle = root.empty() ? nullptr : member_at(root + "data.pkl");
  FT_REQUIRE(pickle != nullptr, "{} is a ZIP archive, but none of torch.save: it has no data.pkl", name);
  FT_REQUIRE(member_at(root + "constants.pkl") == nullptr, "{} is a TorchScript program, expected weights: torch.save(model.state_dict(), ...)", name);
  if (const ZipMember* order = member_at(root + "byteorder")) FT_REQUIRE(begins_with(all.subspan(order->offset, order->size), "little"), "{} is big-endian", name);
  Storages storages;
  const std::string folder = root + "data/";
  for (const ZipMember& member : members) {
    const bool storage = member.path.starts_with(folder);
    if (storage) storages[member.path.substr(folder.size())] = {member.offset, member.size};
    if (!storage && &member != pickle) continue;
    FT_REQUIRE(member.stored, "{}: {} is compressed, which torch.save does not do", name, quote(member.path));
    FT_REQUIRE(has_checksum(all, member), "{} is damaged: the checksum of {} is wrong", name, quote(member.path));
  }
  return collect(read_pickle(all.subspan(pickle->offset, pickle->size), name), storages, name);
}

TorchContents index_legacy(Bytes all, std::string_view name) {
  Bytes rest = all.subspan(kLegacyMagic.size());
  FT_REQUIRE(begins_with(rest, kLegacyProtocol), "{} is of an unknown legacy format of torch.save", name);
  rest = rest.subspan(kLegacyProtocol.size());
  const auto next = [&] {
    Pickle pickle = read_pickle(rest, name);
    rest = rest.subspan(pickle.bytes);
    return pickle;
  };
  const Pickle machine = next();
  if (const auto* facts = std::get_if<PickleDict>(&machine[machine.root])) {
    const PickleValue* little = find(machine, *facts, "little_endian");
    FT_REQUIRE(little == nullptr || !std::holds_alternative<bool>(*little) || std::get<bool>(*little), "{} is big-endian", name);
  }
  const Pickle object = next();
  const Pickle keys = next();
  std::map<std::string, const PickleStorage*> known;
  for (const PickleValue& value : object.values) {
    const auto* storage = std::get_if<PickleStorage>(&value);
    if (storage != nullptr) known.emplace(storage->key, storage);
  }
  const auto* list = std::get_if<PickleList>(&keys[keys.root]);
  FT_REQUIRE(list != nullptr, "{} is truncated or no file of torch.save: it has no list of storages", name);
  Storages storages;
  for (const PickleId id : list->items) {
    const auto* key = std::get_if<std::string>(&keys[id]);
    const auto found = key == nullptr ? known.end() : known.find(*key);
    FT_REQUIRE(found != known.end(), "{} holds a storage that none of its tensors uses", name);
    constexpr uint64_t kCountBytes = 8;
    const PickleStorage& storage = *found->second;
    const auto size = static_cast<uint64_t>(dtype_bytes(storage.dtype));
    FT_REQUIRE(rest.size() >= kCountBytes && static_cast<uint64_t>(storage.num_elements) <= (rest.size() - kCountBytes) / size, "{} is truncated: storage {} does not fit", name,
               quote(*key));
    uint64_t count = 0;
    for (uint64_t i = 0; i < kCountBytes; ++i) count |= uint64_t{rest[i]} << 8 * i;
    FT_REQUIRE(count == static_cast<uint64_t>(storage.num_elements), "{}: storage {} has {} elements, expected {}", name, quote(*key), count, storage.num_elements);
    const Part part{all.size() - rest.size() + kCountBytes, count * size};
    FT_REQUIRE(storages.emplace(*key, part).second, "{} holds storage {} twice", name, quote(*key));
    rest = rest.subspan(kCountBytes + part.size);
  }
  return collect(object, storages, name);
}

}  // namespace

bool is_torch_file(Bytes bytes) { return is_zip(bytes) || begins_with(bytes, kLegacyMagic); }

TorchContents index_torch_file(Bytes bytes, std::string_view name) {
  if (is_zip(bytes)) return index_zip_format(bytes, name);
  FT_REQUIRE(begins_with(bytes, kLegacyMagic), "{} was not written by torch.save: it begins neither as its ZIP nor as its legacy format", name);
  return index_legacy(bytes, name);
}

TorchFile::TorchFile(const std::filesystem::path& path) : file_(path), contents_(index_torch_file(file_.bytes(), path.string())) {}

}  // namespace fettle
