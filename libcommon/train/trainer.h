#pragma once
// The loop around a step function. It owns accumulation, precision, clipping, the optimiser and its schedule, the moving
// average, state and resume, metrics and stopping. It does not know what a class is: a paper brings a TrainTask.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "artifact/output_directory.h"
#include "base/log.h"
#include "dist/process_group.h"
#include "train/ema.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/schedule.h"

namespace fettle {

using Json = nlohmann::json;

// What one batch is, of all processes together, known without making it.
struct StepFacts {
  int64_t num_samples = 0;
  double multiply_adds = 0;               // of forward and backward
  double activation_bytes = 0;            // estimate of what the backward pass keeps, of this process; 0: unknown
  Json report = Json::object();           // keys for the interval's line: size, batch
  std::vector<int64_t> sample_ids;        // named when the loss breaks
};

struct StepLosses {
  at::Tensor loss;                                           // scalar, with its graph
  std::vector<std::pair<std::string, at::Tensor>> parts;     // further named scalars, for the record
  int64_t num_samples = 0;                                   // that they are the mean of; 0: what the facts say (one process)
};

class TrainTask {
 public:
  virtual ~TrainTask() = default;
  virtual int64_t num_batches(int64_t epoch) const = 0;      // exact
  virtual StepFacts facts(int64_t epoch, int64_t batch) const = 0;
  // Positions the data; batches before `first_batch` are not made.
  virtual void start_epoch(int64_t epoch, int64_t first_batch) = 0;
  // Takes the next batch and computes its losses; the loop has set training mode and precision.
  virtual StepLosses step() = 0;
  virtual double data_wait_seconds() const = 0;              // so far in this epoch
  // Metrics of the model as it is, such as {"val_top1_percent": 91.2}; the loop sets evaluation mode and precision.
  virtual Json validate(int64_t epoch) = 0;
  virtual std::string best_metric() const = 0;               // of validate(); higher is better
};

// What must agree between the run that saved a state and the one that resumes it, besides the options.
struct MachineFacts {
  std::string instruction_set;  // "avx2"
  std::string libtorch;         // "2.11.0"
};

struct TrainerSetup {
  NamedTensors parameters;      // leaves that require gradients
  NamedTensors model_state;     // parameters and buffers under their public names: saved, averaged
  std::function<void(bool)> set_training_mode;
  c10::Device device = c10::kCPU;
  at::ScalarType precision = at::kFloat;  // kFloat or kBFloat16
  uint64_t seed = 0;
  MachineFacts machine;
  std::string data_id;          // of what is trained on, which a resumed run compares likewise; "": not known
  bool allow_drift = false;
  int64_t other_memory_bytes = 0;  // of the CPU's, that the run will take besides

  // Several processes train one model: gradients are averaged by sample, and so are the moving statistics after each batch. Rank 0 writes.
  const ProcessGroup* group = nullptr;
  int local_processes = 1;                     // that share this machine's memory
  std::vector<at::Tensor> moving_statistics;   // of the rank's own share of a batch
};

enum class TrainEnd { kFinished, kStopped };

struct TrainResult {
  TrainEnd end = TrainEnd::kFinished;
  int64_t steps = 0;
  double multiply_adds = 0;     // of all batches trained on
  double earlier_s = 0;         // wall time that earlier, interrupted processes spent up to the state resumed from
  Json last_validation = Json::object();
  Json last_ema_validation = Json::object();
  int64_t best_epoch = -1;
  double best_value = 0;
};

class Trainer {
 public:
  Trainer(const TrainOptions& options, TrainerSetup setup, TrainTask& task, OutputDirectory& output, const RunRecord& record, Log& log);
  ~Trainer();

  // Trains to the end or to the first stop signal; restores the latest state first when `output` is resumed.
  // Error(kNumbers) on a loss that is not finite, with the step and the batch's samples.
  TrainResult run();

  // After run(): weights by validation, and the average's, under the model's names; empty when there is none.
  const NamedTensors& best_weights() const;
  NamedTensors ema_weights() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Optimiser steps of an epoch and of a whole run, and the schedule over them.
int64_t steps_in_epoch(const TrainTask& task, int64_t epoch, int64_t grad_accum_steps);
Schedule make_schedule(const TrainTask& task, const TrainOptions& options);

}  // namespace fettle
