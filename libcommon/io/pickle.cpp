#include "io/pickle.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/errors.h"
#include "base/text.h"

namespace fettle {
namespace {

// Far beyond any network, and less than a gigabyte of values.
constexpr uint64_t kMaxBytes = 64 << 20;  // of one pickle
constexpr size_t kMaxValues = 5'000'000;
constexpr size_t kMaxRank = 16, kMaxArguments = 8, kMaxKeyBytes = 256;

// Opcodes by the names of Python's pickletools.
enum Op : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinPersid = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kAppends = 'e',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kSetItems = 'u',
  kEmptyDict = '}',
  kEmptyList = ']',
  kEmptyTuple = ')',
  kBinFloat = 'G',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

struct StorageType {
  std::string_view name;
  Dtype dtype;
};
constexpr std::array<StorageType, 11> kStorages{{{"torch.FloatStorage", Dtype::kF32},
                                                {"torch.DoubleStorage", Dtype::kF64},
                                                {"torch.HalfStorage", Dtype::kF16},
                                                {"torch.BFloat16Storage", Dtype::kBF16},
                                                {"torch.LongStorage", Dtype::kI64},
                                                {"torch.IntStorage", Dtype::kI32},
                                                {"torch.ShortStorage", Dtype::kI16},
                                                {"torch.CharStorage", Dtype::kI8},
                                                {"torch.ByteStorage", Dtype::kU8},
                                                {"torch.BoolStorage", Dtype::kBool},
                                                {"torch.ComplexFloatStorage", Dtype::kC64}}};
constexpr std::array<std::string_view, 5> kFunctions{"collections.OrderedDict", "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter",
                                                     "torch.Size"};

bool is_storage(std::string_view global) {
  return std::any_of(kStorages.begin(), kStorages.end(), [&](const StorageType& type) { return type.name == global; });
}

class Machine {
 public:
  Machine(std::span<const uint8_t> bytes, std::string_view name) : bytes_(bytes.first(std::min<uint64_t>(bytes.size(), kMaxBytes))), name_(name) {}

  Pickle run() {
    require(!bytes_.empty() && bytes_[0] == kProto, "it does not begin as one of protocol 2 to 5");
    for (uint8_t op; (op = static_cast<uint8_t>(number(1))) != kStop;) step(op);
    pickle_.root = pop();
    pickle_.bytes = at_;
    return std::move(pickle_);
  }

 private:
  using Ids = std::vector<PickleId>;

  template <typename... Args>
  void require(bool condition, fmt::format_string<Args...> text, Args&&... args) const {
    FT_REQUIRE(condition, "{} is truncated or no pickle of tensors: {}", name_, fmt::format(text, std::forward<Args>(args)...));
  }

