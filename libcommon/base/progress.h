#pragma once
// A progress meter: share done, rate and time left. Redraws about five times a second on a terminal; elsewhere prints a
// plain line at an interval that grows from 10 s to 60 s.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/log.h"

namespace fettle {

class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  // `unit` names what is counted, plural ("images"). total < 0: unknown. `start` > 0 when work is resumed: what was done
  // before does not enter the rate.
  Progress(Log& log, std::string label, std::string unit, int64_t total, int64_t start = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(int64_t done, std::string_view suffix = {});
  void finish();  // takes a redrawn line away; the caller says what was done in its own words

 private:
  Log& log_;
  std::string label_;
  std::string unit_;
  int64_t total_;
  int64_t start_;
  Clock::time_point began_;
  Clock::time_point next_;
  int lines_ = 0;
};

// "train  45.0 % (27,000/60,000 images)  1,234 images/s  26.7 s left  loss 0.41"
std::string progress_text(std::string_view label, std::string_view unit, int64_t done, int64_t total, int64_t start, double elapsed_s,
                          std::string_view suffix);

}  // namespace fettle
