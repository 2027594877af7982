#include "train/trainer.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/errors.h"
#include "base/human.h"
#include "base/progress.h"
#include "base/signals.h"
#include "checkpoint/state.h"
#include "dist/gradient_reducer.h"
#include "random/stream.h"
#include "train/autocast.h"
#include "train/memory.h"
#include "train/metrics_log.h"

namespace fettle {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Sample-weighted mean losses since the last report. Part of the state, so that a resumed run reports the same numbers.
struct LossMeter {
  int64_t samples = 0;
  std::vector<std::pair<std::string, double>> sums;  // name, sum of loss * samples

  void add(const std::string& name, double value, int64_t count) {
    const auto found = std::find_if(sums.begin(), sums.end(), [&](const auto& entry) { return entry.first == name; });
    if (found == sums.end()) {
      sums.emplace_back(name, value * static_cast<double>(count));
    } else {
      found->second += value * static_cast<double>(count);
    }
  }
  Json means() const {
    Json object = Json::object();
    for (const auto& [name, sum] : sums) object[name] = sum / static_cast<double>(samples);
    return object;
  }
  Json to_json() const { return {{"samples", samples}, {"sums", sums}}; }
  static LossMeter from_json(const Json& json) {
    return {json.at("samples").get<int64_t>(), json.at("sums").get<std::vector<std::pair<std::string, double>>>()};
  }
};

// Where a run is. Counts batches that an optimiser step has consumed; prefetched ones are made again.
struct Cursor {
  int64_t step = 0, epoch = 0, batch = 0;
  double multiply_adds = 0;
};

std::string first_ids(const std::vector<int64_t>& ids) {
  std::string text;
  for (size_t i = 0; i < std::min<size_t>(ids.size(), 8); ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", ids[i]);
  return ids.size() > 8 ? fmt::format("{}, ... ({} in all)", text, ids.size()) : text;
}

uint64_t memory_left(const TrainerSetup& setup) {
  const uint64_t available = available_memory(setup.device);
  const uint64_t other = setup.device.is_cpu() ? static_cast<uint64_t>(setup.other_memory_bytes) : 0;
  return available > other ? (available - other) / static_cast<uint64_t>(setup.device.is_cpu() ? setup.local_processes : 1) : 0;
}

const ProcessGroup& group_of(const TrainerSetup& setup) {
  static const ProcessGroup alone;
  return setup.group == nullptr ? alone : *setup.group;
}

std::vector<at::Tensor> tensors_of(const NamedTensors& named) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
  return tensors;
}

// Too little memory, in words: what the batch needs, what there was before training, and the batch size that would fit.
Error out_of_memory(const StepFacts& facts, const TrainOptions& options, uint64_t free_bytes) {
  std::string message = fmt::format("out of memory at batch size {}", facts.num_samples);
  std::string hint = "lower --batch-size, or keep it with --grad-accum-steps";
  if (facts.activation_bytes > 0) {
    message += fmt::format(": it needs about {} for activations, {} are free", human_bytes(static_cast<uint64_t>(facts.activation_bytes)), human_bytes(free_bytes));
    // Leave a fifth for what the estimate does not see.
    const double fits = std::floor(static_cast<double>(options.batch_size) * std::min(1.0, 0.8 * static_cast<double>(free_bytes) / facts.activation_bytes));
    if (fits >= 1 && fits < static_cast<double>(options.batch_size)) hint = fmt::format("--batch-size {:.0f} would fit, with --grad-accum-steps for the same mean gradient", fits);
  }
  return {ExitCode::kMachine, message, hint};
}

bool is_failed_allocation(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  return text.find("out of memory") != std::string::npos || text.find("allocate memory") != std::string::npos;
}

OptimizerOptions optimizer_options(const TrainOptions& options) {
  OptimizerOptions result;
  result.kind = options.opt == "adamw" ? OptimizerOptions::Kind::kAdamW : OptimizerOptions::Kind::kSgd;
  result.nesterov = options.opt == "sgd_nesterov";
  result.momentum = options.momentum;
  return result;
}

// Scales all gradients so that their joint L2 norm is at most `limit`, as torch.nn.utils.clip_grad_norm_ does.
void clip_gradients(const NamedTensors& parameters, double limit) {
  std::vector<at::Tensor> gradients;
  for (const auto& [name, tensor] : parameters) {
    if (tensor.grad().defined()) gradients.push_back(tensor.grad());
  }
  if (gradients.empty()) return;
  const at::NoGradGuard no_grad;
  const at::Tensor norm = at::stack(at::_foreach_norm(gradients)).norm();
  at::_foreach_mul_(gradients, (limit / (norm + 1e-6)).clamp_max(1.0));
}

void append(NamedTensors& all, const std::string& prefix, const NamedTensors& some) {
  for (const auto& [name, tensor] : some) all.emplace_back(prefix + name, tensor);
}

NamedTensors extract(const NamedTensors& all, const std::string& prefix) {
  NamedTensors some;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) some.emplace_back(name.substr(prefix.size()), tensor);
  }
  return some;
}

}  // namespace

