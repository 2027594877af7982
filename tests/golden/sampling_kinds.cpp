// Golden cases of the multi-scale samplers.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sampling/samplers.h"
#include "tests/golden/golden.h"

namespace fettle::golden {
namespace {

using namespace multiscale;
using nlohmann::json;

// Integers that JSON may spell 128 or 128.0.
int64_t integer(const json& value) {
  const double number = value.get<double>();
  if (number != std::floor(number)) throw Skip{fmt::format("{} is no whole number of pixels", number)};
  return static_cast<int64_t>(number);
}

std::vector<ScaledBatch> read_set(const json& rows) {
  std::vector<ScaledBatch> set;
  for (const json& row : rows) set.push_back({row.at(0).get<int64_t>(), row.at(1).get<int64_t>(), row.at(2).get<int64_t>()});
  return set;
}

void check_close(double found, double expected, double tolerance) {
  CAPTURE(found, expected, tolerance);
  CHECK(std::abs(found - expected) <= tolerance);
}

// Says where two lists part instead of printing both.
void check_equal(const char* what, const std::vector<int64_t>& found, const std::vector<int64_t>& expected) {
  const auto [a, b] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
  INFO(what << ": " << found.size() << " numbers against " << expected.size() << ", the first that differs is at " << a - found.begin());
  CHECK((a == found.end() && b == expected.end()));
}

// [base_h, base_w, batch or frames, min_h, max_h, min_w, max_w, scales, divisor]
SamplerOptions set_options(const json& row) {
  SamplerOptions o;
  o.height = {row.at(0).get<int64_t>(), row.at(3).get<int64_t>(), row.at(4).get<int64_t>(), 0, 0, {}};
  o.width = {row.at(1).get<int64_t>(), row.at(5).get<int64_t>(), row.at(6).get<int64_t>(), 0, 0, {}};
  o.batch_size = row.at(2);
  o.num_sizes = row.at(7);
  o.size_multiple = row.at(8);
  o.reference.truncate_pairs = true;
  return o;
}

std::vector<int64_t> all_sizes(const SamplerOptions& o, const Axis& axis) {
  return axis_sizes(bounds_at(o, axis, 0), o.num_sizes, o.size_multiple, axis.base);
}

void check_law(const json& law, const std::string& sampler, const ComputeLaw& found, double tolerance) {
  INFO(sampler);
  check_close(found.compute_per_sample, law.at(sampler + "_compute_per_sample"), tolerance);
  check_close(found.iterations, law.at(sampler + "_iterations"), tolerance);
  check_close(found.peak_pixels, law.at(sampler + "_peak_pixels"), tolerance);
}

void run_candidates(const Case& test) {
  const json& arguments = test.json.at("arguments");
  const json& expected = test.json.at("expected");
  require_known(arguments, "arguments.", {"kind", "sets", "video_sets", "round_to_divisor"});
  require_known(expected, "expected.", {"image_sets", "video_sets", "round_to_divisor"});
  const double tolerance = test.json.at("tolerance").at("law");

  const json& sets = arguments.at("sets");
  REQUIRE(expected.at("image_sets").size() == sets.size());
  for (size_t i = 0; i < sets.size(); ++i) {
    INFO("set " << sets[i].dump());
    const json& row = expected["image_sets"][i];
    SamplerOptions o = set_options(sets[i]);
    CHECK(all_sizes(o, o.height) == row.at("heights").get<std::vector<int64_t>>());
    CHECK(all_sizes(o, o.width) == row.at("widths").get<std::vector<int64_t>>());
    CHECK(size_set(o, 0) == read_set(row.at("set")));
    check_law(row.at("law"), "vbs", compute_law(o.base(), size_set(o, 0)), tolerance);
    o.kind = SamplerKind::kMscFbs;
    check_law(row.at("law"), "fbs", compute_law(o.base(), size_set(o, 0)), tolerance);
  }
  // Sets for video follow the same law with frames in the place of images.
  const json videos = arguments.value("video_sets", json::array());
  REQUIRE(expected.value("video_sets", json::array()).size() == videos.size());
  for (size_t i = 0; i < videos.size(); ++i) {
    INFO("video set " << videos[i].dump());
    CHECK(size_set(set_options(videos[i]), 0) == read_set(expected["video_sets"][i].at("set_h_w_frames")));
  }
  for (const json& row : expected.value("round_to_divisor", json::array())) {
    INFO("round " << row.dump());
    CHECK(round_to_multiple(row.at(0), row.at(1)) == row.at(2).get<int64_t>());
  }
}

SamplerOptions schedule_options(const json& arguments, const json& schedule) {
  require_known(schedule, "schedule.", {"name", "law", "min", "max", "fraction", "stages"});
  SamplerOptions o;
  o.batch_size = arguments.at("batch");
  o.num_sizes = arguments.at("scales");
  o.size_multiple = arguments.at("divisor");
  o.epochs = arguments.at("epochs");
  o.height.base = arguments.at("base");
  const std::string law = schedule.at("law");
  o.height.from_min = integer(schedule.at("min").at(0));
  o.height.min = integer(schedule.at("min").at(1));
  if (law == "stages") {
    o.curriculum = CurriculumLaw::kStages;
    o.height.min = o.height.from_min;
    for (const json& stage : schedule.at("stages")) o.height.stages.push_back(integer(stage));
  } else if (law == "constant" || law == "linear" || law == "cosine") {
    o.curriculum = law == "cosine" ? CurriculumLaw::kCosine : CurriculumLaw::kLinear;
    o.curriculum_fraction = schedule.at("fraction");
    o.height.from_max = integer(schedule.at("max").at(0));
    o.height.max = integer(schedule.at("max").at(1));
    if (law == "constant") {  // the last bounds all along; as a curriculum, so that the base must lie within them
      o.height.from_min = o.height.min;
      o.height.from_max = o.height.max;
    }
  } else {
    throw Skip{fmt::format("curriculum law {} is not known", law)};
  }
  o.width = o.height;
  return o;
}

void run_curriculum(const Case& test) {
  const json& arguments = test.json.at("arguments");
  const json& schedules = arguments.at("schedules");
  const json& expected = test.json.at("expected").at("schedules");
  require_known(arguments, "arguments.", {"kind", "base", "batch", "scales", "divisor", "epochs", "schedules"});
  const double bounds_tolerance = test.json.at("tolerance").at("bounds");
  const double compute_tolerance = test.json.at("tolerance").at("compute");
  REQUIRE(expected.size() == schedules.size());
  for (size_t i = 0; i < schedules.size(); ++i) {
    const std::string name = schedules[i].at("name");
    const SamplerOptions o = schedule_options(arguments, schedules[i]);
    const std::vector<double> bounds = read_doubles(test, "bounds." + name);    // [epochs, 2]
    const std::vector<double> compute = read_doubles(test, "compute." + name);  // [epochs]
    REQUIRE(compute.size() == static_cast<size_t>(o.epochs));
    REQUIRE(bounds.size() == 2 * compute.size());
    double sum = 0;
    json changes = json::array();
    std::vector<ScaledBatch> before;
    for (size_t e = 0; e < compute.size(); ++e) {
      INFO("schedule " << name << ", epoch " << e);
      const auto epoch = static_cast<int64_t>(e);
      const std::vector<ScaledBatch> set = size_set(o, epoch);
      check_close(bounds_at(o, o.height, epoch).min, bounds[2 * e], bounds_tolerance);
      check_close(bounds_at(o, o.height, epoch).max, bounds[2 * e + 1], bounds_tolerance);
      const double found = compute_law(o.base(), set).compute_per_sample;
      check_close(found, compute[e], compute_tolerance);
      sum += found;
      if (e == 0 || set != before) {
        json rows = json::array();
        for (const ScaledBatch& entry : set) rows.push_back({entry.height, entry.width, entry.batch_size});
        changes.push_back({e, rows});
      }
      before = set;
    }
    INFO("schedule " << name);
    CHECK(changes == expected[i].at("set_from_epoch"));
    check_close(sum / static_cast<double>(o.epochs), expected[i].at("mean_compute"), compute_tolerance);
  }
}

// The public sampler's options as ours, with its ways where they differ.
SamplerOptions sequence_options(const json& arguments) {
  require_known(arguments, "arguments.",
                {"sampler", "world", "gpus", "samples", "batch", "epochs", "training", "common", "vbs", "msc", "bs", "resolved"});
  const json common = arguments.value("common", json::object());
  require_known(common, "arguments.common.",
                {"num_repeats", "truncated_repeat_aug_sampler", "use_shards", "disable_shuffle_sharding", "start_shuffling_from_epoch"});
  const json& resolved = arguments.at("resolved");
  require_known(resolved, "arguments.resolved.",
                {"crop_size_height", "crop_size_width", "min_crop_size_height", "max_crop_size_height", "min_crop_size_width",
                 "max_crop_size_width", "max_n_scales", "check_scale", "scale_inc", "ep_intervals", "min_scale_inc_factor",
                 "max_scale_inc_factor", "num_frames_per_clip", "clips_per_video"});
  const std::string sampler = arguments.at("sampler");
  const bool training = arguments.value("training", true);
  const bool distributed = !arguments.at("world").is_null();
  const int64_t gpus = arguments.at("gpus");

  SamplerOptions o;
  o.height.base = resolved.at("crop_size_height");
  o.width.base = resolved.at("crop_size_width");
  o.batch_size = arguments.at("batch");
  o.num_samples = arguments.at("samples");
  o.epochs = arguments.at("epochs");
  o.shuffle = training;
  o.shuffle_from_epoch = common.value("start_shuffling_from_epoch", int64_t{0});
  o.reference.truncate_pairs = true;
  o.reference.pad_once = true;
  if (distributed) o.world = arguments.at("world");
  if (!distributed) o.reference.pad_multiple = gpus;
  if (training) {
    o.repeats = std::max<int64_t>(1, common.value("num_repeats", int64_t{1}));
    o.truncate_repeats = common.value("truncated_repeat_aug_sampler", false);
  }
  if (training && distributed && common.value("use_shards", false)) {
    // Fewer ranks than a node has GPUs make one node.
    o.reference.ranks_per_node = std::min(gpus, o.world);
    if (o.world % o.reference.ranks_per_node != 0) throw Skip{fmt::format("{} ranks do not fill nodes of {}", o.world, gpus)};
    if (common.value("disable_shuffle_sharding", false)) o.shuffle = false;
  }

  if (sampler == "batch_sampler") {
    o.kind = SamplerKind::kSscFbs;
    if (!distributed) o.tail = Tail::kKeep;
    return o;
  }
  if (sampler != "variable_batch_sampler" && sampler != "multi_scale_sampler") throw Skip{fmt::format("sampler {} is not known", sampler)};
  const bool variable = sampler == "variable_batch_sampler";
  const bool grows = variable && resolved.value("scale_inc", false);
  if (grows && !training) throw Skip{"scale_inc in validation"};
  if (!training) {
    o.kind = SamplerKind::kSscFbs;
    return o;
  }
  o.kind = variable ? SamplerKind::kMscVbs : SamplerKind::kMscFbs;
  o.height.min = resolved.at("min_crop_size_height");
  o.height.max = resolved.at("max_crop_size_height");
  o.width.min = resolved.at("min_crop_size_width");
  o.width.max = resolved.at("max_crop_size_width");
  o.num_sizes = resolved.at("max_n_scales");
  o.size_multiple = resolved.at("check_scale");
  if (grows) {
    const json& epochs = resolved.at("ep_intervals");
    o.reference.increase_epochs = epochs.is_array() ? epochs.get<std::vector<int64_t>>() : std::vector<int64_t>{epochs.get<int64_t>()};
    o.reference.min_increase = resolved.at("min_scale_inc_factor");
    o.reference.max_increase = resolved.at("max_scale_inc_factor");
  }
  return o;
}

// The draws that the case recorded, in the place of seeded ones.
Draws recorded_draws(const Case& test, int64_t epoch, int64_t rank) {
  std::string order_name = fmt::format("order.epoch{}.rank{}", epoch, rank);
  if (test.tensors.find(order_name) == nullptr) order_name = fmt::format("order.epoch{}", epoch);
  const std::string choice_name = fmt::format("choice.epoch{}", epoch);
  const std::vector<int64_t> choices =
      test.tensors.find(choice_name) != nullptr ? read_integers(test, choice_name) : std::vector<int64_t>();
  return {[&test, order_name](std::vector<int64_t>& order) {
            std::vector<int64_t> recorded = read_integers(test, order_name);
            std::vector<int64_t> sorted = recorded;
            std::sort(sorted.begin(), sorted.end());
            std::sort(order.begin(), order.end());
            REQUIRE(sorted == order);
            order = std::move(recorded);
          },
          [choices](int64_t iteration, int64_t num_choices) {
            if (choices.empty() && num_choices == 1) return int64_t{0};
            REQUIRE(static_cast<size_t>(iteration) < choices.size());
            return choices[static_cast<size_t>(iteration)];
          }};
}

void run_sequence(const Case& test) {
  SamplerOptions o = sequence_options(test.json.at("arguments"));
  const json& expected = test.json.at("expected");
  const json sets = expected.value("candidates_by_epoch", json::array());
  for (int64_t epoch = 0; epoch < o.epochs; ++epoch) {
    const auto e = static_cast<size_t>(epoch);
    if (e < sets.size() && !sets[e].empty()) CHECK(size_set(o, epoch) == read_set(sets[e]));
    for (o.rank = 0; o.rank < o.world; ++o.rank) {
      const std::string key = fmt::format("epoch{}.rank{}", epoch, o.rank);
      INFO(key);
      const Draws draws = recorded_draws(test, epoch, o.rank);
      std::vector<int64_t> batches;
      std::vector<int64_t> indices;
      for (const BatchPlan& batch : plan_epoch(o, epoch, draws)) {
        batches.insert(batches.end(), {batch.height, batch.width, static_cast<int64_t>(batch.indices.size())});
        indices.insert(indices.end(), batch.indices.begin(), batch.indices.end());
      }
      check_equal("batches", batches, read_integers(test, "batches." + key));
      check_equal("indices", indices, read_integers(test, "indices." + key));
      const Work work = work_of(batch_sequence(o, epoch, draws));
      CHECK(work.samples == static_cast<int64_t>(indices.size()));
      if (expected.contains("len." + key)) CHECK(samples_per_rank(o) == expected["len." + key].get<int64_t>());
      if (expected.contains("pixels." + key)) CHECK(work.pixels == expected["pixels." + key].get<int64_t>());
      const std::string ratio = "pixels_over_base_times_samples." + key;
      if (expected.contains(ratio)) {
        const auto base = static_cast<double>(o.height.base * o.width.base * work.samples);
        check_close(static_cast<double>(work.pixels) / base, expected[ratio], 1e-12);  // a ratio of integers
      }
    }
  }
}

void run_video_sequence(const Case&) { throw Skip{"video samplers are not implemented"}; }

}  // namespace

std::vector<Kind> sampling_kinds() {
  return {{"sampling/candidates", run_candidates},
          {"sampling/curriculum", run_curriculum},
          {"sampling/sequence", run_sequence},
          {"sampling/video_sequence", run_video_sequence}};
}

}  // namespace fettle::golden
