#include "train/trainer.h"

#include <ATen/ATen.h>

#include <catch2/catch.hpp>

#include <cmath>
#include <sstream>

#include "checkpoint/state.h"
#include "random/stream.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {

// Linear regression with dropout (which draws from LibTorch's generator) on data made from the batch's number.
class ToyTask : public TrainTask {
 public:
  at::Tensor weight = at::zeros({1, 8}).requires_grad_(true);
  at::Tensor bias = at::zeros({1}).requires_grad_(true);
  at::Tensor seen = at::zeros({}, at::kLong);  // an integer buffer
  int64_t batches = 6;
  int64_t break_at = -1;  // step whose loss is NaN
  double activation_bytes = 0;
  bool fixed_score = false;
  int64_t steps = 0;

  int64_t num_batches(int64_t) const override { return batches; }
  StepFacts facts(int64_t epoch, int64_t batch) const override {
    StepFacts facts;
    facts.num_samples = 4;
    facts.multiply_adds = 100;
    facts.activation_bytes = batch == 3 ? activation_bytes : 0;
    facts.report = {{"batch_size", 4}};
    for (int64_t i = 0; i < 4; ++i) facts.sample_ids.push_back(epoch * 1000 + batch * 4 + i);
    return facts;
  }
  void start_epoch(int64_t epoch, int64_t first_batch) override {
    epoch_ = epoch;
    batch_ = first_batch;
  }
  StepLosses step() override {
    const at::Tensor x = (at::arange(32).view({4, 8}).to(at::kFloat) * 0.37 + static_cast<double>(batch_) + 10.0 * static_cast<double>(epoch_)).sin();
    const at::Tensor y = x.sum(1);
    ++batch_;
    seen += 1;
    ++steps;
    at::Tensor loss = (at::linear(at::dropout(x, 0.25, true), weight, bias).squeeze(1) - y).square().mean();
    if (steps - 1 == break_at) loss = loss * std::nan("");
    return {loss, {{"l1", weight.abs().sum()}}};
  }
  double data_wait_seconds() const override { return 0; }
  Json validate(int64_t) override { return {{"score", fixed_score ? 1.0 : -weight.detach().sub(1).square().sum().item<double>()}}; }
  std::string best_metric() const override { return "score"; }

 private:
  int64_t epoch_ = 0, batch_ = 0;
};

TrainOptions toy_options() {
  TrainOptions options;
  options.epochs = 4;
  options.lr = 0.05;
  options.log_interval = 4;
  options.model_ema = true;
  options.model_ema_decay = 0.9;
  options.clip_grad_norm = 1.0;
  options.save_every = "5";
  return options;
}

struct Run {
  explicit Run(const TrainOptions& o, const fs::path& path, OutputMode mode = OutputMode::kCreate, const std::string& data_id = "", bool allow_drift = false) : options(o), output(path, mode), log(file, LogLevel::kNormal, false, false) {
    TrainerSetup setup;
    setup.parameters = {{"weight", task.weight}, {"bias", task.bias}};
    setup.model_state = {{"weight", task.weight}, {"bias", task.bias}, {"seen", task.seen}};
    setup.set_training_mode = [](bool) {};
    setup.seed = 3;
    setup.machine = {"avx2", "2.11.0"};
    setup.data_id = data_id;
    setup.allow_drift = allow_drift;
    trainer = std::make_unique<Trainer>(options, std::move(setup), task, output, record, log);
  }
  ~Run() {
    trainer.reset();
    std::fclose(file);
  }
  TrainResult train() { return trainer->run(); }

  std::FILE* file = std::tmpfile();
  TrainOptions options;
  RunRecord record;
  ToyTask task;
  OutputDirectory output;
  Log log;
  std::unique_ptr<Trainer> trainer;
};

bool same(const at::Tensor& a, const at::Tensor& b) { return at::equal(a.detach(), b.detach()); }