int64_t steps_in_epoch(const TrainTask& task, int64_t epoch, int64_t grad_accum_steps) {
  return (task.num_batches(epoch) + grad_accum_steps - 1) / grad_accum_steps;
}

Schedule make_schedule(const TrainTask& task, const TrainOptions& options) {
  Schedule schedule;
  schedule.course = options.lr_scheduler == "cosine"      ? Schedule::Course::kCosine
                    : options.lr_scheduler == "linear"    ? Schedule::Course::kLinear
                    : options.lr_scheduler == "multistep" ? Schedule::Course::kMultistep
                                                          : Schedule::Course::kConstant;
  schedule.lr = options.lr;
  schedule.lr_min = options.lr_min;
  schedule.by_epoch = options.lr_update == "epoch";
  schedule.warmup_init = options.lr_warmup_init;
  schedule.milestones = options.lr_milestones;
  schedule.gamma = options.lr_gamma;
  const int64_t most = options.max_steps.value_or(INT64_MAX);
  double warmup = 0;
  for (int64_t epoch = 0; epoch < options.epochs && schedule.total_steps() < most; ++epoch) {
    const int64_t steps = steps_in_epoch(task, epoch, options.grad_accum_steps);
    const double share = std::clamp(options.lr_warmup_epochs - static_cast<double>(epoch), 0.0, 1.0);
    warmup += share * static_cast<double>(steps);
    schedule.epoch_ends.push_back(std::min(schedule.total_steps() + steps, most));
  }
  // A run that is all warm-up still ends at the peak, not beyond it.
  schedule.warmup_steps = std::min<int64_t>(options.lr_warmup_steps.value_or(std::llround(warmup)), schedule.total_steps());
  return schedule;
}

struct Trainer::Impl {
  Impl(const TrainOptions& train_options, TrainerSetup trainer_setup, TrainTask& train_task, OutputDirectory& directory, const RunRecord& run_record,
       Log& run_log)
      : options(train_options),
        setup(std::move(trainer_setup)),
        task(train_task),
        output(directory),
        record(run_record),
        log(run_log),
        group(group_of(setup)),
        optimizer(setup.parameters, parameter_settings(setup.parameters, options), optimizer_options(options)),
        reducer(tensors_of(optimizer.parameters()), group),
        schedule(make_schedule(task, options)),
        save_every(parse_save_every(options.save_every)),
        val_every(parse_val_every(options.val_every)) {
    if (options.model_ema) ema.emplace(setup.model_state, options.model_ema_decay);
  }

  // Losses that are not read yet: reading one waits for the device.
  struct Pending {
    int64_t batch = 0;
    int64_t samples = 0;
    std::vector<std::pair<std::string, at::Tensor>> losses;
  };

  TrainResult run();
  uint64_t restore(int64_t step);  // returns the offset of metrics.jsonl
  void begin_together(const std::optional<int64_t>& saved);
  double share_losses(int64_t own_samples, Pending& entry);
  void average_statistics(double share);
  bool stop_is_due() const { return group.size() > 1 ? some_rank_stops : stop_requested(); }
  void write(const Json& line);
  void require_memory() const;
  void require_same_circumstances(const Json& saved) const;
  void save();
  bool save_is_due() const;
  void train_epoch(Progress& progress);
  void accumulate(int64_t batch, int64_t group_size);
  void read_losses();
  void optimizer_step();
  void report_interval();
  void finish_epoch();
  Json validate();
  void validate_between();
  std::string validation_text() const;
  Json validation();
  bool is_stale() const;
  bool ends_here() const { return at.step == schedule.total_steps(); }
  double data_wait() const { return finished_epochs_wait + task.data_wait_seconds(); }
  double epoch_seconds() const { return epoch_s_before + seconds_since(epoch_began); }
  double run_seconds() const { return result.earlier_s + seconds_since(run_began); }

