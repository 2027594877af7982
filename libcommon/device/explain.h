#pragma once
// LibTorch's exceptions in our words.

#include <exception>
#include <optional>

#include "base/errors.h"

namespace fettle {

// Out of memory, on the CPU or a GPU: Error(kMachine) that names what was needed. Other exceptions: nothing.
std::optional<Error> explain_exception(const std::exception& exception);

}  // namespace fettle
