#include "device/explain.h"

#include <c10/util/Exception.h>

#include <charconv>
#include <cstdint>
#include <new>
#include <string_view>

#include "base/human.h"

namespace fettle {
namespace {

// The text between `before` and `after`, or nothing.
std::optional<std::string> between(std::string_view text, std::string_view before, std::string_view after) {
  const size_t start = text.find(before);
  if (start == std::string_view::npos) return std::nullopt;
  text.remove_prefix(start + before.size());
  const size_t end = text.find(after);
  if (end == std::string_view::npos) return std::nullopt;
  return std::string(text.substr(0, end));
}

Error out_of_memory(const std::string& where, const std::string& needed) {
  return {ExitCode::kMachine, fmt::format("out of memory on {}: {} more were needed at once", where, needed), "try a smaller --batch-size"};
}

}  // namespace

std::optional<Error> explain_exception(const std::exception& exception) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&exception);
  const std::string_view text = torch_error != nullptr ? torch_error->what_without_backtrace() : exception.what();
  // "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which ..."
  if (dynamic_cast<const c10::OutOfMemoryError*>(&exception) != nullptr) {
    const auto needed = between(text, "Tried to allocate ", ". ");
    const auto gpu = between(text, "GPU ", " has");
    return out_of_memory(gpu ? "cuda:" + *gpu : "the device", needed.value_or("unknown bytes"));
  }
  // "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1099511627776 bytes. Error code 12 (...)"
  if (const auto digits = between(text, "you tried to allocate ", " bytes"); digits && text.find("can't allocate memory") != std::string_view::npos) {
    uint64_t bytes = 0;
    std::from_chars(digits->data(), digits->data() + digits->size(), bytes);
    return out_of_memory("this machine", human_bytes(bytes));
  }
  if (dynamic_cast<const std::bad_alloc*>(&exception) != nullptr) return out_of_memory("this machine", "unknown bytes");
  return std::nullopt;
}

}  // namespace fettle