  const TrainOptions& options;
  TrainerSetup setup;
  TrainTask& task;
  OutputDirectory& output;
  const RunRecord& record;
  Log& log;
  const ProcessGroup& group;
  Optimizer optimizer;
  GradientReducer reducer;
  Schedule schedule;
  SaveInterval save_every;
  ValidationInterval val_every;
  std::optional<Ema> ema;
  std::unique_ptr<MetricsLog> metrics;

  Cursor at;
  LossMeter interval, epoch_meter;
  TrainResult result;
  NamedTensors best;
  int64_t best_step = -1;
  int64_t validations_since_best = 0;

  std::vector<Pending> pending;

  // Volatile facts of this process: rates of the interval, the last save.
  Clock::time_point interval_began = Clock::now();
  Clock::time_point epoch_began = Clock::now();
  Clock::time_point run_began = Clock::now();
  double epoch_s_before = 0;  // of this epoch, in earlier processes
  Clock::time_point last_save = Clock::now();
  int64_t interval_samples = 0;
  double interval_wait_before = 0;
  double finished_epochs_wait = 0;
  double last_loss = 0;
  uint64_t free_bytes = memory_left(setup);  // before the first step
  bool stopped = false;
  bool some_rank_stops = false;  // as of the last batch
};

// Linux grants more memory than there is and kills the process that uses it: what cannot fit is refused beforehand.
void Trainer::Impl::require_memory() const {
  StepFacts largest;
  for (int64_t epoch = 0; epoch < options.epochs; ++epoch) {
    for (int64_t batch = 0; batch < task.num_batches(epoch); ++batch) {
      StepFacts facts = task.facts(epoch, batch);
      if (facts.activation_bytes > largest.activation_bytes) largest = std::move(facts);
    }
  }
  if (largest.activation_bytes > static_cast<double>(free_bytes)) throw out_of_memory(largest, options, free_bytes);
}

TrainResult Trainer::Impl::run() {
  require_memory();
  const std::optional<int64_t> saved = output.resuming() ? latest_state(output.path()) : std::nullopt;
  begin_together(saved);
  output.open(record);
  const uint64_t offset = saved ? restore(*saved) : 0;
  if (group.is_first()) metrics = std::make_unique<MetricsLog>(output.path() / "metrics.jsonl", offset);
  if (output.resuming()) log.notice(fmt::format("resuming {} at step {}", output.path().string(), at.step));

  Progress progress(log, "train", "steps", schedule.total_steps(), at.step);
  interval_began = last_save = Clock::now();
  while (!ends_here() && !stopped && !is_stale()) train_epoch(progress);
  result.end = stopped ? TrainEnd::kStopped : TrainEnd::kFinished;
  result.steps = at.step;
  result.multiply_adds = at.multiply_adds;
  return result;
}

// Nobody changes the directory before all have looked into it.
void Trainer::Impl::begin_together(const std::optional<int64_t>& saved) {
  const std::string own = saved ? fmt::format("the state of step {}", *saved) : "no state";
  const std::string first = group.broadcast(own);
  FT_REQUIRE(own == first, "this process finds {} in {}, rank 0 {}; --out must be on a file system that all share", own, output.path().string(), first);
  for (const auto& [name, tensor] : setup.model_state) group.broadcast(tensor.detach());
}

void Trainer::Impl::write(const Json& line) {
  if (metrics) metrics->write(line);
}

// Makes the entry that of all processes' samples, and says this process's share of them.
double Trainer::Impl::share_losses(int64_t own_samples, Pending& entry) {
  if (group.size() == 1) return 1;
  FT_CHECK(own_samples > 0, "several processes, and a step that does not say how many samples it has");
  const auto own = static_cast<double>(own_samples);
  std::vector<double> numbers = {own, stop_requested() ? 1.0 : 0.0};
  for (const auto& [name, tensor] : entry.losses) numbers.push_back(own * tensor.item<double>());
  numbers = group.sum(std::move(numbers));
  entry.samples = std::llround(numbers[0]);
  some_rank_stops = numbers[1] > 0;
  for (size_t i = 0; i < entry.losses.size(); ++i) entry.losses[i].second = at::scalar_tensor(numbers[2 + i] / numbers[0], at::kDouble);
  return own / numbers[0];
}

