#include "io/pickle.h"
#include "tests/fuzz/fuzz.h"

using namespace fettle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return fuzz::expect_answer(data, size, [](std::span<const uint8_t> bytes) {
    const Pickle pickle = read_pickle(bytes, "fuzz");
    fuzz::demand(pickle.bytes <= bytes.size() && pickle.root < pickle.values.size(), "a pickle has a root and ends in its file");
    const auto known = [&](PickleId id) { fuzz::demand(id < pickle.values.size(), "every item is a value"); };
    for (const PickleValue& value : pickle.values) {
      if (const auto* tuple = std::get_if<PickleTuple>(&value)) {
        for (const PickleId id : tuple->items) known(id);
      } else if (const auto* list = std::get_if<PickleList>(&value)) {
        for (const PickleId id : list->items) known(id);
      } else if (const auto* dict = std::get_if<PickleDict>(&value)) {
        for (const auto& [key, item] : dict->items) known(key), known(item);
      } else if (const auto* tensor = std::get_if<PickleTensor>(&value)) {
        fuzz::demand(tensor->shape.size() == tensor->strides.size() && tensor->offset >= 0, "a tensor has a stride for each size");
      }
    }
  });
}
