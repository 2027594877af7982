#include "base/launch.h"

#include <catch2/catch.hpp>

#include <map>
#include <string>

#include "tests/support/expect_error.h"

using namespace fettle;
using fettle::test::expect_error;

namespace {

Launch launch_of(const std::map<std::string, std::string>& variables) {
  return read_launch([&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_CASE("launch: without a launcher there is one process") {
  CHECK(launch_of({}).size == 1);
  CHECK(launch_of({{"WORLD_SIZE", "1"}}).size == 1);
  CHECK(launch_of({{"WORLD_SIZE", "1"}, {"RANK", "0"}, {"SLURM_STEP_NUM_TASKS", "4"}}).size == 1);
  // A batch script's own environment, outside of srun.
  CHECK(launch_of({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}}).size == 1);
}

TEST_CASE("launch: torchrun's variables, and what a shell leaves out of them") {
  const Launch all = launch_of({{"WORLD_SIZE", "4"}, {"RANK", "3"}, {"LOCAL_RANK", "1"}, {"LOCAL_WORLD_SIZE", "2"}, {"MASTER_ADDR", "node7"}, {"MASTER_PORT", "1234"},
                                {"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", "2"}});
  CHECK((all.rank == 3 && all.size == 4 && all.local_rank == 1 && all.local_size == 2));
  CHECK((all.address == "node7" && all.port == 1234 && all.launcher_has_store && all.attempt == "2"));
  const Launch shell = launch_of({{"WORLD_SIZE", "2"}, {"RANK", "1"}, {"MASTER_ADDR", "localhost"}});
  CHECK((shell.local_rank == 1 && shell.local_size == 2 && shell.port == 29500 && !shell.launcher_has_store));
}

TEST_CASE("launch: srun's variables") {
  const Launch launch = launch_of({{"SLURM_STEP_NUM_TASKS", "6"}, {"SLURM_PROCID", "5"}, {"SLURM_LOCALID", "1"}, {"SLURM_STEP_TASKS_PER_NODE", "4,2"},
                                   {"SLURM_STEP_NODELIST", "gpu[07-08]"}, {"SLURM_JOB_ID", "123456"}});
  CHECK((launch.rank == 5 && launch.size == 6 && launch.local_rank == 1 && launch.local_size == 4));
  CHECK((launch.address == "gpu07" && launch.port == 23456));
  CHECK(launch_of({{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_TASKS_PER_NODE", "1(x2)"}, {"SLURM_STEP_NODELIST", "a,b[1-2]"}}).address == "a");
}

TEST_CASE("launch: what contradicts itself is refused") {
  expect_error(ExitCode::kUsage, "RANK is not set", [] { launch_of({{"WORLD_SIZE", "2"}, {"MASTER_ADDR", "localhost"}}); });
  expect_error(ExitCode::kUsage, "rank 2 of 2", [] { launch_of({{"WORLD_SIZE", "2"}, {"RANK", "2"}, {"LOCAL_WORLD_SIZE", "4"}, {"MASTER_ADDR", "localhost"}}); });
  expect_error(ExitCode::kUsage, "MASTER_ADDR", [] { launch_of({{"WORLD_SIZE", "2"}, {"RANK", "0"}}); });
  expect_error(ExitCode::kUsage, "WORLD_SIZE is 'two'", [] { launch_of({{"WORLD_SIZE", "two"}}); });
  expect_error(ExitCode::kUsage, "MASTER_PORT is '70000'", [] { launch_of({{"WORLD_SIZE", "2"}, {"RANK", "0"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "70000"}}); });
  expect_error(ExitCode::kUsage, "local rank 3 of 2", [] { launch_of({{"WORLD_SIZE", "4"}, {"RANK", "3"}, {"LOCAL_WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}}); });
}
