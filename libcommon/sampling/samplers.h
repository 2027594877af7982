#pragma once
// The multi-scale data samplers of arXiv 2309.04502: which images form each batch of an epoch, and at which size.
//
//   ssc-fbs  one size, one batch size
//   msc-fbs  a size drawn for every iteration, one batch size: compute and memory follow the area
//   msc-vbs  a size drawn for every iteration, the batch size chosen so that a batch holds as many pixels as one of the base;
//            with a curriculum the bounds of the sizes grow over the epochs
//
// Everything is a pure function of the options, the epoch and the iteration: no state is carried, so a run resumes anywhere,
// and the ranks of a run agree on the sizes without talking. An epoch's order comes from the stream (seed, "shuffle", epoch),
// the size of iteration i from (seed, "scale", epoch, i).
//
// Where the public implementation (corenet/data/sampler) differs, it is noted below; `Reference` brings its behaviour back.

#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "dataset/batch_plan.h"

namespace fettle::multiscale {

struct ScaledBatch {
  int64_t height = 0;
  int64_t width = 0;
  int64_t batch_size = 0;  // images
  auto operator<=>(const ScaledBatch&) const = default;
};

// ---- sets of sizes ---------------------------------------------------------------------------------------------------

struct Bounds {
  double min = 0;
  double max = 0;
};

// The multiple of `multiple` nearest to `size` (ties go up), at least `multiple`, never more than a tenth below `size`.
int64_t round_to_multiple(double size, int64_t multiple);

// `num_sizes` evenly spaced reals from min to max inclusive (1: min alone), and `base` where given; equal ones merged, each
// rounded to the multiple. Ascending; rounding may leave equal neighbours.
std::vector<int64_t> axis_sizes(Bounds bounds, int64_t num_sizes, int64_t multiple, std::optional<int64_t> base);

// The batch law: max(1, floor(base pixels / (height * width))), where the quotient is first rounded to two decimals the way
// Python's round() does.
int64_t scaled_batch_size(const ScaledBatch& base, int64_t height, int64_t width);

// Pairs the lists by position, gives each pair its batch size, drops equal entries, sorts. Precondition: equal lengths.
std::vector<ScaledBatch> pair_sizes(const ScaledBatch& base, const std::vector<int64_t>& heights, const std::vector<int64_t>& widths);

// What drawing uniformly from a set for every iteration costs on average, against the base alone.
struct ComputeLaw {
  double compute_per_sample = 1;  // pixels an image: the batch sizes weigh the areas
  double iterations = 1;          // steps an epoch
  double peak_pixels = 1;         // pixels of the largest batch, to which activation memory is proportional
};
ComputeLaw compute_law(const ScaledBatch& base, const std::vector<ScaledBatch>& set);

// ---- options ---------------------------------------------------------------------------------------------------------

enum class SamplerKind { kSscFbs, kMscFbs, kMscVbs };

// How the bounds grow: over the first `fraction` of the epochs from the axis' first bounds to its last along a line or half
// a cosine, or in equal stages of which each has its own maximum.
enum class CurriculumLaw { kNone, kLinear, kCosine, kStages };

// What becomes of the last batch when a rank's list ends inside it.
enum class Tail {
  kPad,   // topped up from the start of the rank's list: every batch has its law's size; a few images are seen twice
  kDrop,  // left out: those images are not seen in this epoch
  kKeep,  // delivered short
};

// One axis of the image, in pixels.
struct Axis {
  int64_t base = 0;             // the size of ssc-fbs, of evaluation and of the batch law
  int64_t min = 0, max = 0;     // bounds of the set; under a curriculum the last ones
  int64_t from_min = 0, from_max = 0;  // kLinear, kCosine: the first bounds
  std::vector<int64_t> stages;  // kStages: the maximum of each stage, ascending; the minimum stays
};

// Behaviour of the public implementation that its recorded sequences need and a run of ours leaves alone.
struct Reference {
  bool truncate_pairs = false;  // lists of heights and widths of different length are cut to the shorter (else: refused)
  bool pad_once = false;        // Tail::kPad goes through the list at most once more, so that it may still end short
  int64_t pad_multiple = 0;     // the index list is padded to a multiple of this instead of `world`; 0: off
  int64_t ranks_per_node = 0;   // > 0: each node gets a contiguous shard, shuffled on its own
  std::vector<int64_t> increase_epochs;  // at each of these epochs the bounds grow by these factors, for good
  double min_increase = 0;
  double max_increase = 0;
};

struct SamplerOptions {
  SamplerKind kind = SamplerKind::kMscVbs;
  Axis height, width;
  int64_t batch_size = 128;    // a rank's, at the base size
  int64_t num_sizes = 5;       // evenly spaced between the bounds, before rounding; the base is added to them
  int64_t size_multiple = 32;  // every size is a multiple of this

