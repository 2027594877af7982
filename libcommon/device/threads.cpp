#include "device/threads.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/text.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

int64_t affinity_cpus() {
  // The mask must hold every CPU that the kernel knows; it says EINVAL when it does not.
  for (size_t cpus = 1024; cpus <= size_t{1} << 20; cpus *= 2) {
    const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(cpus), [](cpu_set_t* set) { CPU_FREE(set); });
    const size_t bytes = CPU_ALLOC_SIZE(cpus);
    if (mask != nullptr && sched_getaffinity(0, bytes, mask.get()) == 0) return CPU_COUNT_S(bytes, mask.get());
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

bool has_word(const std::string& list, const std::string& word) {
  const auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

// The path of the process's group in the hierarchy that carries the cpu controller. A line of /proc/self/cgroup is
// "id:controllers:path"; version 2 has id 0 and no controllers.
std::optional<std::string> group_path(const fs::path& proc_self, bool version2) {
  std::ifstream in(proc_self / "cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (version2 ? controllers.empty() : has_word(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

struct Mount {
  std::string group;  // the group that the mount shows as its top
  fs::path point;
};

// A line of mountinfo: "36 35 98:0 <group> <point> <options> [tags] - <type> <source> <super options>".
std::optional<Mount> find_mount(const fs::path& proc_self, bool version2) {
  std::ifstream in(proc_self / "mountinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream head(line.substr(0, dash)), tail(line.substr(dash + 3));
    std::string skip, group, point, type, source, options;
    head >> skip >> skip >> skip >> group >> point;
    tail >> type >> source >> options;
    if (version2 ? type == "cgroup2" : type == "cgroup" && has_word(options, "cpu")) return Mount{group, point};
  }
  return std::nullopt;
}

std::optional<double> read_number(const fs::path& file) {
  std::ifstream in(file);
  double number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

// Of one group: "max 100000" or "250000 100000" in version 2; -1 means no limit in version 1.
std::optional<double> group_quota(const fs::path& group, bool version2) {
  std::optional<double> quota, period;
  if (version2) {
    std::ifstream in(group / "cpu.max");
    double q = 0, p = 0;
    if (in >> q >> p) quota = q, period = p;
  } else {
    quota = read_number(group / "cpu.cfs_quota_us");
    period = read_number(group / "cpu.cfs_period_us");
  }
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

std::optional<double> smaller(std::optional<double> a, std::optional<double> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const fs::path& proc_self, const fs::path& root) {
  std::optional<double> quota;
  for (const bool version2 : {true, false}) {
    const auto path = group_path(proc_self, version2);
    const auto mount = find_mount(proc_self, version2);
    if (!path || !mount) continue;
    // A container may see only its own part of the tree: what the mount shows as top comes off the path.
    fs::path below = fs::path(*path).lexically_relative(mount->group);
    if (below.empty() || *below.begin() == "..") below = ".";
    const fs::path top = root / mount->point.relative_path();
    fs::path group = (top / below).lexically_normal();
    for (const auto& part : below.lexically_normal()) {
      quota = smaller(quota, group_quota(group, version2));
      if (part != ".") group = group.parent_path();
    }
    quota = smaller(quota, group_quota(top, version2));
  }
  return quota;
}

int64_t available_cpus() {
  const int64_t cpus = affinity_cpus();
  const auto quota = cgroup_cpu_quota();
  return std::max<int64_t>(1, quota ? std::min(cpus, static_cast<int64_t>(*quota)) : cpus);
}

}  // namespace fettle
