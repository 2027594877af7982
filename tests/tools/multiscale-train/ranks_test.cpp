// multiscale-train in several processes, as torchrun or a shell loop starts them.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <fstream>
#include <future>
#include <map>
#include <nlohmann/json.hpp>

#include "artifact/manifest.h"
#include "io/safetensors.h"
#include "tests/support/idx_files.h"
#include "tests/support/process.h"
#include "tests/support/ranks.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::ProcessResult;
namespace fs = std::filesystem;

namespace {

using Command = std::vector<std::string>;

Command with(Command command, const Command& more) {
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

class Playground {
 public:
  Playground() { test::write_small_idx_dataset(dir_ / "data"); }
  fs::path operator/(std::string_view name) const { return dir_ / name; }

  Command command(const std::string& out, const Command& more) const {
    Command all = {FETTLE_MULTISCALE_TRAIN, "--data", (dir_ / "data").string(), "--sampler", "msc-vbs", "--size", "12", "--sizes", "8:16:3", "--size-multiple", "4",
                   "--batch-size", "25", "--device", "cpu", "--threads", "1", "--log-interval", "3", "--seed", "5", "--precision", "fp32", "--out", (dir_ / out).string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  ProcessResult alone(const std::string& out, const Command& more) const { return test::run_process(command(out, more)); }

  // `command`, sent `signal` (and then KILL, after so many seconds) when the run in `out` has written its first line, so surely trains. Ends
  // with the command's own exit code.
  Command signalled(const std::string& signal, const std::string& out, const Command& command, const std::string& kill_after_s = "") const {
    const std::string script = R"("$@" & process=$!
      until [ -s "$0" ] || ! kill -0 $process 2>/dev/null; do sleep 0.02; done
      kill -)" + signal + " $process\n" + (kill_after_s.empty() ? "" : "sleep " + kill_after_s + "\nkill -KILL $process\n") + "wait $process";
    return with({"bash", "-c", script, (dir_ / out / "metrics.jsonl").string()}, command);
  }

  // By rank. `of` makes each rank's command line out of the common one.
  std::vector<ProcessResult> ranks(const std::string& out, const Command& more, const std::function<Command(int, Command)>& of = [](int, Command c) { return c; }) const {
    return test::run_ranks(2, [&](int rank) { return of(rank, command(out, more)); });
  }

 private:
  test::TempDir dir_;
};

void require_done(const std::vector<ProcessResult>& results) {
  for (const ProcessResult& result : results) {
    INFO(result.err);
    REQUIRE(result.code == 0);
  }
  // Rank 0 speaks for all.
  CHECK_FALSE(results[0].out.empty());
  CHECK(results[1].out.empty());
  CHECK(results[1].err.empty());
}

// The largest difference of any floating weight, over the largest weight of its tensor.
double largest_difference(const fs::path& a, const fs::path& b) {
  const SafetensorsFile one(a / "model.safetensors"), other(b / "model.safetensors");
  double largest = 0;
  for (const TensorInfo& info : one.tensors()) {
    const TensorInfo* match = other.find(info.name);
    REQUIRE(match != nullptr);
    const auto x = one.bytes(info), y = other.bytes(*match);
    REQUIRE(x.size() == y.size());
    if (info.dtype != Dtype::kF32) {
      CHECK(std::equal(x.begin(), x.end(), y.begin()));
      continue;
    }
    double scale = 1e-6, difference = 0;
    for (size_t i = 0; i < x.size(); i += sizeof(float)) {
      float u = 0, v = 0;
      std::memcpy(&u, x.data() + i, sizeof(float));
      std::memcpy(&v, y.data() + i, sizeof(float));
      scale = std::max(scale, std::abs(static_cast<double>(u)));
      difference = std::max(difference, std::abs(static_cast<double>(u) - static_cast<double>(v)));
    }
    largest = std::max(largest, difference / scale);
  }
  return largest;
}

std::string id_of(const fs::path& run) { return manifest_id(read_manifest(run)); }

// A network without batch norm, and a learning rate that keeps rounding from growing.
const Command kTransformer = {"--arch", "vit_tiny_patch16_224", "--arch-options", R"({"image_size": 12, "patch_size": 4, "width": 24, "depth": 2, "num_heads": 2})", "--lr", "0.01", "--epochs", "2"};
const Command kResNet = {"--lr", "0.02", "--epochs", "2"};

}  // namespace

TEST_CASE("multiscale-train: two processes train the network that one does with the same batches") {
  const Playground here;
  const Command flags = with(kTransformer, {"--model-ema", "--grad-accum-steps", "2", "--clip-grad-norm", "1"});
  const ProcessResult alone = here.alone("one", flags);
  INFO(alone.err);
  REQUIRE(alone.code == 0);
  require_done(here.ranks("two", flags));
  CHECK(largest_difference(here / "one", here / "two") < 2e-4);
  const Json one = read_manifest(here / "one").metrics, two = read_manifest(here / "two").metrics;
  for (const char* metric : {"val_nll", "ema_val_nll", "val_top1_percent", "val_top1_percent_at_8", "train_multiply_adds", "train_steps"}) {
    INFO(metric);
    CHECK(two.at(metric).get<double>() == Approx(one.at(metric).get<double>()).epsilon(1e-4));
  }
  CHECK(read_manifest(here / "two").run.at("processes") == 2);
  // Losses of the log are those of all samples.
  std::ifstream a(here / "one/metrics.jsonl"), b(here / "two/metrics.jsonl");
  std::string x, y;
  int lines = 0;
  while (std::getline(a, x)) {
    REQUIRE(std::getline(b, y));
    const Json left = Json::parse(x), right = Json::parse(y);
    REQUIRE(left.at("event") == right.at("event"));
    if (left.contains("loss")) {
      CHECK(left.at("loss").get<double>() == Approx(right.at("loss").get<double>()).epsilon(1e-4));
      CHECK(left.at("height") == right.at("height"));
      ++lines;
    }
  }
  CHECK(lines > 3);
}

TEST_CASE("multiscale-train: batch norm of each process's share, or of the whole batch") {
  const Playground here;
  // Two steps: batch norm over so few random images amplifies rounding from step to step.
  const Command few = with(kResNet, {"--max-steps", "2", "--lr-warmup-steps", "0"});
  REQUIRE(here.alone("one", few).code == 0);
  require_done(here.ranks("synced", with(few, {"--sync-batch-norm"})));
  require_done(here.ranks("unsynced", few));
  CHECK(largest_difference(here / "one", here / "synced") < 0.02);
  CHECK(largest_difference(here / "one", here / "unsynced") > 0.2);
  require_done(here.ranks("local", kResNet));
  // Twice the same is the same to the bit.
  require_done(here.ranks("again", kResNet));
  CHECK(id_of(here / "local") == id_of(here / "again"));
}

TEST_CASE("multiscale-train: processes stop together, and go on as if they never had, on as many of them") {
  const Playground here;
  const Command flags = Command{"--lr", "0.02", "--epochs", "12", "--save-every", "2"};
  require_done(here.ranks("whole", flags));
  // Only one of them is told to stop.
  const auto stopped = here.ranks("cut", flags, [&](int rank, Command command) { return rank == 0 ? command : here.signalled("TERM", "cut", command); });
  INFO(stopped[0].err << stopped[1].err);
  REQUIRE((stopped[0].code == 143 && stopped[1].code == 143));
  const ProcessResult fewer = here.alone("cut", with(flags, {"--resume"}));
  CHECK(fewer.code == 2);
  CHECK_THAT(fewer.err, Catch::Contains("by a run of 2 processes; here they are 1"));
  require_done(here.ranks("cut", with(flags, {"--resume"})));
  CHECK(id_of(here / "whole") == id_of(here / "cut"));
}

TEST_CASE("multiscale-train: fewer processes go on with --allow-drift") {
  const Playground here;
  const Command flags = {"--lr", "0.02", "--epochs", "12", "--save-every", "1"};
  const auto stopped = here.ranks("run", flags, [&](int, const Command& command) { return here.signalled("TERM", "run", command); });
  INFO(stopped[0].err << stopped[1].err);
  REQUIRE((stopped[0].code == 143 && stopped[1].code == 143));
  const ProcessResult alone = here.alone("run", with(flags, {"--resume", "--allow-drift"}));
  INFO(alone.err);
  CHECK(alone.code == 0);
  CHECK_THAT(alone.err, Catch::Contains("resuming " + (here / "run").string() + " at step ") && !Catch::Contains("at step 0\n"));
}

TEST_CASE("multiscale-train: one process's end is everybody's, with its reason") {
  const Playground here;
  const auto began = std::chrono::steady_clock::now();
  // Killed without a word.
  const auto killed = here.ranks("killed", Command{"--lr", "0.02", "--epochs", "10000", "--save-every", "1"},
                                 [&](int rank, Command command) { return rank == 0 ? command : here.signalled("KILL", "killed", command); });
  INFO(killed[0].err);
  CHECK(killed[0].code == 4);
  CHECK_THAT(killed[0].err, Catch::Contains("another process of this run is gone"));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(40));
  CHECK(fs::exists(here / "killed/state"));

  // Alive, but silent.
  const auto halted = here.ranks("halted", {"--lr", "0.02", "--epochs", "10000", "--rank-timeout", "15"},
                                 [&](int rank, Command command) { return rank == 0 ? command : here.signalled("STOP", "halted", command, "17"); });
  INFO(halted[0].err);
  CHECK(halted[0].code == 4);
  CHECK_THAT(halted[0].err, Catch::Contains("another process of this run does not answer"));

  // With an error of its own: data that it does not have.
  const auto failed = here.ranks("failed", kResNet, [&](int rank, Command command) {
    if (rank == 1) std::replace(command.begin(), command.end(), (here / "data").string(), (here / "elsewhere").string());
    return command;
  });
  INFO(failed[0].err << failed[1].err);
  CHECK(failed[1].code == 3);
  CHECK_THAT(failed[1].err, Catch::Contains("rank 1: "));
  CHECK(failed[0].code == 4);
  CHECK_THAT(failed[0].err, Catch::Contains("rank 0 ends because another process did: rank 1: ") && Catch::Contains("elsewhere"));

  // Rank 0 too can be the one.
  const auto first = here.ranks("first", kResNet, [&](int rank, Command command) {
    if (rank == 0) std::replace(command.begin(), command.end(), (here / "data").string(), (here / "elsewhere").string());
    return command;
  });
  INFO(first[0].err << first[1].err);
  CHECK(first[0].code == 3);
  CHECK(first[1].code == 4);
  CHECK_THAT(first[1].err, Catch::Contains("rank 1 ends because another process did: rank 0: "));
}

TEST_CASE("multiscale-train: processes that do not belong together do not train") {
  const Playground here;
  const auto other = here.ranks("run", kResNet, [](int rank, Command command) {
    if (rank == 1) command.insert(command.end(), {"--momentum", "0.5"});
    return command;
  });
  INFO(other[1].err);
  CHECK(other[1].code == 2);
  CHECK_THAT(other[1].err, Catch::Contains("rank 1: started with momentum 0.5, rank 0 with 0.9"));
  const auto small = here.ranks("run", kResNet, [](int, Command command) {
    std::replace(command.begin(), command.end(), std::string("25"), std::string("1"));
    return command;
  });
  CHECK(small[0].code == 2);
  CHECK_THAT(small[0].err, Catch::Contains("has none for each of 2 processes"));

  const auto missing = test::run_process(here.command("run", with(kResNet, {"--rank-timeout", "2"})), {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", test::free_port()}});
  CHECK(missing.code == 4);
  CHECK_THAT(missing.err, Catch::Contains("not all 2 processes met") && Catch::Contains("1 of them did not come, such as rank 1"));
  // A launcher that stops a process which still waits for the others does not have to wait itself.
  const auto began = std::chrono::steady_clock::now();
  Command timed = {"timeout", "--preserve-status", "--signal", "TERM", "1.5"};
  const Command waiting = here.command("run", kResNet);
  timed.insert(timed.end(), waiting.begin(), waiting.end());
  CHECK(test::run_process(timed, {{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", test::free_port()}}).code == 143);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));
  const auto homeless = test::run_process(here.command("run", kResNet), {{"RANK", "0"}, {"WORLD_SIZE", "2"}});
  CHECK(homeless.code == 2);
  CHECK_FALSE(fs::exists(here / "run"));
}

TEST_CASE("multiscale-train: one that is told to stop before all have met ends all that wait, at once") {
  const Playground here;
  const auto began = std::chrono::steady_clock::now();
  const std::string port = test::free_port();
  const auto started = [&](int rank, const Command& before) {
    const std::map<std::string, std::string> environment = {{"RANK", std::to_string(rank)}, {"WORLD_SIZE", "3"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}};
    return std::async(std::launch::async, [=, line = with(before, here.command("run", kResNet))] { return test::run_process(line, environment); });
  };
  // Rank 2 never comes. Rank 1 is told when it and rank 0 are both connected to the port: two entries of the system's list each.
  const std::string when_both_wait = R"~("$@" & process=$!
    until [ "$(cat /proc/net/tcp /proc/net/tcp6 | grep -ciE ":$0 [0-9A-F:]+ 01 |[0-9A-F]:$0 01 ")" -ge 4 ] || ! kill -0 $process 2>/dev/null; do sleep 0.05; done
    kill -TERM $process
    wait $process)~";
  auto waiting = started(0, {}), told = started(1, {"bash", "-c", when_both_wait, fmt::format("{:04X}", std::stoi(port))});
  const ProcessResult second = told.get(), first = waiting.get();
  INFO(first.err << second.err);
  CHECK(second.code == 143);
  CHECK(first.code == 143);
  CHECK_THAT(first.err, Catch::Contains("rank 0: rank 1 was told to stop before all 3 processes had met"));
  CHECK(first.out.empty());
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(50));  // of the 60 that it would wait
  CHECK_FALSE(fs::exists(here / "run"));
}

TEST_CASE("multiscale-train: a seed that is drawn is drawn once") {
  const Playground here;
  const auto unseeded = [](int, Command command) {
    const auto flag = std::find(command.begin(), command.end(), "--seed");
    command.erase(flag, flag + 2);
    return command;
  };
  require_done(here.ranks("run", {"--lr", "0.02", "--epochs", "1"}, unseeded));
  CHECK(read_manifest(here / "run").drawn == std::vector<std::string>{"seed"});
}
