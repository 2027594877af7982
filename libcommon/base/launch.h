#pragma once
// Which of several processes this one is, as the launcher says it in the environment. Needs no network and no LibTorch.

#include <cstdint>
#include <functional>
#include <string>

namespace fettle {

struct Launch {
  int rank = 0;        // 0 .. size-1, over all machines
  int size = 1;        // processes of the run
  int local_rank = 0;  // among those of this machine
  int local_size = 1;
  std::string address;        // of the machine where rank 0 runs
  uint16_t port = 0;          // of the store where the processes find each other
  bool launcher_has_store = false;  // torchrun keeps the store itself; otherwise rank 0 does
  std::string attempt = "0";  // torchrun starts all processes again after a failure, with the same store

  bool is_first() const { return rank == 0; }
};

using ReadEnvironment = std::function<const char*(const char* name)>;  // as std::getenv

// torchrun's variables, which a shell can set as well: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT (29500), LOCAL_RANK and
// LOCAL_WORLD_SIZE (those of one machine), TORCHELASTIC_USE_AGENT_STORE, TORCHELASTIC_RESTART_COUNT. Without WORLD_SIZE those that srun
// sets for a step: SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_TASKS_PER_NODE; address: MASTER_ADDR, or the
// first of SLURM_STEP_NODELIST; port: MASTER_PORT, or one that follows from the job's number. Neither: one process.
// Error(kUsage) for what is missing, no number or out of range.
Launch read_launch(const ReadEnvironment& read);
Launch read_launch();  // of this process

}  // namespace fettle
