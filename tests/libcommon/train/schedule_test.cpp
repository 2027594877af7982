#include "train/schedule.h"

#include <catch2/catch.hpp>

using namespace fettle;

TEST_CASE("schedule: linear warm-up reaches the peak, the cosine ends at the minimum") {
  const Schedule schedule{.lr = 0.4, .lr_min = 0.1, .cosine = true, .warmup_steps = 4, .total_steps = 12};
  CHECK(schedule.at(0) == Approx(0.1));
  CHECK(schedule.at(3) == Approx(0.4));
  CHECK(schedule.at(4) == Approx(0.4));
  CHECK(schedule.at(8) == Approx(0.25));
  CHECK(schedule.at(12) == Approx(0.1));
  for (int64_t step = 4; step < 12; ++step) CHECK(schedule.at(step + 1) < schedule.at(step));
}

TEST_CASE("schedule: constant stays, and no warm-up starts at the peak") {
  const Schedule constant{.lr = 0.3, .lr_min = 0, .cosine = false, .warmup_steps = 0, .total_steps = 10};
  CHECK(constant.at(0) == 0.3);
  CHECK(constant.at(9) == 0.3);
}
