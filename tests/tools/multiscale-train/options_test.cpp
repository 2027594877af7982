#include "multiscale-train/options.h"

#include <catch2/catch.hpp>

#include "tests/support/expect_error.h"

using namespace fettle;
using namespace fettle::multiscale;
using fettle::test::expect_error;

namespace {

Options valid() {
  Options options;
  options.data.data = "fashion-mnist";
  options.sampling.size = 28;
  options.sampling.sizes = "16:40:5";
  options.sampling.size_multiple = 4;
  return options;
}

void refused(const std::string& part, void (*change)(Options&)) {
  Options options = valid();
  change(options);
  INFO(part);
  expect_error(ExitCode::kUsage, part, [&] {
    validate(options);
    sampler_options(options, 60000, 28, 1);
  });
}

}  // namespace

TEST_CASE("options: the usual ones make the paper's set") {
  validate(valid());
  const SamplerOptions sampler = sampler_options(valid(), 60000, 28, 1);
  const std::vector<ScaledBatch> expected = {{16, 16, 392}, {24, 24, 174}, {28, 28, 128}, {36, 36, 77}, {40, 40, 62}};
  const bool same = size_set(sampler, 0) == expected;  // c10 would have Catch2 print what has no operator<<
  CHECK(same);
}

TEST_CASE("options: without --size the images' own size is the base") {
  Options options = valid();
  options.sampling.size.reset();
  CHECK(sampler_options(options, 100, 32, 1).height.base == 32);
}

TEST_CASE("options: what does not fit together is refused with the flag's name") {
  refused("--data", [](Options& o) { o.data.data.clear(); });
  refused("--sizes MIN:MAX:N is needed by msc-vbs", [](Options& o) { o.sampling.sizes.clear(); });
  refused("--sizes: expected MIN:MAX:N", [](Options& o) { o.sampling.sizes = "16:40"; });
  refused("--sizes: expected MIN:MAX:N", [](Options& o) { o.sampling.sizes = "16:40:0"; });
  refused("--sizes: 40 is above 16", [](Options& o) { o.sampling.sizes = "40:16:5"; });
  refused("--sizes: ssc-fbs trains at one size", [](Options& o) { o.sampling.sampler = "ssc-fbs"; });
  refused("--curriculum goes with --sampler msc-vbs", [](Options& o) {
    o.sampling.sampler = "msc-fbs";
    o.sampling.curriculum = "linear";
    o.sampling.curriculum_from = "16:24";
  });
  refused("--curriculum-from", [](Options& o) { o.sampling.curriculum = "cosine"; });
  refused("--curriculum-from", [](Options& o) { o.sampling.curriculum_from = "16:24"; });
  refused("--curriculum-stages", [](Options& o) { o.sampling.curriculum = "stages"; });
  refused("--crop-scale", [](Options& o) { o.data.crop_scale = "0:1"; });
  refused("--crop-scale", [](Options& o) { o.data.crop_scale = "0.5"; });
  refused("--lr-min", [](Options& o) { o.train.lr_min = 1; });
  refused("--lr-milestones", [](Options& o) { o.train.lr_scheduler = "multistep"; });
  refused("--lr-milestones", [](Options& o) { o.train.lr_milestones = {3}; });
  refused("--lr-milestones must rise", [](Options& o) {
    o.train.lr_scheduler = "multistep";
    o.train.lr_milestones = {3, 3};
  });
  refused("--lr-scale", [](Options& o) { o.train.lr_scale = {"layer1.*"}; });
  refused("--val-every", [](Options& o) { o.train.val_every = "often"; });
  refused("multiple", [](Options& o) { o.sampling.size_multiple = 5; });
}
