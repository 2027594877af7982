#pragma once
// A closed reader of the pickles in which PyTorch keeps tensors (protocols 2 to 5). Values are built as data; nothing is imported or
// called. Of the classes and functions that a pickle can name, only those that make tensors are understood:
//
//   collections.OrderedDict                    a dictionary
//   torch._utils._rebuild_tensor, _rebuild_tensor_v2, _rebuild_parameter, and torch.*Storage in persistent ids
//   torch.Size                                 a tuple
//
// Errors (kInput, each starts with `name`): any other name, which is given; opcodes beyond those that such pickles need; truncation;
// a stack, memo or mark that does not hold what an opcode wants; arguments of another shape than torch.save writes.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/safetensors.h"

namespace fettle {

using PickleId = uint32_t;  // index of a value in its Pickle

struct PickleNone {};
struct PickleTuple {
  std::vector<PickleId> items;
};
struct PickleList {
  std::vector<PickleId> items;
};
struct PickleDict {
  std::vector<std::pair<PickleId, PickleId>> items;  // in order; a key may come twice, the last one counts
};
struct PickleGlobal {
  std::string name;  // "torch.FloatStorage"
};
struct PickleStorage {
  Dtype dtype = Dtype::kF32;
  std::string key;
  int64_t num_elements = 0;   // of the root, which the file holds
  int64_t view_offset = 0;    // elements; a part of the root (legacy files)
  int64_t view_elements = 0;
};
struct PickleTensor {
  PickleStorage storage;
  int64_t offset = 0;                   // elements, within the view
  std::vector<int64_t> shape, strides;  // elements; of equal length, not negative
};
// Integers of more than 64 bits, bytes and floats are legal where nothing looks at them.
struct PickleOther {};
using PickleValue = std::variant<PickleNone, bool, int64_t, std::string, PickleTuple, PickleList, PickleDict, PickleGlobal, PickleStorage, PickleTensor, PickleOther>;

struct Pickle {
  std::vector<PickleValue> values;  // may refer to each other in circles
  PickleId root = 0;
  uint64_t bytes = 0;               // up to the end of STOP

  const PickleValue& operator[](PickleId id) const { return values[id]; }
};

// One pickle from the beginning of `bytes`, which may go on behind it.
Pickle read_pickle(std::span<const uint8_t> bytes, std::string_view name);

}  // namespace fettle