void Trainer::Impl::average_statistics(double share) {
  if (setup.moving_statistics.empty()) return;
  const at::NoGradGuard no_grad;
  const at::Tensor all = at::cat(setup.moving_statistics).mul_(share);
  group.sum(all);
  int64_t first = 0;
  for (const at::Tensor& statistic : setup.moving_statistics) {
    statistic.copy_(all.narrow(0, first, statistic.numel()));
    first += statistic.numel();
  }
}

void Trainer::Impl::train_epoch(Progress& progress) {
  const int64_t num_batches = task.num_batches(at.epoch);
  task.start_epoch(at.epoch, at.batch);
  setup.set_training_mode(true);
  epoch_began = Clock::now();
  while (at.batch < num_batches) {
    const int64_t group_size = std::min(options.grad_accum_steps, num_batches - at.batch);
    for (int64_t i = 0; i < group_size; ++i) accumulate(at.batch + i, group_size);
    optimizer_step();
    at.batch += group_size;
    ++at.step;
    if (at.step % options.log_interval == 0) report_interval();
    progress.update(at.step, fmt::format("epoch {}/{}  loss {:.3f}", at.epoch + 1, schedule.epoch_ends.size(), last_loss));
    // At an epoch's end the state is saved after validation.
    if (at.batch == num_batches || ends_here()) break;
    if (val_every.steps > 0 && at.step % val_every.steps == 0) {
      validate_between();
      if (is_stale()) break;
    }
    stopped = stop_is_due();
    if (stopped || save_is_due()) save();
    if (stopped) return;
  }
  finish_epoch();
  stopped = group.any(stop_requested()) && !ends_here() && !is_stale();
}

void Trainer::Impl::accumulate(int64_t batch, int64_t group_size) {
  // Dropout and its like draw from LibTorch's generator: reseeded each step, nothing of it needs saving.
  const int64_t place = at.step * options.grad_accum_steps + batch % options.grad_accum_steps;
  at::manual_seed(derive_seed(setup.seed, "torch", place * group.size() + group.rank()));
  const StepFacts facts = task.facts(at.epoch, batch);
  Pending entry{batch, facts.num_samples, {}};
  try {
    StepLosses losses;
    {
      const AutocastGuard autocast(setup.device, setup.precision);
      losses = task.step();
    }
    entry.losses = std::move(losses.parts);
    entry.losses.emplace_back("loss", losses.loss);
    for (auto& [name, tensor] : entry.losses) tensor = tensor.detach();
    const double share = share_losses(losses.num_samples, entry);
    // Gradients add up over the group's batches, and are averaged over the processes whatever each one's share.
    const double divisor = static_cast<double>(group_size) / (share * group.size());
    reducer.backward(divisor == 1 ? losses.loss : losses.loss / divisor, /*average=*/batch == at.batch + group_size - 1);
    average_statistics(share);
  } catch (const c10::Error& error) {
    if (is_failed_allocation(error)) throw out_of_memory(facts, options, free_bytes);
    throw;
  }
  interval_samples += entry.samples;
  pending.push_back(std::move(entry));
  if (setup.device.is_cpu() || pending.size() >= 16) read_losses();
  at.multiply_adds += facts.multiply_adds;
}

void Trainer::Impl::read_losses() {
  for (const Pending& entry : pending) {
    for (const auto& [name, tensor] : entry.losses) {
      const double value = tensor.item<double>();
      if (!std::isfinite(value)) {
        throw Error(ExitCode::kNumbers,
                    fmt::format("{} is {} at step {} (epoch {}, batch {}); samples {}", name, value, at.step, at.epoch, entry.batch,
                                first_ids(task.facts(at.epoch, entry.batch).sample_ids)),
                    "a lower --lr, --clip-grad-norm or --precision fp32 may help; --resume starts from the last saved state");
      }
      interval.add(name, value, entry.samples);
      epoch_meter.add(name, value, entry.samples);
      if (name == "loss") last_loss = value;
    }
    interval.samples += entry.samples;
    epoch_meter.samples += entry.samples;
  }
  pending.clear();
}

void Trainer::Impl::optimizer_step() {
  if (options.clip_grad_norm) clip_gradients(optimizer.parameters(), *options.clip_grad_norm);
  optimizer.step(schedule.at(at.step));
  optimizer.zero_grad();
  if (ema) ema->update();
}