  CurriculumLaw curriculum = CurriculumLaw::kNone;
  double curriculum_fraction = 0.5;  // of the epochs, in (0, 1]

  int64_t num_samples = 0;
  int64_t epochs = 1;
  uint64_t seed = 0;
  bool shuffle = true;
  int64_t shuffle_from_epoch = 0;
  int64_t repeats = 1;            // repeated augmentation: each image that many times in a row, before the ranks split
  bool truncate_repeats = false;  // and of that only the first num_samples
  Tail tail = Tail::kPad;
  int64_t world = 1;  // ranks read the padded order in turns
  int64_t rank = 0;

  Reference reference;

  ScaledBatch base() const { return {height.base, width.base, batch_size}; }
};

// Refuses with a usage error what cannot be planned: counts below 1, bounds that cross or shrink, sizes that are no multiple,
// axes whose lists differ in length at some epoch, a dropped tail that could leave no batch. Walks the sets of all epochs.
void validate(const SamplerOptions& options);

// ---- plans -----------------------------------------------------------------------------------------------------------

// Bounds of one axis in an epoch; non-decreasing in the epoch for options that validate() accepts.
Bounds bounds_at(const SamplerOptions& options, const Axis& axis, int64_t epoch);

// The sizes an epoch draws from, ascending. With a curriculum the base is among them only while it lies within the bounds.
std::vector<ScaledBatch> size_set(const SamplerOptions& options, int64_t epoch);

// The one of the largest images, and so of the fewest, in the whole run: sizes never shrink from epoch to epoch.
ScaledBatch largest_images(const SamplerOptions& options);

// Where an epoch's random decisions come from.
struct Draws {
  std::function<void(std::vector<int64_t>& order)> shuffle;
  std::function<int64_t(int64_t iteration, int64_t num_choices)> choose;  // -> 0 .. num_choices-1
};
Draws seeded_draws(const SamplerOptions& options, int64_t epoch);

// Length of the list that one rank reads in an epoch, repeats included; the same for all ranks.
int64_t samples_per_rank(const SamplerOptions& options);

// The batches of one rank's epoch without their indices: exact and cheap. The same for all ranks.
std::vector<ScaledBatch> batch_sequence(const SamplerOptions& options, int64_t epoch, const Draws& draws);
std::vector<ScaledBatch> batch_sequence(const SamplerOptions& options, int64_t epoch);

// The same batches with their indices.
std::vector<BatchPlan> plan_epoch(const SamplerOptions& options, int64_t epoch, const Draws& draws);
std::vector<BatchPlan> plan_epoch(const SamplerOptions& options, int64_t epoch);

// What batches cost one rank; compute is proportional to pixels in a fully convolutional network.
struct Work {
  int64_t steps = 0;
  int64_t samples = 0;
  int64_t pixels = 0;  // sum of height * width * batch size
};
Work work_of(const std::vector<ScaledBatch>& batches);
Work planned_work(const SamplerOptions& options);  // of all epochs, by replay

}  // namespace fettle::multiscale
