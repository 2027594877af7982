#include "sampling/samplers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/errors.h"
#include "random/stream.h"

namespace fettle::multiscale {
namespace {

constexpr int64_t kMaxSize = 65'536;         // with these two the pixels of a batch stay exact in a double
constexpr int64_t kMaxBatchSize = 1 << 20;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Growth of the public code: min += int(min * factor) at each listed epoch, once.
int64_t increased(int64_t size, double factor, const std::vector<int64_t>& at_epochs, int64_t epoch) {
  for (int64_t e = 0; e <= epoch; ++e) {
    const bool listed = std::find(at_epochs.begin(), at_epochs.end(), e) != at_epochs.end();
    if (listed) size += static_cast<int64_t>(static_cast<double>(size) * factor);
  }
  return size;
}

// 0, 1, .. n-1, 0, 1, .. up to a multiple of `multiple`.
std::vector<int64_t> padded_order(int64_t num_samples, int64_t multiple) {
  std::vector<int64_t> order(static_cast<size_t>(ceil_div(num_samples, multiple) * multiple));
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int64_t>(i) % num_samples;
  return order;
}

std::vector<int64_t> repeat_each(const std::vector<int64_t>& list, int64_t repeats, bool truncate) {
  std::vector<int64_t> out(list.size() * static_cast<size_t>(truncate ? 1 : repeats));
  for (size_t i = 0; i < out.size(); ++i) out[i] = list[i / static_cast<size_t>(repeats)];
  return out;
}

// How the padded list is cut: nodes take contiguous shards of it, the ranks of a node read their shard in turns.
struct Split {
  int64_t padded, shard, node, stride, offset;
};

Split split_of(const SamplerOptions& o) {
  const int64_t multiple = o.reference.pad_multiple > 0 ? o.reference.pad_multiple : o.world;
  const int64_t per_node = o.reference.ranks_per_node > 0 ? o.reference.ranks_per_node : o.world;
  FT_CHECK(o.num_samples >= 1 && o.rank >= 0 && o.rank < o.world && o.world % per_node == 0, "{} samples, rank {} of {}, {} a node",
           o.num_samples, o.rank, o.world, per_node);
  const int64_t padded = ceil_div(o.num_samples, multiple) * multiple;
  return {padded, padded / (o.world / per_node), o.rank / per_node, per_node, o.rank % per_node};
}

std::vector<int64_t> rank_list(const SamplerOptions& o, int64_t epoch, const Draws& draws) {
  const Split split = split_of(o);
  std::vector<int64_t> list = padded_order(o.num_samples, split.padded);
  list = {list.begin() + split.node * split.shard, list.begin() + (split.node + 1) * split.shard};
  if (o.shuffle && epoch >= o.shuffle_from_epoch) draws.shuffle(list);
  list = repeat_each(list, o.repeats, o.truncate_repeats);
  std::vector<int64_t> mine;
  for (size_t i = static_cast<size_t>(split.offset); i < list.size(); i += static_cast<size_t>(split.stride)) mine.push_back(list[i]);
  return mine;
}

void require_size(const char* what, int64_t size, int64_t multiple) {
  FT_REQUIRE_USAGE(size >= 1 && size <= kMaxSize, "{} {}: expected 1 to {} pixels", what, size, kMaxSize);
  FT_REQUIRE_USAGE(size >= multiple, "{} {}: expected at least the size multiple, {}", what, size, multiple);
  FT_REQUIRE_USAGE(size % multiple == 0, "{} {} is no multiple of {}; the nearest are {} and {}", what, size, multiple,
                   size / multiple * multiple, (size / multiple + 1) * multiple);
}

void validate_axis(const SamplerOptions& o, const Axis& axis) {
  const int64_t q = o.size_multiple;
  require_size("base size", axis.base, q);
  require_size("smallest size", axis.min, q);
  require_size("largest size", axis.max, q);
  FT_REQUIRE_USAGE(axis.min <= axis.max, "sizes {} to {}: expected the smallest first", axis.min, axis.max);
  FT_REQUIRE_USAGE(o.num_sizes >= 2 || axis.min == axis.max, "number of sizes {}: expected at least 2 from {} to {}", o.num_sizes, axis.min,
                   axis.max);
  if (o.curriculum == CurriculumLaw::kLinear || o.curriculum == CurriculumLaw::kCosine) {
    require_size("first smallest size of the curriculum", axis.from_min, q);
    require_size("first largest size of the curriculum", axis.from_max, q);
    FT_REQUIRE_USAGE(axis.from_min <= axis.from_max, "first sizes of the curriculum {} to {}: expected the smallest first", axis.from_min,
                     axis.from_max);
    FT_REQUIRE_USAGE(axis.from_min <= axis.min && axis.from_max <= axis.max,
                     "curriculum from {}-{} to {}-{}: expected bounds that do not shrink", axis.from_min, axis.from_max, axis.min, axis.max);
  }
  if (o.curriculum == CurriculumLaw::kStages) {
    FT_REQUIRE_USAGE(!axis.stages.empty(), "curriculum in stages: expected the largest size of each stage, found none");
    for (const int64_t stage : axis.stages) require_size("curriculum stage", stage, q);
    FT_REQUIRE_USAGE(std::is_sorted(axis.stages.begin(), axis.stages.end()), "curriculum stages: expected ascending sizes");
    FT_REQUIRE_USAGE(axis.stages.front() >= axis.min, "first curriculum stage {}: expected at least the smallest size, {}",
                     axis.stages.front(), axis.min);
    FT_REQUIRE_USAGE(axis.stages.back() == axis.max, "last curriculum stage {}: expected the largest size, {}", axis.stages.back(),
                     axis.max);
  }
}

}  // namespace

int64_t round_to_multiple(double size, int64_t multiple) {
  const double q = static_cast<double>(multiple);
  const int64_t nearest = std::max(multiple, static_cast<int64_t>(std::floor((size + q / 2) / q)) * multiple);
  return static_cast<double>(nearest) < 0.9 * size ? nearest + multiple : nearest;
}

std::vector<int64_t> axis_sizes(Bounds bounds, int64_t num_sizes, int64_t multiple, std::optional<int64_t> base) {
  std::vector<double> values;
  if (base) values.push_back(static_cast<double>(*base));
  for (int64_t i = 0; i + 1 < num_sizes; ++i) {
    values.push_back(bounds.min + static_cast<double>(i) * ((bounds.max - bounds.min) / static_cast<double>(num_sizes - 1)));
  }
  values.push_back(num_sizes > 1 ? bounds.max : bounds.min);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());

