#pragma once
// What every trainer lets its user choose. Names follow torchvision's reference scripts and timm's train.py.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/flags.h"

namespace fettle {

struct TrainOptions {
  int64_t epochs = 10;
  int64_t batch_size = 128;
  std::string opt = "sgd_nesterov";
  double lr = 0.1;
  double lr_min = 0;
  double lr_warmup_epochs = 1;
  std::optional<int64_t> lr_warmup_steps;
  std::optional<double> lr_warmup_init;
  std::string lr_scheduler = "cosine";
  std::string lr_update = "step";
  std::vector<int64_t> lr_milestones;
  double lr_gamma = 0.1;
  double momentum = 0.9;
  double weight_decay = 5e-4;
  std::optional<double> norm_weight_decay;
  std::vector<std::string> no_weight_decay;
  std::vector<std::string> lr_scale;
  std::vector<std::string> freeze;
  bool freeze_batch_norm = false;
  int64_t grad_accum_steps = 1;
  std::optional<double> clip_grad_norm;
  bool model_ema = false;
  double model_ema_decay = 0.999;
  std::string precision = "auto";
  std::optional<int64_t> max_steps;
  std::string val_every;
  std::optional<int64_t> early_stop;
  std::string save_every;
  int64_t log_interval = 50;
  bool sync_batch_norm = false;
  double rank_timeout = 60;
};

void bind(FlagTable& table, TrainOptions& options);
void validate(const TrainOptions& options);

// --save-every: after so many optimiser steps, or so many seconds. Empty text: every epoch and every 5 minutes.
struct SaveInterval {
  int64_t steps = 0;    // 0: not by steps
  double seconds = 300;  // 0: not by time
};
SaveInterval parse_save_every(const std::string& text);  // Error(kUsage)

// --val-every: after so many optimiser steps ("500") or epochs ("2epochs"); the run's end comes besides. Empty text: every epoch.
struct ValidationInterval {
  int64_t steps = 0;   // 0: by epochs
  int64_t epochs = 1;  // 0: by steps
};
ValidationInterval parse_val_every(const std::string& text);  // Error(kUsage)

}  // namespace fettle