void Trainer::Impl::report_interval() {
  read_losses();
  const double seconds = seconds_since(interval_began);
  const double wait = data_wait();
  Json line = {{"event", "train"},
               {"epoch", at.epoch},
               {"step", at.step},
               {"lr", schedule.at(at.step - 1)},
               {"samples_per_s", static_cast<double>(interval_samples) / seconds},
               {"data_wait_percent", 100 * (wait - interval_wait_before) / seconds},
               {"multiply_adds", at.multiply_adds}};
  line.update(interval.means());
  line.update(task.facts(at.epoch, at.batch - 1).report);
  write(line);
  interval = {};
  interval_samples = 0;
  interval_wait_before = wait;
  interval_began = Clock::now();
}

Json Trainer::Impl::validation() {
  const at::NoGradGuard no_grad;
  const AutocastGuard autocast(setup.device, setup.precision);
  return task.validate(at.epoch);
}

// What the model as it is and its average reach, for a line of metrics.jsonl; keeps the best weights.
Json Trainer::Impl::validate() {
  setup.set_training_mode(false);
  result.last_validation = validation();
  Json reached = result.last_validation;
  if (ema) {
    ema->swap();
    result.last_ema_validation = validation();
    ema->swap();
    reached["ema"] = result.last_ema_validation;
  }
  const double value = result.last_validation.at(task.best_metric()).get<double>();
  ++validations_since_best;
  if (result.best_epoch < 0 || value > result.best_value) {
    result.best_epoch = at.epoch;
    result.best_value = value;
    best = clones(setup.model_state);
    best_step = at.step;
    validations_since_best = 0;
  }
  return reached;
}

// Within an epoch.
void Trainer::Impl::validate_between() {
  const Clock::time_point began = Clock::now();
  Json line = {{"event", "validation"}, {"epoch", at.epoch}, {"step", at.step}};
  line.update(validate());
  write(line);
  log.info(fmt::format("step {}:{}", at.step, validation_text()));
  setup.set_training_mode(true);
  // Neither the interval's nor the epoch's time.
  interval_began += Clock::now() - began;
  epoch_began += Clock::now() - began;
}

std::string Trainer::Impl::validation_text() const {
  std::string text;
  for (const auto& [name, number] : result.last_validation.items()) text += fmt::format("  {} {:.4g}", name, number.get<double>());
  return text;
}

bool Trainer::Impl::is_stale() const { return options.early_stop && validations_since_best >= *options.early_stop; }

void Trainer::Impl::finish_epoch() {
  read_losses();
  finished_epochs_wait += task.data_wait_seconds();
  const double train_s = epoch_seconds();
  Json line = {{"event", "epoch"}, {"epoch", at.epoch}, {"step", at.step}, {"multiply_adds", at.multiply_adds}, {"train", epoch_meter.means()}, {"train_s", train_s}};
  std::string text = fmt::format("epoch {}/{} in {}: loss {:.4f}", at.epoch + 1, schedule.epoch_ends.size(), human_duration(train_s), epoch_meter.means().value("loss", 0.0));
  // A stale run was validated at this very step.
  const bool is_due = val_every.steps > 0 ? at.step % val_every.steps == 0 : (at.epoch + 1) % val_every.epochs == 0;
  if ((is_due || ends_here()) && !is_stale()) {
    line.update(validate());
    text += validation_text();
  }
  write(line);
  log.info(text);
  if (is_stale()) log.notice(fmt::format("early stop: no new best in {} validations, since step {}", validations_since_best, best_step));

  ++at.epoch;
  at.batch = 0;
  epoch_meter = {};
  epoch_s_before = 0;
  save();
  // Validation and saving belong to no interval.
  interval_wait_before = finished_epochs_wait;
  interval_samples = 0;
  interval_began = Clock::now();
}

bool Trainer::Impl::save_is_due() const {
  if (save_every.steps > 0) return at.step % save_every.steps == 0;
  return seconds_since(last_save) >= save_every.seconds;
}

