#pragma once
// How much memory a computation can still get.

#include <c10/core/Device.h>

#include <cstdint>

namespace fettle {

// CPU: the least of what the system has available, what the control group leaves, and what the address-space limit leaves.
uint64_t available_memory(c10::Device device);

}  // namespace fettle
