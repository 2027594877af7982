#include "train/options.h"

#include <algorithm>
#include <charconv>
#include <functional>

#include "base/errors.h"
#include "train/parameter_settings.h"

namespace fettle {

void bind(FlagTable& table, TrainOptions& options) {
  table.group("Training");
  table.flag("epochs", options.epochs, "passes over the training data").range(1, 1e6).common();
  table.flag("batch-size", options.batch_size, "samples a step, of all processes together; at the base size where sizes vary").range(1, 1e6).common();
  table.flag("opt", options.opt, "optimiser").choices({"sgd", "sgd_nesterov", "adamw"});
  table.flag("lr", options.lr, "peak learning rate").above(0).common();
  table.flag("lr-scheduler", options.lr_scheduler, "course of the learning rate after the warm-up").choices({"cosine", "linear", "multistep", "constant"});
  table.flag("lr-update", options.lr_update, "whether that course moves with each step, or stays within an epoch").choices({"step", "epoch"});
  table.flag("lr-min", options.lr_min, "cosine, linear: learning rate at the end").range(0);
  table.flag("lr-milestones", options.lr_milestones, "multistep: epochs from which on the learning rate is multiplied once more").range(1, 1e6).unit("epochs");
  table.flag("lr-gamma", options.lr_gamma, "multistep: by how much").range(0, 1);
  table.flag("lr-warmup-epochs", options.lr_warmup_epochs, "linear warm-up from 0, per step").range(0).unit("epochs");
  table.flag("lr-warmup-steps", options.lr_warmup_steps, "the same, counted in steps").range(0, 1e9).default_text("--lr-warmup-epochs");
  table.flag("lr-warmup-init", options.lr_warmup_init, "learning rate of the first warm-up step").range(0).default_text("one step's share of --lr");
  table.flag("momentum", options.momentum, "of SGD").range(0, 1);
  table.flag("weight-decay", options.weight_decay, "of weights of two and more dimensions").range(0);
  table.flag("norm-weight-decay", options.norm_weight_decay, "of rank-1 tensors: normalisation and biases").range(0).default_text("0");
  table.flag("no-weight-decay", options.no_weight_decay, "parameters without decay, by pattern: 'pos_embed'").metavar("PATTERN");
  table.flag("lr-scale", options.lr_scale, "another learning rate for parameters, by pattern: 'layer4.*=0.1'; the last that matches counts").metavar("PATTERN=FACTOR");
  table.flag("freeze", options.freeze, "parameters that stay as they are, by pattern: 'features.*'; batch norm among them keeps its statistics").metavar("PATTERN");
  table.flag("freeze-batch-norm", options.freeze_batch_norm, "all batch norm normalises by its running statistics, which stay as they are");
  table.flag("grad-accum-steps", options.grad_accum_steps, "batches whose mean gradient makes one step").range(1, 1e6);
  table.flag("clip-grad-norm", options.clip_grad_norm, "largest L2 norm of the whole gradient").above(0).default_text("no clipping");
  table.flag("model-ema", options.model_ema, "keep, validate and write an exponential moving average of the weights");
  table.flag("model-ema-decay", options.model_ema_decay, "share of the average kept at each step").range(0, 1);
  table.flag("precision", options.precision, "of matrix products; auto is a fixed rule by device and network").choices({"auto", "fp32", "bf16"});
  table.flag("max-steps", options.max_steps, "end after so many steps, and the learning rate's course with them").range(1, 1e9).default_text("what --epochs take");
  table.flag("val-every", options.val_every, "validate every so many steps (500) or epochs (2epochs), and in the end").metavar("N|Nepochs").default_text("every epoch");
  table.flag("early-stop", options.early_stop, "end when so many validations in a row brought no new best").range(1, 1e6).default_text("never");
  table.flag("save-every", options.save_every, "training state: steps (500) or time (5min, 90s, 1h)")
      .metavar("N|TIME")
      .default_text("every epoch and every 5min")
      .not_recorded();
  table.flag("log-interval", options.log_interval, "steps between lines of metrics.jsonl").range(1, 1e6).not_recorded();
  table.group("Several processes (torchrun, srun, or RANK, WORLD_SIZE and MASTER_ADDR in the environment)");
  table.flag("sync-batch-norm", options.sync_batch_norm, "batch norm's statistics are of the whole batch, not of each process's share");
  table.flag("rank-timeout", options.rank_timeout, "how long a process waits for the others before it ends").range(1, 86400).unit("s").not_recorded();
}

void validate(const TrainOptions& options) {
  parse_save_every(options.save_every);
  parse_val_every(options.val_every);
  for (const std::string& text : options.lr_scale) parse_lr_scale(text);
  FT_REQUIRE_USAGE(options.lr_min <= options.lr, "--lr-min {} is above --lr {}", options.lr_min, options.lr);
  FT_REQUIRE_USAGE((options.lr_scheduler == "multistep") == !options.lr_milestones.empty(), "--lr-milestones goes with --lr-scheduler multistep, which needs it");
  FT_REQUIRE_USAGE(std::is_sorted(options.lr_milestones.begin(), options.lr_milestones.end(), std::less_equal<>()), "--lr-milestones must rise");
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

ValidationInterval parse_val_every(const std::string& text) {
  if (text.empty()) return {};
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const bool in_epochs = unit == "epochs" || unit == "epoch";
  FT_REQUIRE_USAGE(error == std::errc() && number >= 1 && (unit.empty() || in_epochs), "--val-every: expected steps (500) or epochs (2epochs), found '{}'", text);
  if (in_epochs) return {0, number};
  return {number, 0};
}

}  // namespace fettle
