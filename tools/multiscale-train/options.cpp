#include "multiscale-train/options.h"

#include <cmath>

#include "base/errors.h"
#include "base/text.h"
#include "models/factory.h"

namespace fettle::multiscale {
namespace {

struct SizeRange {
  int64_t min = 0, max = 0, count = 0;
};

double number(const std::string& text, const std::string& flag, const std::string& expected, const std::string& whole) {
  double value = 0;
  FT_REQUIRE_USAGE(parse_number(text, value), "{}: expected {}, found '{}'", flag, expected, whole);
  return value;
}

int64_t whole_number(const std::string& text, const std::string& flag, const std::string& expected, const std::string& whole) {
  const double value = number(text, flag, expected, whole);
  FT_REQUIRE_USAGE(value == std::floor(value) && value >= 1 && value <= 1e6, "{}: expected {}, found '{}'", flag, expected, whole);
  return static_cast<int64_t>(value);
}

SizeRange parse_sizes(const std::string& text) {
  const std::string expected = "MIN:MAX:N, the smallest size, the largest and how many (128:320:5)";
  const std::vector<std::string> parts = split(text, ':');
  FT_REQUIRE_USAGE(parts.size() == 3, "--sizes: expected {}, found '{}'", expected, text);
  const SizeRange range{whole_number(parts[0], "--sizes", expected, text), whole_number(parts[1], "--sizes", expected, text),
                        whole_number(parts[2], "--sizes", expected, text)};
  FT_REQUIRE_USAGE(range.min <= range.max, "--sizes: {} is above {}", range.min, range.max);
  return range;
}

CurriculumLaw law_of(const std::string& name) {
  if (name == "linear") return CurriculumLaw::kLinear;
  if (name == "cosine") return CurriculumLaw::kCosine;
  return name == "stages" ? CurriculumLaw::kStages : CurriculumLaw::kNone;
}

}  // namespace

Json arch_options(const Options& options) { return options.arch_options.empty() ? Json::object() : Json::parse(options.arch_options); }

Bounds parse_bounds(const std::string& text, const std::string& flag) {
  const std::vector<std::string> parts = split(text, ':');
  FT_REQUIRE_USAGE(parts.size() == 2, "{}: expected MIN:MAX, found '{}'", flag, text);
  const Bounds bounds{number(parts[0], flag, "MIN:MAX", text), number(parts[1], flag, "MIN:MAX", text)};
  FT_REQUIRE_USAGE(bounds.min <= bounds.max, "{}: {} is above {}", flag, parts[0], parts[1]);
  return bounds;
}

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

  table.group("Sampler");
  table.flag("sampler", options.sampler, "one size; a size a batch; or a size a batch with the batch size that keeps its pixels")
      .choices({"ssc-fbs", "msc-fbs", "msc-vbs"})
      .common();
  table.flag("size", options.size, "base size: of ssc-fbs, of validation, and of --batch-size").range(1, 1e5).unit("px").default_text("the images' own; photographs: 224").common();
  table.flag("sizes", options.sizes, "set of training sizes: smallest, largest and how many between; the base is added").metavar("MIN:MAX:N").common();
  table.flag("size-multiple", options.size_multiple, "sizes are rounded to a multiple of this").range(1, 1e5).unit("px").common();
  table.flag("curriculum", options.curriculum, "grow the sizes over the epochs (msc-vbs)").choices({"none", "linear", "cosine", "stages"});
  table.flag("curriculum-from", options.curriculum_from, "linear, cosine: bounds of the sizes in the first epoch; --sizes are the last").metavar("MIN:MAX");
  table.flag("curriculum-fraction", options.curriculum_fraction, "linear, cosine: share of the epochs over which they grow").range(1e-6, 1);
  table.flag("curriculum-stages", options.curriculum_stages, "stages: the largest size of each equal part of the run").range(1, 1e5);

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
  const bool multi = options.sampler != "ssc-fbs";
  FT_REQUIRE_USAGE(multi || options.sizes.empty(), "--sizes: ssc-fbs trains at one size (--size); msc-fbs and msc-vbs take a set");
  FT_REQUIRE_USAGE(!multi || !options.sizes.empty(), "--sizes MIN:MAX:N is needed by {}", options.sampler);
  if (multi) parse_sizes(options.sizes);
  const CurriculumLaw law = law_of(options.curriculum);
  FT_REQUIRE_USAGE(law == CurriculumLaw::kNone || options.sampler == "msc-vbs", "--curriculum goes with --sampler msc-vbs, not {}", options.sampler);
  const bool grows = law == CurriculumLaw::kLinear || law == CurriculumLaw::kCosine;
  FT_REQUIRE_USAGE(grows == !options.curriculum_from.empty(), "--curriculum-from goes with --curriculum linear or cosine, which need it");
  if (grows) parse_bounds(options.curriculum_from, "--curriculum-from");
  FT_REQUIRE_USAGE((law == CurriculumLaw::kStages) == !options.curriculum_stages.empty(), "--curriculum-stages goes with --curriculum stages, which needs it");
}

SamplerOptions sampler_options(const Options& options, int64_t num_samples, int64_t image_size, uint64_t seed) {
  SamplerOptions result;
  result.kind = options.sampler == "ssc-fbs" ? SamplerKind::kSscFbs : options.sampler == "msc-fbs" ? SamplerKind::kMscFbs : SamplerKind::kMscVbs;
  result.batch_size = options.train.batch_size;
  result.size_multiple = options.size_multiple;
  result.num_samples = num_samples;
  result.epochs = options.train.epochs;
  result.repeats = options.data.ra_reps;
  result.truncate_repeats = true;
  result.seed = seed;
  result.curriculum = law_of(options.curriculum);
  result.curriculum_fraction = options.curriculum_fraction;
  Axis axis;
  axis.base = options.size.value_or(image_size);
  axis.min = axis.max = axis.base;
  if (result.kind != SamplerKind::kSscFbs) {
    const SizeRange range = parse_sizes(options.sizes);
    axis.min = range.min;
    axis.max = range.max;
    result.num_sizes = range.count;
  }
  if (!options.curriculum_from.empty()) {
    const Bounds from = parse_bounds(options.curriculum_from, "--curriculum-from");
    axis.from_min = static_cast<int64_t>(from.min);
    axis.from_max = static_cast<int64_t>(from.max);
    FT_REQUIRE_USAGE(static_cast<double>(axis.from_min) == from.min && static_cast<double>(axis.from_max) == from.max, "--curriculum-from: expected whole sizes, found '{}'",
                     options.curriculum_from);
  }
  axis.stages = options.curriculum_stages;
  result.height = result.width = axis;
  validate(result);
  return result;
}

}  // namespace fettle::multiscale
