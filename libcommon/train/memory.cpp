#include "train/memory.h"

#include <ATen/DeviceAccelerator.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

namespace fettle {
namespace {

std::optional<uint64_t> number_in(const char* file) {
  std::ifstream in(file);
  uint64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

uint64_t system_available() {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  uint64_t kib = 0;
  while (in >> name >> kib) {
    if (name == "MemAvailable:") return kib * 1024;
    std::getline(in, unit);
  }
  return std::numeric_limits<uint64_t>::max();
}

uint64_t address_space_left() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return std::numeric_limits<uint64_t>::max();
  const uint64_t used = number_in("/proc/self/statm").value_or(0) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

uint64_t control_group_left() {
  const auto limit = number_in("/sys/fs/cgroup/memory.max");  // "max" is no number: no limit
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return std::numeric_limits<uint64_t>::max();
  return *limit > *used ? *limit - *used : 0;
}

}  // namespace

uint64_t available_memory(c10::Device device) {
  if (!device.is_cpu()) return static_cast<uint64_t>(at::accelerator::getMemoryInfo(device.index()).first);
  return std::min({system_available(), address_space_left(), control_group_left()});
}

}  // namespace fettle
