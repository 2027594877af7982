#include "io/file.h"

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/support/expect_error.h"
#include "tests/support/skip.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::test;

namespace {

int num_entries(const std::filesystem::path& folder) {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator()));
}

// What a process killed by SIGKILL leaves: runs `body` in a child that then ends without unwinding.
template <class Body>
void in_killed_process(Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
}

// Root is allowed everything: for permission tests it becomes nobody for a while.
class AsNobody {
 public:
  AsNobody() { CHECK((before_ != 0 || seteuid(65534) == 0)); }
  ~AsNobody() { CHECK(seteuid(before_) == 0); }

 private:
  uid_t before_ = geteuid();
};

}  // namespace

TEST_CASE("file: a bounded read gives all or an error") {
  TempDir dir;
  write_text(dir / "five", "12345");
  CHECK(read_file(dir / "five", 5) == "12345");
  CHECK(read_file(dir / "five", 1'000'000'000'000) == "12345");
  write_text(dir / "big", std::string(200'000, 'b'));
  CHECK(read_file(dir / "big", 200'000) == std::string(200'000, 'b'));
  expect_error(ExitCode::kInput, "larger than the 199999 bytes", [&] { read_file(dir / "big", 199'999); });
  expect_error(ExitCode::kInput, "five", [&] { read_file(dir / "five", 4); });
  expect_error(ExitCode::kInput, "No such file", [&] { read_file(dir / "none", 10); });
  expect_error(ExitCode::kInput, "Is a directory", [&] { read_file(dir.path(), 10); });
}

TEST_CASE("file: reading what has no size, a pipe, is bounded too") {
  TempDir dir;
  const auto pipe = dir / "pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::thread writer([&] { write_text(pipe, "through a pipe"); });
  CHECK(read_file(pipe, 100) == "through a pipe");
  writer.join();
}

TEST_CASE("file: reading without permission is the input's fault") {
  TempDir dir;
  write_text(dir / "secret", "x");
  REQUIRE(chmod((dir / "secret").c_str(), 0) == 0);
  const AsNobody nobody;
  expect_error(ExitCode::kInput, "Permission denied", [&] { read_file(dir / "secret", 10); });
}

TEST_CASE("atomic file: appears at commit, whole, and replaces") {
  TempDir dir;
  write_text(dir / "a", "old");
  {
    AtomicFile file(dir / "a");
    file.write("new ");
    const std::vector<uint8_t> bytes{'o', 'n', 'e'};
    file.write(bytes);
    CHECK(file.bytes_written() == 7);
    CHECK(read_text(dir / "a") == "old");
    file.commit();
  }
  CHECK(read_text(dir / "a") == "new one");
  CHECK(num_entries(dir.path()) == 1);
  const mode_t mask = umask(0);
  umask(mask);
  CHECK((static_cast<unsigned>(std::filesystem::status(dir / "a").permissions())) == (0666u & ~mask));
  write_file_atomic(dir / "a", "");
  CHECK(read_text(dir / "a").empty());
}

TEST_CASE("atomic file: without commit nothing changes and nothing stays") {
  TempDir dir;
  write_text(dir / "a", "old");
  { AtomicFile(dir / "a").write("half"); }
  CHECK(read_text(dir / "a") == "old");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("atomic file: writing after the commit is a bug") {
  TempDir dir;
  AtomicFile file(dir / "a");
  file.commit();
  expect_error(ExitCode::kBug, "committed", [&] { file.write("x"); });
  expect_error(ExitCode::kBug, "committed", [&] { file.commit(); });
}

TEST_CASE("atomic file: a name in the current folder needs no slash") {
  TempDir dir;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  write_file_atomic("plain", "x");
  std::filesystem::current_path(before);
  CHECK(read_text(dir / "plain") == "x");
}

TEST_CASE("atomic file: a folder that is missing or no folder is the machine's fault and named") {
  TempDir dir;
  expect_error(ExitCode::kMachine, "cannot write '" + (dir / "none/a").string() + "': No such file", [&] { write_file_atomic(dir / "none/a", "x"); });
  write_text(dir / "plain", "x");
  expect_error(ExitCode::kMachine, "Not a directory", [&] { write_file_atomic(dir / "plain/a", "x"); });
}

TEST_CASE("atomic file: a folder without permission to write is the machine's fault") {
  TempDir dir;
  REQUIRE(chmod(dir.path().c_str(), 0555) == 0);
  const AsNobody nobody;
  expect_error(ExitCode::kMachine, "Permission denied", [&] { write_file_atomic(dir / "a", "x"); });
  expect_error(ExitCode::kMachine, "Permission denied", [&] { AtomicDirectory out(dir / "run"); });
}

TEST_CASE("atomic directory: appears at commit with all that was put in") {
  TempDir dir;
  {
    AtomicDirectory out(dir / "run");
    write_text(out.path() / "model", "weights");
    std::filesystem::create_directories(out.path() / "sub/deep");
    write_text(out.path() / "sub/deep/file", "x");
    std::filesystem::create_symlink("nowhere", out.path() / "dangling");
    CHECK_FALSE(std::filesystem::exists(dir / "run"));
    CHECK(out.path().parent_path() == dir.path());
    out.commit();
  }
  CHECK(read_text(dir / "run/model") == "weights");
  CHECK(read_text(dir / "run/sub/deep/file") == "x");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("atomic directory: a trailing slash means the same folder") {
  TempDir dir;
  AtomicDirectory out(dir / "run/");
  out.commit();
  CHECK(std::filesystem::is_directory(dir / "run"));
}

TEST_CASE("atomic directory: without commit nothing stays") {
  TempDir dir;
  {
    AtomicDirectory out(dir / "run");
    write_text(out.path() / "half", "x");
  }
  CHECK(num_entries(dir.path()) == 0);
}

TEST_CASE("atomic directory: a name that is taken keeps what it has") {
  TempDir dir;
  std::filesystem::create_directory(dir / "run");
  write_text(dir / "run/precious", "x");
  {
    AtomicDirectory out(dir / "run");
    write_text(out.path() / "other", "y");
    expect_error(ExitCode::kMachine, "not empty", [&] { out.commit(); });
  }
  CHECK(read_text(dir / "run/precious") == "x");
  CHECK(num_entries(dir.path()) == 1);
}

TEST_CASE("stale temporaries: those of dead processes go, those of the living and of others stay") {
  TempDir dir;
  in_killed_process([&] {
    (new AtomicDirectory(dir / "run"))->path();
    (new AtomicFile(dir / "run"))->write("half");
    (new AtomicFile(dir / "other"))->write("half");
  });
  CHECK(num_entries(dir.path()) == 3);
  AtomicDirectory living(dir / "run");
  AtomicFile living_file(dir / "run");
  write_text(dir / ".run.tmp-longer-name", "a user's own");

  CHECK(remove_stale_temporaries(dir / "run/") == 2);
  CHECK(std::filesystem::exists(living.path()));
  CHECK(std::filesystem::exists(dir / ".run.tmp-longer-name"));
  CHECK(num_entries(dir.path()) == 4);
  CHECK(remove_stale_temporaries(dir / "run") == 0);
  CHECK(remove_stale_temporaries(dir / "no/such/folder") == 0);
  // Of all targets in the folder: the dead process's other one alone.
  write_text(dir / ".tmp-abcdef", "no target");
  CHECK(remove_stale_temporaries_in(dir.path()) == 1);
  CHECK(num_entries(dir.path()) == 4);
  CHECK(remove_stale_temporaries_in(dir / "no/such/folder") == 0);
  living.commit();
}

TEST_CASE("full disk: an atomic file says how much is free, and what was there stays") {
  SmallDisk disk(64 << 10);
  if (disk.path().empty()) return skip("mounting a tmpfs is not permitted");
  write_file_atomic(disk.path() / "a", "old");
  expect_error(ExitCode::kMachine, "cannot write '" + (disk.path() / "a").string() + "': No space left on device", [&] { write_file_atomic(disk.path() / "a", std::string(100'000, 'x')); });
  expect_error(ExitCode::kMachine, "are free there ('" + disk.path().string() + "')", [&] { write_file_atomic(disk.path() / "a", std::string(100'000, 'x')); });
  CHECK(read_text(disk.path() / "a") == "old");
  CHECK(disk.num_entries() == 1);
}

TEST_CASE("full disk: an atomic directory leaves nothing") {
  SmallDisk disk(64 << 10);
  if (disk.path().empty()) return skip("mounting a tmpfs is not permitted");
  expect_error(ExitCode::kMachine, "No space left", [&] {
    AtomicDirectory out(disk.path() / "run");
    write_file_atomic(out.path() / "first", std::string(20'000, 'x'));
    write_file_atomic(out.path() / "second", std::string(60'000, 'x'));
    out.commit();
  });
  CHECK(disk.num_entries() == 0);
  // And the disk is usable again.
  write_file_atomic(disk.path() / "later", std::string(50'000, 'x'));
}
