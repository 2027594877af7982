#include "device/threads.h"

#include <catch2/catch.hpp>

#include <sched.h>

#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::TempDir;
using fettle::test::write_text;

namespace {

// A small /proc/self and /sys/fs/cgroup below one folder.
struct FakeSystem {
  TempDir dir;
  void file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((dir / path).parent_path());
    write_text(dir / path, text);
  }
  std::optional<double> quota() const { return cgroup_cpu_quota(dir / "proc", dir.path()); }
};

constexpr const char* kMount2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";

}  // namespace

TEST_CASE("threads: a control group's quota counts, version 2, the smallest of the group and its parents") {
  FakeSystem fake;
  fake.file("proc/cgroup", "0::/outer/inner\n");
  fake.file("proc/mountinfo", kMount2);
  CHECK_FALSE(fake.quota());
  fake.file("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  CHECK_FALSE(fake.quota());
  fake.file("sys/fs/cgroup/outer/inner/cpu.max", "350000 100000\n");
  CHECK(fake.quota() == 3.5);
  fake.file("sys/fs/cgroup/outer/cpu.max", "150000 100000\n");
  CHECK(fake.quota() == 1.5);
}

TEST_CASE("threads: inside a container the group's path is seen from the mount's own top") {
  FakeSystem fake;
  fake.file("proc/mountinfo", "30 23 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n");
  fake.file("proc/cgroup", "0::/docker/abc/job\n");
  fake.file("sys/fs/cgroup/job/cpu.max", "200000 100000\n");
  CHECK(fake.quota() == 2);
  fake.file("sys/fs/cgroup/cpu.max", "300000 100000\n");
  fake.file("proc/cgroup", "0::/docker/abc\n");
  CHECK(fake.quota() == 3);
  fake.file("proc/cgroup", "0::/../elsewhere\n");  // a group that this mount does not show: its top is all there is
  CHECK(fake.quota() == 3);
}

TEST_CASE("threads: a control group's quota counts, version 1") {
  FakeSystem fake;
  fake.file("proc/cgroup", "5:memory:/x\n4:cpu,cpuacct:/job\n3:cpuset:/\n0::/\n");
  fake.file("proc/mountinfo",
            "31 23 0:27 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"
            "32 23 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n");
  fake.file("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  fake.file("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n");
  CHECK_FALSE(fake.quota());
  fake.file("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "50000\n");
  CHECK(fake.quota() == 0.5);
}

TEST_CASE("threads: files that are missing or hold no numbers mean no limit") {
  FakeSystem fake;
  CHECK_FALSE(fake.quota());
  fake.file("proc/cgroup", "no colons\n0::/\n");
  fake.file("proc/mountinfo", std::string("broken line\n - \n") + kMount2);
  fake.file("sys/fs/cgroup/cpu.max", "words words\n");
  CHECK_FALSE(fake.quota());
}

TEST_CASE("threads: the affinity mask counts, not the machine's cores") {
  cpu_set_t before;
  REQUIRE(sched_getaffinity(0, sizeof before, &before) == 0);
  const int64_t all = available_cpus();
  CHECK(all >= 1);
  CHECK(all <= CPU_COUNT(&before));
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(available_cpus() == 1);
  REQUIRE(sched_setaffinity(0, sizeof before, &before) == 0);
  CHECK(available_cpus() == all);
}
