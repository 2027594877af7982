#pragma once
// How many threads this process may use: not the machine's cores, but what the affinity mask (taskset, Slurm) and the
// control group's CPU quota (containers) leave of them.

#include <cstdint>
#include <filesystem>
#include <optional>

namespace fettle {

// At least 1. A quota of 2.5 CPUs is 2 threads: a third one would be throttled half of its time.
int64_t available_cpus();

// CPUs that the control groups allow, the smallest of the process's group and its parents, versions 1 and 2; nothing when
// there is no limit. `proc_self` holds the files `cgroup` and `mountinfo`; the mount points named there are taken below
// `root`. (The parameters are for tests.)
std::optional<double> cgroup_cpu_quota(const std::filesystem::path& proc_self = "/proc/self", const std::filesystem::path& root = "/");

}  // namespace fettle