  std::vector<int64_t> sizes;
  for (const double value : values) sizes.push_back(round_to_multiple(value, multiple));
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

int64_t scaled_batch_size(const ScaledBatch& base, int64_t height, int64_t width) {
  const double quotient = static_cast<double>(base.height * base.width * base.batch_size) / static_cast<double>(height * width);
  // to_chars rounds the exact binary value to two decimals, half to even, as Python does; what stands before the point is the
  // floor.
  std::array<char, 400> text;
  const auto end = std::to_chars(text.data(), text.data() + text.size(), quotient, std::chars_format::fixed, 2);
  int64_t whole = 0;
  std::from_chars(text.data(), end.ptr, whole);
  return std::max<int64_t>(1, whole);
}

std::vector<ScaledBatch> pair_sizes(const ScaledBatch& base, const std::vector<int64_t>& heights, const std::vector<int64_t>& widths) {
  FT_CHECK(heights.size() == widths.size(), "{} heights, {} widths", heights.size(), widths.size());
  std::vector<ScaledBatch> set;
  for (size_t i = 0; i < heights.size(); ++i) set.push_back({heights[i], widths[i], scaled_batch_size(base, heights[i], widths[i])});
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
  return set;
}

ComputeLaw compute_law(const ScaledBatch& base, const std::vector<ScaledBatch>& set) {
  FT_CHECK(!set.empty());
  const double area = static_cast<double>(base.height * base.width);
  const double pixels = area * static_cast<double>(base.batch_size);
  double samples = 0;
  double compute = 0;
  double peak = 0;
  for (const ScaledBatch& entry : set) {
    const double batch_pixels = static_cast<double>(entry.height * entry.width * entry.batch_size);
    samples += static_cast<double>(entry.batch_size);
    compute += batch_pixels;
    peak = std::max(peak, batch_pixels);
  }
  return {compute / (area * samples), static_cast<double>(base.batch_size) * static_cast<double>(set.size()) / samples, peak / pixels};
}

void validate(const SamplerOptions& o) {
  FT_REQUIRE_USAGE(o.num_samples >= 1, "number of samples {}: expected at least 1", o.num_samples);
  FT_REQUIRE_USAGE(o.batch_size >= 1 && o.batch_size <= kMaxBatchSize, "batch size {}: expected 1 to {}", o.batch_size, kMaxBatchSize);
  FT_REQUIRE_USAGE(o.epochs >= 1, "epochs {}: expected at least 1", o.epochs);
  FT_REQUIRE_USAGE(o.repeats >= 1, "repeats {}: expected at least 1", o.repeats);
  FT_REQUIRE_USAGE(o.world >= 1 && o.rank >= 0 && o.rank < o.world, "rank {} of {}: expected 0 to {}", o.rank, o.world, o.world - 1);
  FT_REQUIRE_USAGE(o.curriculum == CurriculumLaw::kNone || o.kind == SamplerKind::kMscVbs, "a curriculum needs the sampler msc-vbs");
  FT_REQUIRE_USAGE(o.curriculum_fraction > 0 && o.curriculum_fraction <= 1, "curriculum fraction {}: expected more than 0 and at most 1",
                   o.curriculum_fraction);
  if (o.kind == SamplerKind::kSscFbs) {
    require_size("size", o.height.base, 1);
    require_size("size", o.width.base, 1);
  } else {
    FT_REQUIRE_USAGE(o.size_multiple >= 1, "size multiple {}: expected at least 1", o.size_multiple);
    FT_REQUIRE_USAGE(o.num_sizes >= 1 && o.num_sizes <= kMaxSize, "number of sizes {}: expected 1 to {}", o.num_sizes, kMaxSize);
    validate_axis(o, o.height);
    validate_axis(o, o.width);
  }
  for (int64_t epoch = 0; epoch < o.epochs; ++epoch) {
    for (const ScaledBatch& entry : size_set(o, epoch)) {
      FT_REQUIRE_USAGE(o.tail != Tail::kDrop || entry.batch_size <= samples_per_rank(o),
                       "dropping the last batch could leave none: {} samples a rank, but a batch of {} at {} x {}", samples_per_rank(o),
                       entry.batch_size, entry.height, entry.width);
    }
    if (o.curriculum == CurriculumLaw::kNone) break;
  }
}

Bounds bounds_at(const SamplerOptions& o, const Axis& axis, int64_t epoch) {
  FT_CHECK(epoch >= 0, "epoch {}", epoch);
  if (o.curriculum == CurriculumLaw::kStages) {
    const int64_t count = static_cast<int64_t>(axis.stages.size());
    const int64_t stage = std::min(count - 1, epoch * count / o.epochs);
    return {static_cast<double>(axis.min), static_cast<double>(axis.stages[static_cast<size_t>(stage)])};
  }
  if (o.curriculum == CurriculumLaw::kNone) {
    const Reference& r = o.reference;
    return {static_cast<double>(increased(axis.min, r.min_increase, r.increase_epochs, epoch)),
            static_cast<double>(increased(axis.max, r.max_increase, r.increase_epochs, epoch))};
  }
  double t = std::min(1.0, static_cast<double>(epoch) / (o.curriculum_fraction * static_cast<double>(o.epochs)));
  if (o.curriculum == CurriculumLaw::kCosine) t = (1 - std::cos(std::numbers::pi * t)) / 2;
  const auto between = [t](int64_t from, int64_t to) { return static_cast<double>(from) + static_cast<double>(to - from) * t; };
  return {between(axis.from_min, axis.min), between(axis.from_max, axis.max)};
}

std::vector<ScaledBatch> size_set(const SamplerOptions& o, int64_t epoch) {
  if (o.kind == SamplerKind::kSscFbs) return {o.base()};
  const auto sizes_of = [&](const Axis& axis) {
    const Bounds bounds = bounds_at(o, axis, epoch);
    const double base = static_cast<double>(axis.base);
    const bool with_base = o.curriculum == CurriculumLaw::kNone || (bounds.min <= base && base <= bounds.max);
    return axis_sizes(bounds, o.num_sizes, o.size_multiple, with_base ? std::optional(axis.base) : std::nullopt);
  };
  std::vector<int64_t> heights = sizes_of(o.height);
  std::vector<int64_t> widths = sizes_of(o.width);
  if (o.reference.truncate_pairs) {
    heights.resize(std::min(heights.size(), widths.size()));
    widths.resize(heights.size());
  }
  FT_REQUIRE_USAGE(heights.size() == widths.size(),
                   "{} heights and {} widths cannot be paired in epoch {}: the base must be among the evenly spaced sizes of both axes "
                   "or of neither",
                   heights.size(), widths.size(), epoch);
  std::vector<ScaledBatch> set = pair_sizes(o.base(), heights, widths);
  if (o.kind == SamplerKind::kMscFbs) {
    for (ScaledBatch& entry : set) entry.batch_size = o.batch_size;
  }
  return set;
}

ScaledBatch largest_images(const SamplerOptions& options) { return size_set(options, options.epochs - 1).back(); }

Draws seeded_draws(const SamplerOptions& o, int64_t epoch) {
  const uint64_t seed = o.seed;
  return {[=](std::vector<int64_t>& order) { RandomStream(seed, "shuffle", epoch).shuffle(order); },
          [=](int64_t iteration, int64_t num_choices) { return RandomStream(seed, "scale", epoch, iteration).below(num_choices); }};
}

int64_t samples_per_rank(const SamplerOptions& o) {
  const Split split = split_of(o);
  const int64_t length = split.shard * (o.truncate_repeats ? 1 : o.repeats);
  return ceil_div(length - split.offset, split.stride);
}

std::vector<ScaledBatch> batch_sequence(const SamplerOptions& o, int64_t epoch, const Draws& draws) {
  const std::vector<ScaledBatch> set = size_set(o, epoch);
  const int64_t num_samples = samples_per_rank(o);
  std::vector<ScaledBatch> batches;
  for (int64_t start = 0; start < num_samples; start += batches.back().batch_size) {
    const int64_t choice = draws.choose(static_cast<int64_t>(batches.size()), static_cast<int64_t>(set.size()));
    FT_CHECK(choice >= 0 && choice < static_cast<int64_t>(set.size()), "choice {} of {}", choice, set.size());
    ScaledBatch batch = set[static_cast<size_t>(choice)];
    const int64_t left = num_samples - start;
    if (left < batch.batch_size) {
      if (o.tail == Tail::kDrop) break;
      if (o.tail == Tail::kKeep) batch.batch_size = left;
      if (o.tail == Tail::kPad && o.reference.pad_once) batch.batch_size = std::min(batch.batch_size, left + num_samples);
    }
    batches.push_back(batch);
  }
  return batches;
}

std::vector<ScaledBatch> batch_sequence(const SamplerOptions& o, int64_t epoch) { return batch_sequence(o, epoch, seeded_draws(o, epoch)); }

std::vector<BatchPlan> plan_epoch(const SamplerOptions& o, int64_t epoch, const Draws& draws) {
  const std::vector<int64_t> list = rank_list(o, epoch, draws);
  std::vector<BatchPlan> plan;
  size_t position = 0;
  for (const ScaledBatch& batch : batch_sequence(o, epoch, draws)) {
    BatchPlan& next = plan.emplace_back(BatchPlan{batch.height, batch.width, std::vector<int64_t>(static_cast<size_t>(batch.batch_size))});
    for (int64_t& index : next.indices) index = list[position++ % list.size()];
  }
  return plan;
}

std::vector<BatchPlan> plan_epoch(const SamplerOptions& o, int64_t epoch) { return plan_epoch(o, epoch, seeded_draws(o, epoch)); }

Work work_of(const std::vector<ScaledBatch>& batches) {
  Work work;
  for (const ScaledBatch& batch : batches) {
    ++work.steps;
    work.samples += batch.batch_size;
    work.pixels += batch.height * batch.width * batch.batch_size;
  }
  return work;
}

Work planned_work(const SamplerOptions& o) {
  Work total;
  for (int64_t epoch = 0; epoch < o.epochs; ++epoch) {
    const Work work = work_of(batch_sequence(o, epoch));
    total.steps += work.steps;
    total.samples += work.samples;
    total.pixels += work.pixels;
  }
  return total;
}

}  // namespace fettle::multiscale
