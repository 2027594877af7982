#pragma once
// What every trainer lets its user choose. Names follow torchvision's reference scripts and timm's train.py.

#include <cstdint>
#include <optional>
#include <string>

#include "cli/flags.h"

namespace fettle {

struct TrainOptions {
  int64_t epochs = 10;
  int64_t batch_size = 128;
  std::string opt = "sgd_nesterov";
  double lr = 0.1;
  double lr_min = 0;
  double lr_warmup_epochs = 1;
  std::string lr_scheduler = "cosine";
  double momentum = 0.9;
  double weight_decay = 5e-4;
  std::optional<double> norm_weight_decay;
  int64_t grad_accum_steps = 1;
  std::optional<double> clip_grad_norm;
  bool model_ema = false;
  double model_ema_decay = 0.999;
  std::string precision = "auto";
  std::string save_every;
  int64_t log_interval = 50;
};

void bind(FlagTable& table, TrainOptions& options);
void validate(const TrainOptions& options);

// --save-every: after so many optimiser steps, or so many seconds. Empty text: every epoch and every 5 minutes.
struct SaveInterval {
  int64_t steps = 0;    // 0: not by steps
  double seconds = 300;  // 0: not by time
};
SaveInterval parse_save_every(const std::string& text);  // Error(kUsage)

}  // namespace fettle
