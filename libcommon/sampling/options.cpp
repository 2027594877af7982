#include "sampling/options.h"

#include <cmath>

#include "base/errors.h"
#include "base/text.h"

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

Bounds parse_bounds(const std::string& text, const std::string& flag) {
  const std::vector<std::string> parts = split(text, ':');
  FT_REQUIRE_USAGE(parts.size() == 2, "{}: expected MIN:MAX, found '{}'", flag, text);
  const Bounds bounds{number(parts[0], flag, "MIN:MAX", text), number(parts[1], flag, "MIN:MAX", text)};
  FT_REQUIRE_USAGE(bounds.min <= bounds.max, "{}: {} is above {}", flag, parts[0], parts[1]);
  return bounds;
}

void bind(FlagTable& table, SamplerFlags& flags) {
  table.group("Sampler");
  table.flag("sampler", flags.sampler, "one size; a size a batch; or a size a batch with the batch size that keeps its pixels")
      .choices({"ssc-fbs", "msc-fbs", "msc-vbs"})
      .common();
  table.flag("size", flags.size, "base size: of ssc-fbs, of validation, and of --batch-size").range(1, 1e5).unit("px").default_text("the images' own; photographs: 224").common();
  table.flag("sizes", flags.sizes, "set of training sizes: smallest, largest and how many between; the base is added").metavar("MIN:MAX:N").common();
  table.flag("size-multiple", flags.size_multiple, "sizes are rounded to a multiple of this").range(1, 1e5).unit("px").common();
  table.flag("curriculum", flags.curriculum, "grow the sizes over the epochs (msc-vbs)").choices({"none", "linear", "cosine", "stages"});
  table.flag("curriculum-from", flags.curriculum_from, "linear, cosine: bounds of the sizes in the first epoch; --sizes are the last").metavar("MIN:MAX");
  table.flag("curriculum-fraction", flags.curriculum_fraction, "linear, cosine: share of the epochs over which they grow").range(1e-6, 1);
  table.flag("curriculum-stages", flags.curriculum_stages, "stages: the largest size of each equal part of the run").range(1, 1e5);
}

void validate(const SamplerFlags& flags) {
  const bool multi = flags.sampler != "ssc-fbs";
  FT_REQUIRE_USAGE(multi || flags.sizes.empty(), "--sizes: ssc-fbs trains at one size (--size); msc-fbs and msc-vbs take a set");
  FT_REQUIRE_USAGE(!multi || !flags.sizes.empty(), "--sizes MIN:MAX:N is needed by {}", flags.sampler);
  if (multi) parse_sizes(flags.sizes);
  const CurriculumLaw law = law_of(flags.curriculum);
  FT_REQUIRE_USAGE(law == CurriculumLaw::kNone || flags.sampler == "msc-vbs", "--curriculum goes with --sampler msc-vbs, not {}", flags.sampler);
  const bool grows = law == CurriculumLaw::kLinear || law == CurriculumLaw::kCosine;
  FT_REQUIRE_USAGE(grows == !flags.curriculum_from.empty(), "--curriculum-from goes with --curriculum linear or cosine, which need it");
  if (grows) parse_bounds(flags.curriculum_from, "--curriculum-from");
  FT_REQUIRE_USAGE((law == CurriculumLaw::kStages) == !flags.curriculum_stages.empty(), "--curriculum-stages goes with --curriculum stages, which needs it");
}

SamplerOptions sampler_options(const SamplerFlags& flags, const SampledRun& run) {
  SamplerOptions result;
  result.kind = flags.sampler == "ssc-fbs" ? SamplerKind::kSscFbs : flags.sampler == "msc-fbs" ? SamplerKind::kMscFbs : SamplerKind::kMscVbs;
  result.batch_size = run.batch_size;
  result.size_multiple = flags.size_multiple;
  result.num_samples = run.num_samples;
  result.epochs = run.epochs;
  result.repeats = run.repeats;
  result.truncate_repeats = true;
  result.seed = run.seed;
  result.curriculum = law_of(flags.curriculum);
  result.curriculum_fraction = flags.curriculum_fraction;
  Axis axis;
  axis.base = flags.size.value_or(run.image_size);
  axis.min = axis.max = axis.base;
  if (result.kind != SamplerKind::kSscFbs) {
    const SizeRange range = parse_sizes(flags.sizes);
    axis.min = range.min;
    axis.max = range.max;
    result.num_sizes = range.count;
  }
  if (!flags.curriculum_from.empty()) {
    const Bounds from = parse_bounds(flags.curriculum_from, "--curriculum-from");
    axis.from_min = static_cast<int64_t>(from.min);
    axis.from_max = static_cast<int64_t>(from.max);
    FT_REQUIRE_USAGE(static_cast<double>(axis.from_min) == from.min && static_cast<double>(axis.from_max) == from.max, "--curriculum-from: expected whole sizes, found '{}'",
                     flags.curriculum_from);
  }
  axis.stages = flags.curriculum_stages;
  result.height = result.width = axis;
  validate(result);
  return result;
}

}  // namespace fettle::multiscale
