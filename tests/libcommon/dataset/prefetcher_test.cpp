#include "dataset/prefetcher.h"

#include <catch2/catch.hpp>

#include <atomic>
#include <chrono>
#include <random>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/support/expect_error.h"

using namespace fettle;
using namespace fettle::test;

namespace {

struct Slot {
  int64_t job = -1;
  std::vector<int64_t> values;
};

void fill(int64_t job, Slot& slot) {
  slot.job = job;
  slot.values.assign(100, job);
}

bool holds(const Slot& slot, int64_t job) { return slot.job == job && slot.values == std::vector<int64_t>(100, job); }

using Milliseconds = std::chrono::milliseconds;

double seconds_of(const std::function<void()>& call) {
  const auto began = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

TEST_CASE("prefetcher: every job once and in order, whatever the threads and slots") {
  for (const int threads : {0, 1, 2, 5}) {
    for (const int slots : {1, 2, 3, 8}) {
      INFO("threads " << threads << " slots " << slots);
      std::atomic<int> prepared{0};
      Prefetcher<Slot> prefetcher(threads, slots, 7, 50, [&](int64_t job, Slot& slot) {
        ++prepared;
        // Later jobs are ready first.
        if (job % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
        fill(job, slot);
      });
      for (int64_t job = 7; job < 57; ++job) {
        const Slot* slot = prefetcher.next();
        REQUIRE(slot != nullptr);
        REQUIRE(holds(*slot, job));
        if (job % 2 == 0) prefetcher.release();
      }
      CHECK(prefetcher.next() == nullptr);
      CHECK(prefetcher.next() == nullptr);
      CHECK(prepared == 50);
    }
  }
}

TEST_CASE("prefetcher: no jobs is an end at once") {
  for (const int threads : {0, 2}) {
    Prefetcher<Slot> prefetcher(threads, 2, 0, 0, fill);
    CHECK(prefetcher.next() == nullptr);
  }
}

TEST_CASE("prefetcher: a slot stays untouched until the next call, and slots are reused") {
  Prefetcher<Slot> prefetcher(2, 3, 0, 30, fill);
  std::set<const Slot*> slots;
  for (int64_t job = 0; job < 30; ++job) {
    const Slot* slot = prefetcher.next();
    std::this_thread::sleep_for(Milliseconds(1));
    REQUIRE(holds(*slot, job));
    slots.insert(slot);
  }
  CHECK(slots.size() == 3);
}

TEST_CASE("prefetcher: it runs ahead by its slots and no further") {
  std::atomic<int> prepared{0};
  Prefetcher<Slot> prefetcher(2, 4, 0, 100, [&](int64_t job, Slot& slot) {
    fill(job, slot);
    ++prepared;
  });
  const auto settled = [&](int expected) {
    for (int i = 0; i < 2000 && prepared < expected; ++i) std::this_thread::sleep_for(Milliseconds(1));
    std::this_thread::sleep_for(Milliseconds(20));
    return prepared == expected;
  };
  CHECK(settled(4));
  prefetcher.next();
  CHECK(settled(4));  // the consumer holds the first
  prefetcher.release();
  CHECK(settled(5));
  prefetcher.next();
  prefetcher.next();
  CHECK(settled(6));
}

TEST_CASE("prefetcher: an exception comes at its job's turn, and the next call goes on") {
  for (const int threads : {0, 1, 3}) {
    INFO("threads " << threads);
    Prefetcher<Slot> prefetcher(threads, 4, 0, 6, [](int64_t job, Slot& slot) {
      if (job == 2 || job == 5) throw std::runtime_error("job " + std::to_string(job));
      fill(job, slot);
    });
    CHECK(holds(*prefetcher.next(), 0));
    CHECK(holds(*prefetcher.next(), 1));
    CHECK_THROWS_WITH(prefetcher.next(), "job 2");
    CHECK(holds(*prefetcher.next(), 3));
    CHECK(holds(*prefetcher.next(), 4));
    CHECK_THROWS_WITH(prefetcher.next(), "job 5");
    CHECK(prefetcher.next() == nullptr);
  }
}

TEST_CASE("prefetcher: destruction starts no further job") {
  std::atomic<int> started{0};
  std::atomic<bool> go{false};
  const double seconds = seconds_of([&] {
    Prefetcher<Slot> prefetcher(2, 50, 0, 1000, [&](int64_t, Slot&) {
      ++started;
      go = true;
      std::this_thread::sleep_for(Milliseconds(100));
    });
    while (!go) std::this_thread::yield();
  });
  CHECK(started <= 2);
  CHECK(seconds < 5);
}

TEST_CASE("prefetcher: destruction is prompt when nothing, a part or all was taken") {
  for (const int taken : {0, 1, 5, 20}) {
    Prefetcher<Slot> prefetcher(3, 4, 0, 20, fill);
    for (int i = 0; i < taken; ++i) prefetcher.next();
  }
}

TEST_CASE("prefetcher: the time that preparation did not hide is counted") {
  Prefetcher<Slot> synchronous(0, 1, 0, 3, [](int64_t, Slot&) { std::this_thread::sleep_for(Milliseconds(10)); });
  while (synchronous.next() != nullptr) continue;
  CHECK(synchronous.wait_seconds() >= 0.03);

  Prefetcher<Slot> slow(1, 2, 0, 3, [](int64_t, Slot&) { std::this_thread::sleep_for(Milliseconds(20)); });
  while (slow.next() != nullptr) continue;
  CHECK(slow.wait_seconds() >= 0.04);

  std::atomic<int> prepared{0};
  Prefetcher<Slot> hidden(1, 3, 0, 3, [&](int64_t, Slot&) {
    std::this_thread::sleep_for(Milliseconds(20));
    ++prepared;
  });
  while (prepared < 3) std::this_thread::sleep_for(Milliseconds(1));
  std::this_thread::sleep_for(Milliseconds(20));
  while (hidden.next() != nullptr) continue;
  CHECK(hidden.wait_seconds() < 0.03);
}

TEST_CASE("prefetcher: without slots, or with a negative number of anything, is our bug") {
  expect_error(ExitCode::kBug, "0 slots", [] { Prefetcher<Slot>(1, 0, 0, 1, fill); });
  expect_error(ExitCode::kBug, "-1 threads", [] { Prefetcher<Slot>(-1, 1, 0, 1, fill); });
  expect_error(ExitCode::kBug, "-1 jobs", [] { Prefetcher<Slot>(1, 1, 0, -1, fill); });
}

// Random threads, slots, delays, failures and moments of destruction; what comes out is always the same. Meant for the
// thread sanitizer.
TEST_CASE("prefetcher: stress") {
  std::mt19937 random(20240501);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 300; ++round) {
    const int threads = below(7);
    const int slots = 1 + below(9);
    const int64_t first = below(1000);
    const int64_t jobs = below(120);
    const int64_t taken = below(3) == 0 ? below(130) : 130;
    const int delay_us = below(4) * 20;
    const int failing = below(2) == 0 ? 7 : 1'000'000;
    INFO("round " << round << ": " << threads << " threads " << slots << " slots " << jobs << " jobs " << taken << " taken");
    Prefetcher<Slot> prefetcher(threads, slots, first, jobs, [=](int64_t job, Slot& slot) {
      std::mt19937 own(static_cast<unsigned>(job));
      if (delay_us > 0 && own() % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(own() % static_cast<unsigned>(delay_us)));
      slot.job = job;
      if (job % failing == failing - 1) throw std::runtime_error(std::to_string(job));
      slot.values.assign(100, job);
    });
    for (int64_t i = 0; i < taken; ++i) {
      const int64_t job = first + i;
      if (job % failing == failing - 1 && i < jobs) {
        REQUIRE_THROWS_WITH(prefetcher.next(), std::to_string(job));
        continue;
      }
      Slot* slot = prefetcher.next();
      REQUIRE((slot != nullptr) == (i < jobs));
      if (slot == nullptr) break;
      REQUIRE(holds(*slot, job));
      slot->values.clear();  // the slot is the consumer's to change
      if (job % 5 == 0) prefetcher.release();
    }
  }
}
