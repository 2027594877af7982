#include "multiscale-train/options.h"

#include "base/errors.h"
#include "models/factory.h"

namespace fettle::multiscale {

Json arch_options(const Options& options) { return options.arch_options.empty() ? Json::object() : Json::parse(options.arch_options); }

void bind(FlagTable& table, Options& options) {
  bind(table, options.data);

  table.group("Model");
  table.flag("arch", options.arch, "architecture; 'help' lists them: ResNets, MobileNets, EfficientNets, Swin and vision transformers").metavar("NAME").listing(models_help).common();
  table.flag("arch-options", options.arch_options, "overrides of the architecture, JSON text or a .json file: '{\"width_multiplier\": 0.5}'").metavar("JSON").json_object();
  table.flag("init", options.init, "start from these weights: an artifact, .safetensors, or what torch.save wrote").metavar("PATH").input("init");
  table.flag("init-overlay", options.init_overlay, "weights to lay over those of --init, of some of its tensors: batch norm with statistics to train on").metavar("FILE").input("init_overlay");
  table.flag("init-partial", options.init_partial, "take what fits of --init, where names are missing or unexpected");
  table.flag("mean", options.mean, "subtracted from pixel / 255, one number a channel or one for all: 128/255").metavar("NUMBERS").default_text("that of --init where it is an artifact; else the data's");
  table.flag("std", options.std, "divides it then").metavar("NUMBERS").default_text("as --mean");
  table.flag("label-smoothing", options.label_smoothing, "probability spread over all classes").range(0, 1);

  bind(table, options.sampling);
  bind(table, options.train);

  table.group("Evaluation");
  table.flag("eval-sizes", options.eval_sizes, "sizes to evaluate at in the end").range(1, 1e5).default_text("the training sizes and the base");
  table.flag("val-batch-size", options.val_batch_size, "images a batch in evaluation").range(1, 1e6).default_text("--batch-size");
}

void validate(const Options& options) {
  validate(options.train);
  validate(options.data);
  describe(options.arch, 3, 1, arch_options(options));  // its errors, before data are read
  FT_REQUIRE_USAGE(!options.init_partial || !options.init.empty(), "--init-partial goes with --init");
  FT_REQUIRE_USAGE(options.init_overlay.empty() || !options.init.empty(), "--init-overlay goes with --init");
  validate(options.sampling);
}

SamplerOptions sampler_options(const Options& options, int64_t num_samples, int64_t image_size, uint64_t seed) {
  return sampler_options(options.sampling, {.num_samples = num_samples,
                                            .image_size = image_size,
                                            .batch_size = options.train.batch_size,
                                            .epochs = options.train.epochs,
                                            .repeats = options.data.ra_reps,
                                            .seed = seed});
}

}  // namespace fettle::multiscale