void Trainer::Impl::save() {
  read_losses();
  if (!group.is_first()) return;
  TrainState state;
  state.step = at.step;
  append(state.tensors, "model/", setup.model_state);
  append(state.tensors, "optimizer/", optimizer.state());
  append(state.tensors, "best/", best);
  if (ema) append(state.tensors, "ema/", ema->average());
  state.facts = {{"epoch", at.epoch},
                 {"batch", at.batch},
                 {"multiply_adds", at.multiply_adds},
                 {"interval", interval.to_json()},
                 {"epoch_meter", epoch_meter.to_json()},
                 {"last_validation", result.last_validation},
                 {"last_ema_validation", result.last_ema_validation},
                 {"best", {{"epoch", result.best_epoch}, {"value", result.best_value}, {"step", best_step}, {"validations_since", validations_since_best}}},
                 {"metrics_bytes", metrics->sync()},
                 {"epoch_s", at.batch > 0 ? epoch_seconds() : 0},
                 {"run_s", run_seconds()},
                 {"processes", group.size()},
                 {"instruction_set", setup.machine.instruction_set},
                 {"libtorch", setup.machine.libtorch},
                 {"data_id", setup.data_id}};
  save_state(output.path(), state, 2, best_step >= 0 ? std::optional(best_step) : std::nullopt);
  last_save = Clock::now();
}

void Trainer::Impl::require_same_circumstances(const Json& saved) const {
  if (setup.allow_drift) return;
  const auto refuse = [](const std::string& difference) {
    throw Error(ExitCode::kUsage, "--resume: " + difference, "--allow-drift resumes all the same; the result will not be the one of an unbroken run");
  };
  if (const int64_t processes = saved.value("processes", 1); processes != group.size()) {
    refuse(fmt::format("the state was saved by a run of {} processes; here they are {}", processes, group.size()));
  }
  const std::string isa = saved.at("instruction_set").get<std::string>(), libtorch = saved.at("libtorch").get<std::string>();
  if (isa != setup.machine.instruction_set || libtorch != setup.machine.libtorch) {
    refuse(fmt::format("the state was saved with instruction set {} and LibTorch {}; here they are {} and {}", isa, libtorch, setup.machine.instruction_set, setup.machine.libtorch));
  }
  const std::string data_id = saved.value("data_id", "");
  if (!data_id.empty() && !setup.data_id.empty() && data_id != setup.data_id) refuse("the data have changed since the state was saved: other files, or other sizes");
}

uint64_t Trainer::Impl::restore(int64_t step) {
  const TrainState state = load_state(output.path(), step);
  const std::string what = fmt::format("the state of step {} in {}", step, output.path().string());
  try {
    const Json& facts = state.facts;
    require_same_circumstances(facts);
    at = {step, facts.at("epoch").get<int64_t>(), facts.at("batch").get<int64_t>(), facts.at("multiply_adds").get<double>()};
    FT_REQUIRE(at.epoch >= 0 && at.epoch <= options.epochs && at.batch >= 0 && (at.epoch == options.epochs || at.batch <= task.num_batches(at.epoch)),
               "{}: epoch {}, batch {} are not of this run", what, at.epoch, at.batch);
    interval = LossMeter::from_json(facts.at("interval"));
    epoch_meter = LossMeter::from_json(facts.at("epoch_meter"));
    result.last_validation = facts.at("last_validation");
    result.last_ema_validation = facts.at("last_ema_validation");
    result.best_epoch = facts.at("best").at("epoch").get<int64_t>();
    result.best_value = facts.at("best").at("value").get<double>();
    best_step = facts.at("best").at("step").get<int64_t>();
    validations_since_best = facts.at("best").at("validations_since").get<int64_t>();
    epoch_s_before = facts.at("epoch_s").get<double>();
    result.earlier_s = facts.at("run_s").get<double>();
    copy_by_name(extract(state.tensors, "model/"), setup.model_state, what);
    optimizer.load_state(extract(state.tensors, "optimizer/"));
    best = extract(state.tensors, "best/");
    if (ema) ema->load(extract(state.tensors, "ema/"));
    return facts.at("metrics_bytes").get<uint64_t>();
  } catch (const Json::exception& error) {
    FT_FAIL(ExitCode::kInput, "{}: not what a run writes: {}", what, error.what());
  }
}

Trainer::Trainer(const TrainOptions& options, TrainerSetup setup, TrainTask& task, OutputDirectory& output, const RunRecord& record, Log& log)
    : impl_(std::make_unique<Impl>(options, std::move(setup), task, output, record, log)) {}

Trainer::~Trainer() = default;

TrainResult Trainer::run() { return impl_->run(); }

const NamedTensors& Trainer::best_weights() const { return impl_->best; }

NamedTensors Trainer::ema_weights() const { return impl_->ema ? impl_->ema->average() : NamedTensors{}; }

}  // namespace fettle
