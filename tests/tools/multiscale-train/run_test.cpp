// multiscale-train as a user runs it, on a small data set made here.
#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "artifact/manifest.h"
#include "io/safetensors.h"
#include "random/stream.h"
#include "tests/support/idx_files.h"
#include "tests/support/image_files.h"
#include "tests/support/process.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"
#include "tests/support/small_disk.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::ProcessResult;
namespace fs = std::filesystem;

namespace {

class Playground {
 public:
  Playground() { test::write_small_idx_dataset(dir_ / "data"); }
  fs::path operator/(std::string_view name) const { return dir_ / name; }

  // A run with a curriculum, an average, accumulation and states every third step.
  std::vector<std::string> command(const fs::path& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {FETTLE_MULTISCALE_TRAIN, "--data", (dir_ / "data").string(), "--sampler", "msc-vbs", "--size", "12", "--sizes", "8:16:3",
                                    "--size-multiple", "4", "--curriculum", "linear", "--curriculum-from", "8:8", "--curriculum-fraction", "1",
                                    "--batch-size", "16", "--grad-accum-steps", "2", "--epochs", "3", "--seed", "5", "--model-ema", "--save-every", "3",
                                    "--log-interval", "4", "--device", "cpu", "--threads", "2", "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  ProcessResult run(const fs::path& out, std::vector<std::string> more = {}) const { return test::run_process(command(out, std::move(more))); }

 private:
  test::TempDir dir_;
};

std::string id_of(const fs::path& run) { return manifest_id(read_manifest(run)); }

}  // namespace

TEST_CASE("multiscale-train: an artifact with weights, metrics and lineage") {
  const Playground here;
  const ProcessResult result = here.run(here / "run", {"--json", "--eval-sizes", "8,12,20"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const Json object = Json::parse(result.out);
  CHECK(object["artifact"] == (here / "run").string());
  CHECK(object["id"] == id_of(here / "run"));
  const Manifest manifest = read_manifest(here / "run", "classifier");
  for (const char* metric : {"val_top1_percent", "val_ece", "val_nll", "val_top1_percent_at_8", "val_ece_at_20", "val_top1_percent_mean", "train_multiply_adds",
                             "fixed_size_multiply_adds", "best_val_top1_percent", "ema_val_top1_percent"}) {
    INFO(metric);
    CHECK(manifest.metrics.contains(metric));
  }
  CHECK(manifest.options["precision"] != "auto");
  CHECK(manifest.inputs.at(0).role == "data");
  const SafetensorsFile weights(here / "run/model.safetensors");
  REQUIRE(weights.find("layer3.2.bn2.num_batches_tracked") != nullptr);
  CHECK(weights.find("conv1.weight")->shape == std::vector<int64_t>{16, 1, 3, 3});
  CHECK_FALSE(fs::exists(here / "run/state"));
  // Every line of the log is JSON, and the compute spent only grows.
  std::ifstream lines(here / "run/metrics.jsonl");
  std::string line;
  double spent = 0;
  int epochs = 0;
  while (std::getline(lines, line)) {
    const Json entry = Json::parse(line);
    CHECK(entry["multiply_adds"].get<double>() >= spent);
    spent = entry["multiply_adds"].get<double>();
    epochs += entry["event"] == "epoch";
  }
  CHECK(epochs == 3);
  CHECK(spent == manifest.metrics["train_multiply_adds"].get<double>());
}

TEST_CASE("multiscale-train: a run starts from another's weights, and says what does not fit") {
  const Playground here;
  const ProcessResult first = here.run(here / "first");
  INFO(first.err);
  REQUIRE(first.code == 0);
  // At a learning rate of nothing the weights are those of the first run.
  const ProcessResult second = here.run(here / "second", {"--init", (here / "first").string(), "--lr", "1e-30"});
  INFO(second.err);
  REQUIRE(second.code == 0);
  const SafetensorsFile a(here / "first" / "model.safetensors"), b(here / "second" / "model.safetensors");
  const TensorInfo* const x = a.find("layer1.0.conv1.weight");
  const TensorInfo* const y = b.find("layer1.0.conv1.weight");
  REQUIRE((x != nullptr && y != nullptr));
  const auto bytes_a = a.bytes(*x), bytes_b = b.bytes(*y);
  CHECK(std::equal(bytes_a.begin(), bytes_a.end(), bytes_b.begin(), bytes_b.end()));
  const Manifest manifest = read_manifest(here / "second");
  REQUIRE(manifest.inputs.size() == 2);
  CHECK((manifest.inputs[1].role == "init" && manifest.inputs[1].id == id_of(here / "first")));

  const ProcessResult other = here.run(here / "other", {"--init", (here / "first").string(), "--arch", "resnet32"});
  CHECK(other.code == 3);
  CHECK_THAT(other.err, Catch::Contains("does not fit the network: ") && Catch::Contains("tensors are missing"));
  CHECK_FALSE(fs::exists(here / "other"));
  CHECK(here.run(here / "partial", {"--init", (here / "first").string(), "--arch", "resnet32", "--init-partial"}).code == 0);
}

TEST_CASE("multiscale-train: normalisation comes from flags, from the artifact that is started from, or from the data") {
  const Playground here;
  const auto preprocessing = [&](const std::string& name, const std::vector<std::string>& flags) {
    const ProcessResult result = here.run(here / name, flags);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return read_manifest(here / name).model.at("preprocessing");
  };
  const Json own = preprocessing("own", {});
  const Json told = preprocessing("told", {"--mean", "0.25", "--std", "128/256"});
  CHECK(told.at("mean") == Json({0.25}));
  CHECK(told.at("std") == Json({0.5}));
  CHECK(own.at("mean") != told.at("mean"));
  CHECK(preprocessing("inherited", {"--init", (here / "told").string()}) == told);
  CHECK(preprocessing("partly", {"--init", (here / "told").string(), "--std", "2"}).at("mean") == told.at("mean"));
  CHECK(preprocessing("bare", {"--init", (here / "told/model.safetensors").string()}) == own);
  CHECK(here.run(here / "none", {"--std", "0"}).code == 2);
  CHECK(here.run(here / "none", {"--mean", "1,2"}).code == 2);
}

TEST_CASE("multiscale-train: --init-overlay lays some tensors over those of --init") {
  const Playground here;
  REQUIRE(here.run(here / "a").code == 0);
  REQUIRE(here.run(here / "b", {"--mean", "0"}).code == 0);
  const SafetensorsFile a(here / "a/model.safetensors"), b(here / "b/model.safetensors");
  {
    // b's first batch norm alone.
    std::vector<TensorSpec> specs;
    for (const TensorInfo& tensor : b.tensors()) {
      if (tensor.name.starts_with("bn1.")) specs.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    SafetensorsWriter writer(here / "bn.safetensors", specs, {});
    for (const TensorSpec& spec : specs) writer.write(b.bytes(*b.find(spec.name)));
    writer.commit();
  }
  const std::vector<std::string> still = {"--init", (here / "a").string(), "--init-overlay", (here / "bn.safetensors").string(), "--lr", "1e-30", "--freeze-batch-norm"};
  const ProcessResult result = here.run(here / "c", still);
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.err, Catch::Contains("init: 5 of "));
  const SafetensorsFile c(here / "c/model.safetensors");
  const auto same = [&](const SafetensorsFile& x, const char* name) {
    const auto p = x.bytes(*x.find(name)), q = c.bytes(*c.find(name));
    return std::equal(p.begin(), p.end(), q.begin(), q.end());
  };
  CHECK(same(b, "bn1.running_mean"));
  CHECK(same(b, "bn1.weight"));
  CHECK(same(a, "layer1.0.bn1.running_mean"));
  CHECK(same(a, "conv1.weight"));
  const Manifest manifest = read_manifest(here / "c");
  REQUIRE(manifest.inputs.size() == 3);
  CHECK(manifest.inputs[2].role == "init_overlay");
  CHECK(here.run(here / "none", {"--init-overlay", (here / "bn.safetensors").string()}).code == 2);
  const ProcessResult other = here.run(here / "none", {"--arch", "resnet32", "--init", (here / "a").string(), "--init-partial", "--init-overlay", (here / "nothing").string()});
  CHECK(other.code == 3);
}

TEST_CASE("multiscale-train: what is frozen stays to the bit, statistics included; the rest moves") {
  const Playground here;
  REQUIRE(here.run(here / "first").code == 0);
  const ProcessResult result = here.run(here / "head", {"--init", (here / "first").string(), "--freeze", "conv1.*", "--freeze", "bn1.*", "--freeze", "layer?.*"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const SafetensorsFile before(here / "first/model.safetensors"), after(here / "head/model.safetensors");
  for (const TensorInfo& tensor : before.tensors()) {
    INFO(tensor.name);
    const auto a = before.bytes(tensor), b = after.bytes(*after.find(tensor.name));
    CHECK(std::equal(a.begin(), a.end(), b.begin(), b.end()) == !tensor.name.starts_with("linear."));
  }
  const ProcessResult none = here.run(here / "none", {"--freeze", "features.*"});
  CHECK(none.code == 2);
  CHECK_THAT(none.err, Catch::Contains("--freeze 'features.*': no parameter has such a name") && Catch::Contains("'conv1.weight' to 'linear.bias'"));
  CHECK_FALSE(fs::exists(here / "none"));
}

TEST_CASE("multiscale-train: --max-steps and --early-stop end a run as an artifact") {
  const Playground here;
  const ProcessResult few = here.run(here / "few", {"--max-steps", "3", "--val-every", "5epochs"});
  INFO(few.err);
  REQUIRE(few.code == 0);
  CHECK(read_manifest(here / "few").metrics.at("train_steps") == 3);
  const ProcessResult planned = here.run(here / "plan", {"--max-steps", "3", "--dry-run", "--json"});
  REQUIRE(planned.code == 0);
  CHECK(Json::parse(planned.out).at("multiply_adds") == read_manifest(here / "few").metrics.at("train_multiply_adds"));
  // At a learning rate of nothing no validation after the first is better.
  const ProcessResult stale = here.run(here / "stale", {"--lr", "1e-30", "--val-every", "2", "--early-stop", "2", "--freeze-batch-norm"});
  INFO(stale.err);
  REQUIRE(stale.code == 0);
  CHECK_THAT(stale.err, Catch::Contains("early stop: no new best in 2 validations"));
  const Manifest manifest = read_manifest(here / "stale");
  CHECK(manifest.metrics.at("best_epoch") == 1);
  CHECK(manifest.metrics.at("train_steps") == 6);
  const SafetensorsFile weights(here / "stale/model.safetensors");
  const auto mean = weights.bytes(*weights.find("bn1.running_mean"));
  CHECK(std::all_of(mean.begin(), mean.end(), [](uint8_t byte) { return byte == 0; }));
}

TEST_CASE("multiscale-train: options of an architecture make another network, whose dropout repeats with the seed") {
  const Playground here;
  write_file_atomic(here / "narrow.json", R"({"width_multiplier": 0.1, "depth_multiplier": 0.1})");
  const std::vector<std::string> narrow = {"--arch", "efficientnet_b0", "--arch-options", (here / "narrow.json").string()};
  const ProcessResult first = here.run(here / "first", narrow);
  INFO(first.err);
  REQUIRE(first.code == 0);
  REQUIRE(here.run(here / "again", narrow).code == 0);
  CHECK(id_of(here / "first") == id_of(here / "again"));
  const Manifest manifest = read_manifest(here / "first");
  CHECK(manifest.model.at("width_multiplier") == 0.1);
  CHECK(manifest.options.at("arch_options") == R"({"depth_multiplier":0.1,"width_multiplier":0.1})");
  CHECK_FALSE(fs::exists(here / "first/config.json"));  // timm has no name for it
  const SafetensorsFile weights(here / "first/model.safetensors");
  CHECK(weights.find("features.1.0.block.1.fc1.weight") != nullptr);
  CHECK(weights.find("features.2.1.block.0.0.weight") == nullptr);  // one block a stage is left

  const ProcessResult unknown = here.run(here / "none", {"--arch", "efficientnet_b0", "--arch-options", "{\"width\": 2}"});
  CHECK(unknown.code == 2);
  CHECK_THAT(unknown.err, Catch::Contains("unknown key 'width', expected width_multiplier"));
  CHECK_FALSE(fs::exists(here / "none"));
}

TEST_CASE("multiscale-train: the same seed gives the same bytes wherever it runs, another seed other ones") {
  const Playground here;
  REQUIRE(here.run(here / "a").code == 0);
  REQUIRE(here.run(here / "deep/er/b").code == 0);
  CHECK(id_of(here / "a") == id_of(here / "deep/er/b"));
  CHECK(test::read_text(here / "a/model.safetensors") == test::read_text(here / "deep/er/b/model.safetensors"));
  auto other = here.command(here / "c");
  *std::find(other.begin(), other.end(), "5") = "6";
  REQUIRE(test::run_process(other).code == 0);
  CHECK(test::read_text(here / "a/model.safetensors") != test::read_text(here / "c/model.safetensors"));
}

TEST_CASE("multiscale-train: every flag that is to change the training does") {
  const Playground here;
  const auto train = [&](const std::string& name, std::vector<std::string> flags) {
    std::vector<std::string> command = {FETTLE_MULTISCALE_TRAIN, "--data", (here / "data").string(), "--size", "12", "--size-multiple", "4", "--epochs", "2",
                                        "--seed", "5", "--device", "cpu", "--threads", "1", "--precision", "fp32", "-q", "--out", (here / name).string()};
    const auto given = [&](const std::string& flag) { return std::find(flags.begin(), flags.end(), flag) != flags.end(); };
    if (!given("--batch-size")) command.insert(command.end(), {"--batch-size", "60"});
    if (!given("--sampler")) command.insert(command.end(), {"--sampler", "msc-vbs"});
    if (!given("--sizes") && !given("ssc-fbs")) command.insert(command.end(), {"--sizes", "8:16:3"});
    command.insert(command.end(), flags.begin(), flags.end());
    const ProcessResult result = test::run_process(command);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return test::read_text(here / name / "model.safetensors");
  };
  const std::string expected = train("default", {});
  CHECK(train("again", {"--workers", "0", "--log-interval", "3", "--eval-sizes", "12", "--val-every", "2", "--early-stop", "50"}) == expected);
  const std::vector<std::vector<std::string>> changes = {
      {"--crop-scale", "1:1"}, {"--hflip", "0"}, {"--arch", "resnet32"}, {"--label-smoothing", "0.1"}, {"--sampler", "ssc-fbs"}, {"--sampler", "msc-fbs"},
      {"--sizes", "8:20:3"}, {"--curriculum", "linear", "--curriculum-from", "8:8"}, {"--curriculum", "stages", "--curriculum-stages", "8,16"},
      {"--batch-size", "50"}, {"--opt", "sgd"}, {"--opt", "adamw"}, {"--lr", "0.2"}, {"--lr-min", "0.01"}, {"--lr-warmup-epochs", "0"}, {"--lr-scheduler", "constant"},
      {"--momentum", "0.8"}, {"--weight-decay", "0"}, {"--norm-weight-decay", "0.1"}, {"--grad-accum-steps", "2"}, {"--clip-grad-norm", "0.1"},
      {"--interpolation", "bicubic"}, {"--auto-augment", "ra"}, {"--auto-augment", "ta_wide"}, {"--color-jitter", "0.4"}, {"--random-erase", "0.5"}, {"--mixup-alpha", "0.2"},
      {"--cutmix-alpha", "1"}, {"--ra-reps", "3"}, {"--lr-scheduler", "linear"}, {"--lr-scheduler", "multistep", "--lr-milestones", "1"}, {"--lr-update", "epoch"},
      {"--lr-warmup-steps", "1"}, {"--lr-warmup-init", "0.05"}, {"--no-weight-decay", "conv1.weight"}, {"--lr-scale", "layer1.*=0.5"}, {"--freeze", "layer1.*"}, {"--max-steps", "3"}};
  for (size_t i = 0; i < changes.size(); ++i) {
    INFO(changes[i][0] << " " << changes[i].back());
    CHECK(train("run" + std::to_string(i), changes[i]) != expected);
  }
}

TEST_CASE("multiscale-train: killed at twenty random instants and resumed, it ends with the same bytes and id") {
  const Playground here;
  const auto seconds_since = [](std::chrono::steady_clock::time_point began) { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
  const auto began_whole = std::chrono::steady_clock::now();
  REQUIRE(here.run(here / "whole").code == 0);
  double seconds = seconds_since(began_whole);  // of a whole run; machines get faster and slower
  const std::string expected = id_of(here / "whole");
  const std::string weights = test::read_text(here / "whole/model.safetensors");
  RandomStream instants(20, "kill");
  int killed = 0;
  for (int i = 0; i < 20; ++i) {
    const fs::path out = here / ("run" + std::to_string(i));
    // Killed up to twice, so that resumed runs are killed as well.
    for (int attempt = 0; attempt < 2; ++attempt) {
      std::vector<std::string> command = {"timeout", "-s", "KILL", std::to_string(instants.uniform(0.2, 1.0) * seconds)};
      for (const std::string& word : here.command(out, {"--resume", "-q"})) command.push_back(word);
      const auto began = std::chrono::steady_clock::now();
      if (test::run_process(command).code == 137) {
        ++killed;
      } else if (attempt == 0) {
        seconds = std::min(seconds, seconds_since(began));
      }
    }
    const bool started = fs::exists(out) && !is_artifact(out);
    const ProcessResult last = here.run(out, {"--resume", "-q"});
    INFO("instant " << i << ": " << last.err);
    REQUIRE(last.code == 0);
    if (started) CHECK_THAT(last.err, Catch::StartsWith("resuming " + out.string() + " at step "));
    CHECK(id_of(out) == expected);
    CHECK(test::read_text(out / "model.safetensors") == weights);
    fs::remove_all(out);
  }
  CHECK(killed >= 10);
}

TEST_CASE("multiscale-train: SIGTERM saves and leaves with 143; --out alone resumes") {
  const Playground here;
  REQUIRE(here.run(here / "whole").code == 0);
  // "--epochs 3" twice is a mistake that must be caught before anything is touched.
  CHECK(test::run_process(here.command(here / "run", {"--epochs", "3"})).code == 2);
  CHECK_FALSE(fs::exists(here / "run"));
  // As soon as training has begun: a run of a second may be over by any later time.
  std::vector<std::string> command = {"bash", "-c", R"("$@" & until [ -e "$0" ]; do sleep 0.01; done; kill -TERM $!; wait $!)", (here / "run/metrics.jsonl").string()};
  for (const std::string& word : here.command(here / "run", {})) command.push_back(word);
  const ProcessResult stopped = test::run_process(command);
  CHECK(stopped.code == 143);
  CHECK(stopped.out.empty());
  const ProcessResult resumed = test::run_process({FETTLE_MULTISCALE_TRAIN, "--resume", "--out", (here / "run").string(), "-q"});
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(id_of(here / "run") == id_of(here / "whole"));
}

TEST_CASE("multiscale-train: --resume where there is no run says so") {
  const test::TempDir dir;
  const ProcessResult result = test::run_process({FETTLE_MULTISCALE_TRAIN, "--resume", "--out", (dir / "none").string()});
  CHECK(result.code == 2);
  CHECK_THAT(result.err, Catch::Contains("--resume: there is no run in '" + (dir / "none").string() + "' to go on with, and to start one: --data is needed"));
  CHECK_FALSE(fs::exists(dir / "none"));
}

TEST_CASE("multiscale-train: a run goes on without the weights that it was started from, and takes no others for them") {
  const Playground here;
  REQUIRE(here.run(here / "first", {"--mean", "0.25", "--std", "0.5"}).code == 0);
  REQUIRE(here.run(here / "second", {"--lr", "0.01"}).code == 0);
  const std::vector<std::string> from = {"--init", (here / "first").string()};
  REQUIRE(here.run(here / "whole", from).code == 0);
  std::vector<std::string> command = {"bash", "-c", R"("$@" & until [ -d "$0" ]; do sleep 0.01; done; kill -KILL $!; wait $!)", (here / "cut/state/step-00000003").string()};
  for (const std::string& word : here.command(here / "cut", from)) command.push_back(word);
  REQUIRE(test::run_process(command).code == 137);
  const auto resumed = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {FETTLE_MULTISCALE_TRAIN, "--resume", "--device", "cpu", "--out", (here / "cut").string()});
    return test::run_process(more);
  };
  const ProcessResult other = resumed({"--init", (here / "second").string()});
  CHECK(other.code == 2);
  CHECK_THAT(other.err, Catch::Contains("was started from other weights than those in '" + (here / "second").string()));
  fs::rename(here / "first", here / "moved");
  const ProcessResult result = resumed({});
  INFO(result.err);
  REQUIRE(result.code == 0);
  CHECK(id_of(here / "cut") == id_of(here / "whole"));
  CHECK(read_manifest(here / "cut").model.at("preprocessing").at("mean") == Json({0.25}));
}

TEST_CASE("multiscale-train: batch norm that was folded away is said before it trains") {
  const Playground here;
  REQUIRE(here.run(here / "first").code == 0);
  const SafetensorsFile weights(here / "first/model.safetensors");
  std::vector<TensorSpec> specs;
  for (const TensorInfo& tensor : weights.tensors()) specs.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(here / "folded.safetensors", specs, {});
  for (const TensorInfo& tensor : weights.tensors()) {
    const auto bytes = weights.bytes(tensor);
    std::vector<uint8_t> contents(bytes.begin(), bytes.end());
    const bool one = tensor.name == "bn1.weight" || tensor.name == "bn1.running_var", zero = tensor.name == "bn1.running_mean";
    const float value = one ? 1.0F : 0.0F;
    for (size_t i = 0; (one || zero) && i < contents.size(); i += sizeof(float)) std::memcpy(contents.data() + i, &value, sizeof(float));
    writer.write(contents);
  }
  writer.commit();
  const auto said = [&](const std::string& out, std::vector<std::string> more) {
    more.insert(more.end(), {"--init", (here / "folded.safetensors").string(), "--max-steps", "1"});
    const ProcessResult result = here.run(here / out, more);
    INFO(result.err);
    CHECK(result.code == 0);
    return result.err.find("init: 1 batch norm is folded into its convolution") != std::string::npos;
  };
  CHECK(said("a", {}));
  CHECK_FALSE(said("b", {"--freeze-batch-norm"}));
  CHECK_FALSE(said("c", {"--freeze", "bn1.*"}));
}

TEST_CASE("multiscale-train: --require decides the exit code") {
  const Playground here;
  CHECK(here.run(here / "a", {"--require", "val_top1_percent>=0"}).code == 0);
  const ProcessResult missed = here.run(here / "b", {"--require", "val_top1_percent>=101"});
  CHECK(missed.code == 1);
  CHECK(missed.out == (here / "b").string() + "\n");
}

TEST_CASE("multiscale-train: --dry-run tells the cost and writes nothing") {
  const Playground here;
  const ProcessResult result = here.run(here / "run", {"--dry-run", "--json"});
  REQUIRE(result.code == 0);
  const Json plan = Json::parse(result.out);
  CHECK(plan["parameters"] == 269434);
  CHECK(plan["epochs"].size() == 3);
  CHECK(plan["epochs"][0]["sizes"][0]["height"] == 8);
  CHECK_FALSE(fs::exists(here / "run"));
  REQUIRE(here.run(here / "real").code == 0);
  CHECK(read_manifest(here / "real").metrics["train_multiply_adds"] == plan["multiply_adds"]);
}

TEST_CASE("multiscale-train: bad input ends with its exit code and leaves nothing") {
  const Playground here;
  const auto fails = [&](int code, const std::string& part, std::vector<std::string> more) {
    const ProcessResult result = here.run(here / "run", std::move(more));
    INFO(result.err);
    CHECK(result.code == code);
    CHECK(result.out.empty());
    CHECK_THAT(result.err, Catch::Contains(part));
    CHECK_FALSE(fs::exists(here / "run"));
  };
  fails(2, "unknown flag --bach-size", {"--bach-size", "3"});
  fails(2, "--val-batch-size", {"--val-batch-size", "0"});
  fails(2, "--eval-sizes", {"--eval-sizes", "0"});
  fails(2, "unknown key 'epoch'", {"--config", [&] {
          test::write_text(here / "c.json", R"({"epoch": 1})");
          return (here / "c.json").string();
        }()});
  fails(2, "did you mean vit_tiny_patch16_224?", {"--arch", "vit_tiny"});
  fails(2, "cannot be cut into patches of 16x16", {"--arch", "vit_tiny_patch16_224", "--eval-sizes", "24"});
  fails(2, "3x3 pixels is too small: the network takes 4x4", {"--arch", "swin_t", "--eval-sizes", "3"});
  const fs::path files = test::source_folder() / "tests/libcommon/io/torch_files";
  fails(3, "nothing is called on a file's behalf", {"--init", (files / "namespace.pt").string()});
  fails(3, "is a TorchScript program", {"--init", (files / "script.pt").string()});
  fails(3, "tensors are missing ('conv1.weight', ...), 11 are unexpected", {"--init", (files / "state_dict.pt").string()});
  fails(3, "none.pth", {"--init", (here / "none.pth").string()});
  std::string legacy = test::read_text(files / "state_dict_legacy.pt");
  test::write_text(here / "cut.pt", legacy.substr(0, legacy.size() - 20));
  fails(3, "truncated", {"--init", (here / "cut.pt").string()});
  fs::resize_file(here / "data/t10k-labels-idx1-ubyte", 20);
  fails(3, "t10k-labels", {});
}

TEST_CASE("multiscale-train: a full disk in the middle of a run loses nothing that was saved") {
  const Playground here;
  const test::SmallDisk disk(8 << 20);
  if (disk.path().empty()) return test::skip("mounting a tmpfs is not permitted");
  const fs::path run = disk.path() / "run";
  const ProcessResult full = here.run(run);
  INFO(full.err);
  CHECK(full.code == 4);
  CHECK_THAT(full.err, Catch::Contains("No space left"));
  CHECK_FALSE(is_artifact(run));
  for (const auto& entry : fs::directory_iterator(run / "state")) {
    CHECK(fs::exists(entry.path() / "state.json"));
    CHECK_NOTHROW(SafetensorsFile(entry.path() / "tensors.safetensors"));
  }
}

// ---- photographs ---------------------------------------------------------------------------------------------------------

namespace {

class Photographs {
 public:
  Photographs() {
    for (const char* part : {"train", "val"}) {
      for (int i = 0; i < (part[0] == 't' ? 24 : 8); ++i) {
        const fs::path path = dir_ / "photos" / part / (i % 2 == 0 ? "cat" : "dog") / (std::to_string(i) + ".jpg");
        fs::create_directories(path.parent_path());
        test::write_text(path, test::encode_jpeg(test::test_picture(80, 60 + 2 * i, static_cast<uint32_t>(i))));
      }
    }
  }
  fs::path operator/(std::string_view name) const { return dir_ / name; }

  ProcessResult run(const std::string& data, const fs::path& out, std::vector<std::string> more = {}) const {
    std::vector<std::string> all = {FETTLE_MULTISCALE_TRAIN, "--data", data, "--arch", "resnet20", "--sampler", "msc-vbs", "--size", "32", "--sizes", "24:40:3",
                                    "--size-multiple", "8", "--batch-size", "8", "--epochs", "2", "--seed", "5", "--device", "cpu", "--threads", "1",
                                    "--auto-augment", "ta_wide", "--mixup-alpha", "0.2", "--cutmix-alpha", "1", "--random-erase", "0.3", "--out", out.string()};
    all.insert(all.end(), more.begin(), more.end());
    return test::run_process(all);
  }

 private:
  test::TempDir dir_;
};

}  // namespace

TEST_CASE("multiscale-train: photographs in a folder, an archive and a list give the same weights with any number of workers") {
  const Photographs here;
  const ProcessResult folder = here.run((here / "photos").string(), here / "folder", {"--workers", "0"});
  INFO(folder.err);
  REQUIRE(folder.code == 0);
  CHECK_THAT(folder.err, Catch::Contains("24 training and 8 validation images"));
  const Manifest manifest = read_manifest(here / "folder", "classifier");
  CHECK(manifest.model["class_names"] == Json({"cat", "dog"}));
  CHECK(manifest.model["preprocessing"]["crop_pct"] == 0.875);
  const std::string expected = test::read_text(here / "folder/model.safetensors");

  REQUIRE(test::run_process({"tar", "-C", (here / "photos").string(), "-cf", (here / "photos.tar").string(), "."}).code == 0);
  for (const std::string workers : {"1", "2", "7"}) {
    const ProcessResult archive = here.run((here / "photos.tar").string(), here / ("archive" + workers), {"--workers", workers});
    INFO(archive.err);
    REQUIRE(archive.code == 0);
    CHECK(test::read_text(here / ("archive" + workers) / "model.safetensors") == expected);
  }

  std::ofstream train(here / "photos/train.csv"), validation(here / "photos/val.csv");
  for (const char* part : {"train", "val"}) {
    for (const char* name : {"cat", "dog"}) {
      std::vector<std::string> paths;
      for (const auto& entry : fs::directory_iterator(here / "photos" / part / name)) paths.push_back(fs::relative(entry.path(), here / "photos").string());
      std::sort(paths.begin(), paths.end());
      for (const std::string& path : paths) (part[0] == 't' ? train : validation) << path << "," << name << "\n";
    }
  }
  train.close();
  validation.close();
  const ProcessResult list = here.run((here / "photos/train.csv").string(), here / "list", {"--val-data", (here / "photos/val.csv").string()});
  INFO(list.err);
  REQUIRE(list.code == 0);
  CHECK(test::read_text(here / "list/model.safetensors") == expected);
  CHECK(read_manifest(here / "list").inputs.size() == 2);
}

TEST_CASE("multiscale-train: a photograph that is cut stops the run by name; skipped, it is listed, also over an interruption") {
  const Photographs here;
  const fs::path cut = here / "photos/train/cat/4.jpg";
  fs::resize_file(cut, fs::file_size(cut) / 2);
  const ProcessResult stopped = here.run((here / "photos").string(), here / "stopped");
  CHECK(stopped.code == 3);
  CHECK_THAT(stopped.err, Catch::Contains("train/cat/4.jpg"));

  const std::vector<std::string> skip = {"--bad-images", "skip", "--max-bad-percent", "10", "--save-every", "1"};
  const ProcessResult whole = here.run((here / "photos").string(), here / "whole", skip);
  INFO(whole.err);
  REQUIRE(whole.code == 0);
  CHECK(test::read_text(here / "whole/bad_images.jsonl") == "{\"image\":\"cat/4.jpg\",\"part\":\"train\"}\n");
  const Manifest manifest = read_manifest(here / "whole");
  CHECK(manifest.metrics["bad_train_images"] == 1);
  CHECK(std::any_of(manifest.files.begin(), manifest.files.end(), [](const ArtifactFile& file) { return file.path == "bad_images.jsonl"; }));
  const ProcessResult strict = here.run((here / "photos").string(), here / "strict", {"--bad-images", "skip"});
  CHECK(strict.code == 3);
  CHECK_THAT(strict.err, Catch::Contains("--max-bad-percent"));
}