  // ---- bytes
  std::span<const uint8_t> take(uint64_t count) {
    require(count <= bytes_.size() - at_, "it ends early");
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  uint64_t number(int size) {
    uint64_t value = 0;
    const auto bytes = take(static_cast<uint64_t>(size));
    for (int i = 0; i < size; ++i) value |= uint64_t{bytes[static_cast<size_t>(i)]} << 8 * i;
    return value;
  }
  std::string text(uint64_t count) {
    const auto bytes = take(count);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  std::string line() {
    std::string text;
    for (uint8_t byte; (byte = static_cast<uint8_t>(number(1))) != '\n';) text += static_cast<char>(byte);
    return text;
  }
  void utf8(uint64_t count) {
    std::string value = text(count);
    require(is_utf8(value) || value.empty(), "a text is not UTF-8");
    push(std::move(value));
  }
  // Two's complement, least byte first.
  void long1() {
    const auto bytes = take(number(1));
    if (bytes.size() > 8) return push(PickleOther{});
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) value |= uint64_t{bytes[i]} << 8 * i;
    if (!bytes.empty() && bytes.size() < 8 && bytes.back() >= 0x80) value |= ~uint64_t{0} << 8 * bytes.size();
    push(static_cast<int64_t>(value));
  }

  // ---- stack
  // What is built from more than the bytes that ask for it.
  void spend(size_t values) {
    require(values <= kMaxValues - spent_, "it holds more than {} values", kMaxValues);
    spent_ += values;
  }
  void push(PickleValue value) {
    spend(1);
    pickle_.values.push_back(std::move(value));
    stack_.push_back(static_cast<PickleId>(pickle_.values.size() - 1));
  }
  PickleId pop() {
    require(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "its stack is empty");
    const PickleId id = stack_.back();
    stack_.pop_back();
    return id;
  }
  PickleId top() {
    const PickleId id = pop();
    stack_.push_back(id);
    return id;
  }
  Ids pop_to_mark() {
    require(!marks_.empty(), "a mark is missing");
    Ids ids(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return ids;
  }
  Ids pop_some(size_t count) {
    Ids ids(count);
    for (size_t i = count; i-- > 0;) ids[i] = pop();
    return ids;
  }
  template <typename T>
  T& get(PickleId id, std::string_view what) {
    T* const value = std::get_if<T>(&pickle_.values[id]);
    require(value != nullptr, "expected {}", what);
    return *value;
  }
  // Few items, so that copies of them are cheap.
  Ids fields(PickleId id, std::string_view what) {
    const Ids& items = get<PickleTuple>(id, what).items;
    require(items.size() <= kMaxArguments, "{} fields for {}", items.size(), what);
    return items;
  }
  void append(const Ids& items) {
    auto& list = get<PickleList>(top(), "a list to append to").items;
    list.insert(list.end(), items.begin(), items.end());
  }
  void set_items(const Ids& items) {
    auto& dict = get<PickleDict>(top(), "a dictionary to put into").items;
    require(items.size() % 2 == 0, "a key has no value");
    for (size_t i = 0; i < items.size(); i += 2) dict.emplace_back(items[i], items[i + 1]);
  }
  void memoize(uint64_t key) { memo_[key] = top(); }
  void recall(uint64_t key) {
    const auto found = memo_.find(key);
    require(found != memo_.end(), "nothing is memorised as {}", key);
    stack_.push_back(found->second);
  }

  // ---- what names stand for
  void global(const std::string& module, const std::string& name) {
    const std::string full = module + "." + name;
    FT_REQUIRE(is_storage(full) || std::find(kFunctions.begin(), kFunctions.end(), full) != kFunctions.end(),
               "{} asks for {}, and nothing is called on a file's behalf: expected tensors, as torch.save(model.state_dict(), ...) writes them", name_, quote(full));
    push(PickleGlobal{full});
  }

  std::vector<int64_t> sizes(PickleId id) {
    const PickleTuple& tuple = get<PickleTuple>(id, "a tuple of sizes");
    require(tuple.items.size() <= kMaxRank, "a tensor has {} dimensions", tuple.items.size());
    std::vector<int64_t> sizes;
    for (const PickleId item : tuple.items) {
      sizes.push_back(get<int64_t>(item, "a size"));
      require(sizes.back() >= 0, "a size or stride is {}", sizes.back());
    }
    return sizes;
  }

  void reduce() {
    const Ids call = pop_some(2);
    const std::string function = get<PickleGlobal>(call[0], "a function").name;
    const Ids args = fields(call[1], "a function's arguments");
    if (function == "collections.OrderedDict") {
      PickleDict dict;
      require(args.size() <= 1, "OrderedDict of {} arguments", args.size());
      if (args.size() == 1) {
        const Ids& pairs = get<PickleList>(args[0], "a list of pairs").items;
        spend(pairs.size());
        for (const PickleId pair : pairs) {
          const auto* list = std::get_if<PickleList>(&pickle_.values[pair]);
          const auto* tuple = std::get_if<PickleTuple>(&pickle_.values[pair]);
          const Ids* items = list != nullptr ? &list->items : tuple != nullptr ? &tuple->items : nullptr;
          require(items != nullptr && items->size() == 2, "expected a pair");
          dict.items.emplace_back((*items)[0], (*items)[1]);
        }
      }
      return push(std::move(dict));
    }
    if (function == "torch.Size") {
      require(args.size() == 1, "torch.Size of {} arguments", args.size());
      return push(PickleTuple{fields(args[0], "sizes")});
    }
    if (function == "torch._utils._rebuild_parameter") {
      require(args.size() == 3, "a parameter of {} arguments", args.size());
      return push(PickleTensor(get<PickleTensor>(args[0], "a parameter's tensor")));
    }
    const bool v2 = function == "torch._utils._rebuild_tensor_v2";
    require(v2 || function == "torch._utils._rebuild_tensor", "{} cannot be called", quote(function));
    require(v2 ? args.size() == 6 || args.size() == 7 : args.size() == 4, "a tensor of {} arguments", args.size());
    PickleTensor tensor{get<PickleStorage>(args[0], "a tensor's storage"), get<int64_t>(args[1], "a tensor's offset"), sizes(args[2]), sizes(args[3])};
    require(tensor.shape.size() == tensor.strides.size(), "a tensor has {} sizes and {} strides", tensor.shape.size(), tensor.strides.size());
    require(tensor.offset >= 0, "a tensor's offset is {}", tensor.offset);
    push(std::move(tensor));
  }

  // ("storage", type, key, location, elements), in legacy files with None or (key, offset, elements) of a part of it.
  void persistent() {
    const Ids id = fields(pop(), "a persistent id");
    require((id.size() == 5 || id.size() == 6) && get<std::string>(id[0], "a kind of persistent id") == "storage", "a persistent id is no storage");
    const std::string type = get<PickleGlobal>(id[1], "a storage's type").name;
    const auto found = std::find_if(kStorages.begin(), kStorages.end(), [&](const StorageType& known) { return known.name == type; });
    require(found != kStorages.end(), "{} is no storage", quote(type));
    PickleStorage storage{found->dtype, get<std::string>(id[2], "a storage's key"), get<int64_t>(id[4], "a storage's size"), 0, 0};
    storage.view_elements = storage.num_elements;
    require(storage.key.size() <= kMaxKeyBytes, "a storage's key has {} bytes", storage.key.size());
    require(storage.num_elements >= 0, "a storage has {} elements", storage.num_elements);
    if (id.size() == 6 && !std::holds_alternative<PickleNone>(pickle_.values[id[5]])) {
      const Ids view = fields(id[5], "a part of a storage");
      require(view.size() == 3, "a part of a storage has {} fields", view.size());
      storage.view_offset = get<int64_t>(view[1], "an offset");
      storage.view_elements = get<int64_t>(view[2], "a size");
      require(storage.view_offset >= 0 && storage.view_elements >= 0, "a part of a storage lies outside of it");
    }
    push(std::move(storage));
  }

  void step(uint8_t op) {
    switch (op) {
      case kProto: {
        const uint64_t protocol = number(1);
        return require(protocol >= 2 && protocol <= 5, "it is of protocol {}", protocol);
      }
      case kFrame: return static_cast<void>(number(8));
      case kMark: return marks_.push_back(stack_.size());
      case kPop: return static_cast<void>(pop());
      case kNone: return push(PickleNone{});
      case kNewTrue: return push(true);
      case kNewFalse: return push(false);
      case kBinInt: return push(int64_t{static_cast<int32_t>(number(4))});
      case kBinInt1: return push(static_cast<int64_t>(number(1)));
      case kBinInt2: return push(static_cast<int64_t>(number(2)));
      case kLong1: return long1();
      case kBinFloat: take(8); return push(PickleOther{});
      case kBinBytes: take(number(4)); return push(PickleOther{});
      case kShortBinBytes: take(number(1)); return push(PickleOther{});
      case kBinString: return utf8(number(4));
      case kShortBinString: return utf8(number(1));
      case kBinUnicode: return utf8(number(4));
      case kShortBinUnicode: return utf8(number(1));
      case kBinUnicode8: return utf8(number(8));
      case kEmptyDict: return push(PickleDict{});
      case kEmptyList: return push(PickleList{});
      case kEmptyTuple: return push(PickleTuple{});
      case kTuple: return push(PickleTuple{pop_to_mark()});
      case kTuple1: return push(PickleTuple{pop_some(1)});
      case kTuple2: return push(PickleTuple{pop_some(2)});
      case kTuple3: return push(PickleTuple{pop_some(3)});
      case kAppend: return append(pop_some(1));
      case kAppends: return append(pop_to_mark());
      case kSetItem: return set_items(pop_some(2));
      case kSetItems: return set_items(pop_to_mark());
      case kBinPut: return memoize(number(1));
      case kLongBinPut: return memoize(number(4));
      case kMemoize: return memoize(memo_.size());
      case kBinGet: return recall(number(1));
      case kLongBinGet: return recall(number(4));
      case kGlobal: {
        const std::string module = line();
        return global(module, line());
      }
      case kStackGlobal: {
        const Ids names = pop_some(2);
        return global(get<std::string>(names[0], "a module's name"), get<std::string>(names[1], "a name"));
      }
      case kReduce: return reduce();
      // Attributes of an OrderedDict (state_dict's _metadata) say nothing about its tensors.
      case kBuild:
        pop();
        return static_cast<void>(get<PickleDict>(top(), "a dictionary that has attributes"));
      case kBinPersid: return persistent();
      default: require(false, "opcode 0x{:02x} at byte {}", op, at_ - 1);
    }
  }

  std::span<const uint8_t> bytes_;
  std::string_view name_;
  uint64_t at_ = 0;
  Pickle pickle_;
  size_t spent_ = 0;
  Ids stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleId> memo_;
};

}  // namespace

Pickle read_pickle(std::span<const uint8_t> bytes, std::string_view name) { return Machine(bytes, name).run(); }

}  // namespace fettle
