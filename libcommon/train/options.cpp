#include "train/options.h"

#include <charconv>

#include "base/errors.h"

namespace fettle {

void bind(FlagTable& table, TrainOptions& options) {
  table.group("Training");
  table.flag("epochs", options.epochs, "passes over the training data").range(1, 1e6).common();
  table.flag("batch-size", options.batch_size, "samples a step, at the base size where sizes vary").range(1, 1e6).common();
  table.flag("opt", options.opt, "optimiser").choices({"sgd", "sgd_nesterov", "adamw"});
  table.flag("lr", options.lr, "peak learning rate").above(0).common();
  table.flag("lr-scheduler", options.lr_scheduler, "course of the learning rate after the warm-up, per step").choices({"cosine", "constant"});
  table.flag("lr-min", options.lr_min, "learning rate at the end of the cosine").range(0);
  table.flag("lr-warmup-epochs", options.lr_warmup_epochs, "linear warm-up from 0, per step").range(0).unit("epochs");
  table.flag("momentum", options.momentum, "of SGD").range(0, 1);
  table.flag("weight-decay", options.weight_decay, "of weights of two and more dimensions").range(0);
  table.flag("norm-weight-decay", options.norm_weight_decay, "of rank-1 tensors: normalisation and biases").range(0).default_text("0");
  table.flag("grad-accum-steps", options.grad_accum_steps, "batches whose mean gradient makes one step").range(1, 1e6);
  table.flag("clip-grad-norm", options.clip_grad_norm, "largest L2 norm of the whole gradient").above(0).default_text("no clipping");
  table.flag("model-ema", options.model_ema, "keep, validate and write an exponential moving average of the weights");
  table.flag("model-ema-decay", options.model_ema_decay, "share of the average kept at each step").range(0, 1);
  table.flag("precision", options.precision, "of matrix products; auto is a fixed rule by device and network").choices({"auto", "fp32", "bf16"});
  table.flag("save-every", options.save_every, "training state: steps (500) or time (5min, 90s, 1h)")
      .metavar("N|TIME")
      .default_text("every epoch and every 5min")
      .not_recorded();
  table.flag("log-interval", options.log_interval, "steps between lines of metrics.jsonl").range(1, 1e6).not_recorded();
}

void validate(const TrainOptions& options) {
  parse_save_every(options.save_every);
  FT_REQUIRE_USAGE(options.lr_min <= options.lr, "--lr-min {} is above --lr {}", options.lr_min, options.lr);
}

SaveInterval parse_save_every(const std::string& text) {
  if (text.empty()) return {};
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const double seconds = unit == "s" ? 1 : unit == "min" ? 60 : unit == "h" ? 3600 : 0;
  FT_REQUIRE_USAGE(error == std::errc() && number >= 1 && (unit.empty() || seconds > 0), "--save-every: expected steps (500) or a time (90s, 5min, 1h), found '{}'",
                   text);
  if (unit.empty()) return {number, 0};
  return {0, static_cast<double>(number) * seconds};
}

}  // namespace fettle