// Lines of metrics.jsonl without what the clock says.
std::string deterministic_metrics(const fs::path& file) {
  std::istringstream lines(test::read_text(file));
  std::string line, text;
  while (std::getline(lines, line)) {
    Json json = Json::parse(line);
    for (const char* key : {"samples_per_s", "data_wait_percent", "train_s"}) json.erase(key);
    text += json.dump() + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("trainer: a run cut short after any save and resumed equals one that was never stopped, bit for bit") {
  const test::TempDir dir;
  Run whole(toy_options(), dir / "whole");
  const TrainResult expected = whole.train();
  CHECK(expected.steps == 24);
  CHECK(expected.multiply_adds == 2400);
  for (const int64_t stop : {0, 3, 4, 5, 6, 11, 17, 22}) {
    const fs::path path = dir / ("cut" + std::to_string(stop));
    {
      // A throw in the middle of a step is as sudden as a kill: nothing is saved.
      Run cut(toy_options(), path);
      cut.task.break_at = stop;
      expect_error(ExitCode::kNumbers, "is nan at step " + std::to_string(stop), [&] { cut.train(); });
    }
    Run resumed(toy_options(), path, OutputMode::kResume);
    const TrainResult result = resumed.train();
    INFO("stopped in step " << stop);
    CHECK(result.steps == expected.steps);
    CHECK(result.multiply_adds == expected.multiply_adds);
    CHECK(same(resumed.task.weight, whole.task.weight));
    CHECK(same(resumed.task.bias, whole.task.bias));
    CHECK(same(resumed.task.seen, whole.task.seen));
    CHECK(result.last_validation == expected.last_validation);
    CHECK(result.last_ema_validation == expected.last_ema_validation);
    CHECK(result.best_epoch == expected.best_epoch);
    for (size_t i = 0; i < 3; ++i) {
      CHECK(same(resumed.trainer->best_weights()[i].second, whole.trainer->best_weights()[i].second));
      CHECK(same(resumed.trainer->ema_weights()[i].second, whole.trainer->ema_weights()[i].second));
    }
    CHECK(deterministic_metrics(path / "metrics.jsonl") == deterministic_metrics(dir / "whole/metrics.jsonl"));
  }
}

TEST_CASE("trainer: the time of a process that was cut short counts for its epoch and for the run") {
  const test::TempDir dir;
  {
    Run cut(toy_options(), dir / "run");
    cut.task.break_at = 5;
    expect_error(ExitCode::kNumbers, "is nan", [&] { cut.train(); });
  }
  const TrainState state = load_state(dir / "run", 5);  // in the middle of the first epoch
  const double epoch_s = state.facts.at("epoch_s"), run_s = state.facts.at("run_s");
  CHECK(epoch_s > 0);
  CHECK(run_s >= epoch_s);
  Run resumed(toy_options(), dir / "run", OutputMode::kResume);
  CHECK(resumed.train().earlier_s == run_s);
  std::istringstream lines(test::read_text(dir / "run/metrics.jsonl"));
  std::vector<double> epochs;
  for (std::string line; std::getline(lines, line);) {
    if (const Json json = Json::parse(line); json.at("event") == "epoch") epochs.push_back(json.at("train_s"));
  }
  REQUIRE(epochs.size() == 4);
  CHECK(epochs[0] > epoch_s);
}

TEST_CASE("trainer: accumulation is the mean gradient, and the last group of an epoch counts what it has") {
  const test::TempDir dir;
  TrainOptions options = toy_options();
  options.epochs = 1;
  options.grad_accum_steps = 4;
  options.opt = "sgd";
  options.momentum = 0;
  options.weight_decay = 0;
  options.clip_grad_norm.reset();
  options.model_ema = false;
  options.lr_warmup_epochs = 0;
  options.lr_scheduler = "constant";
  Run run(options, dir / "run");
  // By hand: gradients of 4 and then 2 batches, each group at the weights it starts with.
  ToyTask task;
  task.start_epoch(0, 0);
  int64_t batch = 0;
  for (const int64_t size : {4, 2}) {
    at::Tensor sum_weight = at::zeros_like(task.weight), sum_bias = at::zeros_like(task.bias);
    for (int64_t i = 0; i < size; ++i, ++batch) {
      at::manual_seed(derive_seed(3, "torch", batch));
      task.step().loss.backward();
      sum_weight += task.weight.grad();
      sum_bias += task.bias.grad();
      task.weight.mutable_grad().reset();
      task.bias.mutable_grad().reset();
    }
    const at::NoGradGuard no_grad;
    task.weight -= 0.05 * sum_weight / static_cast<double>(size);
    task.bias -= 0.05 * sum_bias / static_cast<double>(size);
  }
  CHECK(run.train().steps == 2);
  CHECK(at::allclose(run.task.weight, task.weight, 1e-5, 1e-6));
  CHECK(at::allclose(run.task.bias, task.bias, 1e-5, 1e-6));
}

TEST_CASE("trainer: a batch that cannot fit is refused before anything is made") {
  const test::TempDir dir;
  Run run(toy_options(), dir / "run");
  run.task.activation_bytes = 1e17;
  expect_error(ExitCode::kMachine, "out of memory at batch size 4: it needs about 88.8 PiB for activations", [&] { run.train(); });
  CHECK_FALSE(fs::exists(dir / "run"));
}

TEST_CASE("trainer: a broken loss names the step and the samples") {
  const test::TempDir dir;
  Run run(toy_options(), dir / "run");
  run.task.break_at = 7;
  expect_error(ExitCode::kNumbers, "loss is nan at step 7 (epoch 1, batch 1); samples 1004, 1005, 1006, 1007", [&] { run.train(); });
}

TEST_CASE("trainer: a state of another machine is refused unless drift is allowed") {
  const test::TempDir dir;
  {
    Run cut(toy_options(), dir / "run");
    cut.task.break_at = 9;
    expect_error(ExitCode::kNumbers, "nan", [&] { cut.train(); });
  }
  Json facts = Json::parse(test::read_text(dir / "run/state/step-00000006/state.json"));
  facts["instruction_set"] = "avx512";
  test::write_text(dir / "run/state/step-00000006/state.json", facts.dump());
  Run resumed(toy_options(), dir / "run", OutputMode::kResume);
  expect_error(ExitCode::kUsage, "--allow-drift", [&] { resumed.train(); });
}

TEST_CASE("trainer: a run does not go on with other data, unless drift is allowed or nobody knows") {
  const test::TempDir dir;
  {
    Run cut(toy_options(), dir / "run", OutputMode::kCreate, "list:1");
    cut.task.break_at = 9;
    expect_error(ExitCode::kNumbers, "nan", [&] { cut.train(); });
  }
  Run other(toy_options(), dir / "run", OutputMode::kResume, "list:2");
  expect_error(ExitCode::kUsage, "--resume: the data have changed since the state was saved", [&] { other.train(); });
  for (const auto& [id, allowed] : {std::pair("list:2", true), std::pair("", false), std::pair("list:1", false)}) {
    fs::copy(dir / "run", dir / "copy", fs::copy_options::recursive);
    CHECK(Run(toy_options(), dir / "copy", OutputMode::kResume, id, allowed).train().end == TrainEnd::kFinished);
    fs::remove_all(dir / "copy");
  }
}

TEST_CASE("trainer: the schedule counts real steps, accumulation included") {
  ToyTask task;
  TrainOptions options = toy_options();
  options.grad_accum_steps = 4;
  options.lr_warmup_epochs = 1.5;
  const Schedule schedule = make_schedule(task, options);
  CHECK(schedule.total_steps() == 8);
  CHECK(schedule.warmup_steps == 3);
}

TEST_CASE("trainer: --max-steps ends the run and the learning rate's course, with a validation") {
  const test::TempDir dir;
  TrainOptions options = toy_options();
  options.max_steps = 9;
  options.val_every = "4epochs";
  CHECK(make_schedule(ToyTask(), options).epoch_ends == std::vector<int64_t>{6, 9});
  Run run(options, dir / "run");
  const TrainResult result = run.train();
  CHECK(result.end == TrainEnd::kFinished);
  CHECK(result.steps == 9);
  CHECK(result.last_validation.contains("score"));
  CHECK(result.best_epoch == 1);
  options.max_steps = 1000;  // more than there are
  CHECK(make_schedule(ToyTask(), options).total_steps() == 24);
}

TEST_CASE("trainer: --val-every counts steps or epochs; a resumed run validates as an unbroken one") {
  const test::TempDir dir;
  TrainOptions options = toy_options();
  options.val_every = "4";
  Run whole(options, dir / "whole");
  const TrainResult expected = whole.train();
  std::vector<int64_t> validated;
  std::istringstream lines(test::read_text(dir / "whole/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    if (const Json json = Json::parse(line); json.contains("score")) validated.push_back(json.at("step"));
  }
  CHECK(validated == std::vector<int64_t>{4, 8, 12, 16, 20, 24});
  for (const int64_t stop : {7, 12, 13}) {
    const fs::path path = dir / ("cut" + std::to_string(stop));
    {
      Run cut(options, path);
      cut.task.break_at = stop;
      expect_error(ExitCode::kNumbers, "nan", [&] { cut.train(); });
    }
    Run resumed(options, path, OutputMode::kResume);
    CHECK(resumed.train().best_value == expected.best_value);
    CHECK(same(resumed.task.weight, whole.task.weight));
    CHECK(deterministic_metrics(path / "metrics.jsonl") == deterministic_metrics(dir / "whole/metrics.jsonl"));
  }
  CHECK(parse_val_every("").epochs == 1);
  CHECK(parse_val_every("2epochs").epochs == 2);
  CHECK(parse_val_every("1epoch").epochs == 1);
  for (const char* wrong : {"0", "epochs", "2ep", "0epochs", "1.5epochs", "-1"}) expect_error(ExitCode::kUsage, "--val-every", [&] { parse_val_every(wrong); });
}

TEST_CASE("trainer: --early-stop ends after validations without a new best, and keeps the best weights") {
  const test::TempDir dir;
  TrainOptions options = toy_options();
  options.epochs = 50;
  options.early_stop = 3;
  for (const char* every : {"", "4"}) {
    options.val_every = every;
    Run run(options, dir / (std::string("run") + every));
    run.task.fixed_score = true;
    const TrainResult result = run.train();
    CHECK(result.end == TrainEnd::kFinished);
    CHECK(result.best_epoch == 0);
    CHECK(result.steps == (*every == 0 ? 24 : 16));  // the first validation is the best, three more are not
  }
}

TEST_CASE("trainer: --save-every is parsed strictly") {
  CHECK(parse_save_every("").seconds == 300);
  CHECK(parse_save_every("500").steps == 500);
  CHECK(parse_save_every("5min").seconds == 300);
  CHECK(parse_save_every("2h").seconds == 7200);
  for (const char* wrong : {"0", "-5", "min", "5 min", "5m", "1.5h"}) expect_error(ExitCode::kUsage, "--save-every", [&] { parse_save_every(wrong); });
}
