#include "train/schedule.h"

#include <catch2/catch.hpp>

#include <cmath>

using namespace fettle;

TEST_CASE("schedule: linear warm-up reaches the peak, the cosine ends at the minimum") {
  const Schedule schedule{.lr = 0.4, .lr_min = 0.1, .warmup_steps = 4, .epoch_ends = {6, 12}};
  CHECK(schedule.at(0) == Approx(0.1));
  CHECK(schedule.at(3) == Approx(0.4));
  CHECK(schedule.at(4) == Approx(0.4));
  CHECK(schedule.at(8) == Approx(0.25));
  CHECK(schedule.at(12) == Approx(0.1));
  for (int64_t step = 4; step < 12; ++step) CHECK(schedule.at(step + 1) < schedule.at(step));
}

TEST_CASE("schedule: constant stays, and no warm-up starts at the peak") {
  const Schedule constant{.course = Schedule::Course::kConstant, .lr = 0.3, .epoch_ends = {10}};
  CHECK(constant.at(0) == 0.3);
  CHECK(constant.at(9) == 0.3);
}

TEST_CASE("schedule: linear goes straight down, multistep falls at its milestones") {
  const Schedule linear{.course = Schedule::Course::kLinear, .lr = 1, .lr_min = 0.2, .warmup_steps = 2, .epoch_ends = {5, 10}};
  CHECK(linear.at(2) == Approx(1));
  CHECK(linear.at(6) == Approx(0.6));
  CHECK(linear.at(10) == Approx(0.2));
  const Schedule steps{.course = Schedule::Course::kMultistep, .lr = 0.1, .milestones = {1, 3}, .gamma = 0.5, .epoch_ends = {10, 20, 30, 40}};
  CHECK(steps.at(9) == Approx(0.1));
  CHECK(steps.at(10) == Approx(0.05));
  CHECK(steps.at(29) == Approx(0.05));
  CHECK(steps.at(30) == Approx(0.025));
}

TEST_CASE("schedule: by epoch it stays within one, also in a shorter last one") {
  const Schedule schedule{.course = Schedule::Course::kLinear, .lr = 1, .by_epoch = true, .epoch_ends = {10, 20, 25}};
  CHECK(schedule.at(0) == Approx(1));
  CHECK(schedule.at(9) == Approx(1));
  CHECK(schedule.at(10) == Approx(2.0 / 3));
  CHECK(schedule.at(24) == Approx(1.0 / 3));
}

// CoreNet's ByteFormer recipe (300 epochs, 7,500 warm-up steps, 1e-6 -> 1e-3 -> 2e-5), values of its scheduler, which rounds to eight decimals.
TEST_CASE("schedule: CoreNet's warm-up and cosine by epoch") {
  Schedule schedule{.lr = 1e-3, .lr_min = 2e-5, .by_epoch = true, .warmup_steps = 7500, .warmup_init = 1e-6};
  constexpr int64_t kSteps = 1251;  // in an epoch, so that step 7,500 lies in epoch 5
  for (int64_t epoch = 1; epoch <= 300; ++epoch) schedule.epoch_ends.push_back(epoch * kSteps);
  const auto rounded = [&](int64_t step) { return std::round(schedule.at(step) * 1e8) / 1e8; };
  CHECK(rounded(0) == Approx(1e-6));
  CHECK(rounded(3750) == Approx(5.005e-4));
  CHECK(rounded(7499) == Approx(9.9987e-4));
  CHECK(rounded(7500) == Approx(9.9933e-4));
  CHECK(rounded(75 * kSteps) == Approx(8.5648e-4));
  CHECK(rounded(150 * kSteps) == Approx(5.1e-4));
  CHECK(rounded(299 * kSteps) == Approx(2.003e-5));
}
