#include "base/launch.h"

#include <charconv>
#include <cstdlib>
#include <optional>

#include "base/errors.h"

namespace fettle {
namespace {

constexpr int kMostProcesses = 100000;
constexpr int kDefaultPort = 29500;  // torchrun's

std::string text_of(const ReadEnvironment& read, const char* name) {
  const char* value = read(name);
  return value == nullptr ? "" : value;
}

// What the variable of this name says; nothing for an empty text.
std::optional<int> number_in(const std::string& text, const char* name, int most) {
  if (text.empty()) return std::nullopt;
  int number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  FT_REQUIRE_USAGE(error == std::errc() && end == text.data() + text.size() && number >= 0 && number <= most, "the environment's {} is '{}', expected a number from 0 to {}",
                   name, text, most);
  return number;
}

std::optional<int> number_of(const ReadEnvironment& read, const char* name, int most) { return number_in(text_of(read, name), name, most); }

// "gpu[07-09,12],login" -> "gpu07"
std::string first_host(const std::string& list) {
  const size_t end = list.find_first_of(",[");
  std::string host = list.substr(0, end);
  if (end != std::string::npos && list[end] == '[') host += list.substr(end + 1, list.find_first_of(",-]", end + 1) - end - 1);
  return host;
}

// "4(x2),1" -> 4: tasks of the first machine, which bound those of the others from above for equal shares of the cores.
std::string first_count(const std::string& list) { return list.substr(0, list.find_first_of("(,")); }

Launch slurm_launch(const ReadEnvironment& read, int size) {
  Launch launch;
  launch.size = size;
  launch.rank = number_of(read, "SLURM_PROCID", kMostProcesses).value_or(-1);
  launch.local_rank = number_of(read, "SLURM_LOCALID", kMostProcesses).value_or(0);
  constexpr const char* kPerMachine = "SLURM_STEP_TASKS_PER_NODE";
  launch.local_size = number_in(first_count(text_of(read, kPerMachine)), kPerMachine, kMostProcesses).value_or(1);
  launch.address = text_of(read, "MASTER_ADDR");
  if (launch.address.empty()) launch.address = first_host(text_of(read, "SLURM_STEP_NODELIST"));
  const int job = number_of(read, "SLURM_JOB_ID", 2147483647).value_or(0);
  launch.port = static_cast<uint16_t>(number_of(read, "MASTER_PORT", 65535).value_or(20000 + job % 10000));
  return launch;
}

Launch torchrun_launch(const ReadEnvironment& read, int size) {
  Launch launch;
  launch.size = size;
  launch.rank = number_of(read, "RANK", kMostProcesses).value_or(-1);
  FT_REQUIRE_USAGE(launch.rank >= 0, "WORLD_SIZE is {} but RANK is not set; a launcher such as torchrun sets both", size);
  launch.local_rank = number_of(read, "LOCAL_RANK", kMostProcesses).value_or(launch.rank);
  launch.local_size = number_of(read, "LOCAL_WORLD_SIZE", kMostProcesses).value_or(size);
  launch.address = text_of(read, "MASTER_ADDR");
  launch.port = static_cast<uint16_t>(number_of(read, "MASTER_PORT", 65535).value_or(kDefaultPort));
  launch.launcher_has_store = text_of(read, "TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (const std::string attempt = text_of(read, "TORCHELASTIC_RESTART_COUNT"); !attempt.empty()) launch.attempt = attempt;
  return launch;
}

}  // namespace

Launch read_launch(const ReadEnvironment& read) {
  const std::optional<int> torchrun = number_of(read, "WORLD_SIZE", kMostProcesses);
  // Not SLURM_NTASKS, which a batch script itself sees too.
  const std::optional<int> slurm = torchrun ? std::nullopt : number_of(read, "SLURM_STEP_NUM_TASKS", kMostProcesses);
  const int size = torchrun ? *torchrun : slurm.value_or(1);
  if (size <= 1) return {};
  const Launch launch = torchrun ? torchrun_launch(read, size) : slurm_launch(read, size);
  FT_REQUIRE_USAGE(launch.rank >= 0 && launch.rank < size, "this process has rank {} of {}; ranks go from 0 to {}", launch.rank, size, size - 1);
  FT_REQUIRE_USAGE(launch.local_size >= 1 && launch.local_rank < launch.local_size, "this process has local rank {} of {}", launch.local_rank, launch.local_size);
  FT_REQUIRE_USAGE(!launch.address.empty() && launch.port != 0, "{} processes, but MASTER_ADDR does not say where rank 0 runs; localhost where all run on one machine", size);
  return launch;
}

Launch read_launch() { return read_launch([](const char* name) { return std::getenv(name); }); }

}  // namespace fettle
