#include "base/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "base/human.h"

namespace fettle {

Progress::Progress(Log& log, std::string label, std::string unit, int64_t total, int64_t start)
    : log_(log), label_(std::move(label)), unit_(std::move(unit)), total_(total), start_(start), began_(Clock::now()) {
  next_ = began_ + (log_.terminal() ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000));
}

Progress::~Progress() { finish(); }

void Progress::update(int64_t done, std::string_view suffix) {
  const auto now = Clock::now();
  if (now < next_) return;
  const double elapsed = std::chrono::duration<double>(now - began_).count();
  log_.status_line(progress_text(label_, unit_, done, total_, start_, elapsed, suffix));
  ++lines_;
  next_ = now + (log_.terminal() ? std::chrono::milliseconds(200) : std::chrono::milliseconds(std::min(10'000 * (lines_ + 1), 60'000)));
}

void Progress::finish() {
  if (log_.terminal()) log_.status_line({});
}

std::string progress_text(std::string_view label, std::string_view unit, int64_t done, int64_t total, int64_t start, double elapsed_s,
                          std::string_view suffix) {
  const double rate = elapsed_s > 0 ? static_cast<double>(done - start) / elapsed_s : 0;
  const std::string rate_text = rate >= 100 || rate == 0 ? with_thousands(static_cast<int64_t>(rate)) : fmt::format("{:.3g}", rate);
  std::string text(label);
  if (total > 0) {
    text += fmt::format("  {:.1f} % ({}/{} {})", 100.0 * static_cast<double>(done) / static_cast<double>(total), with_thousands(done), with_thousands(total), unit);
  } else {
    text += fmt::format("  {} {}", with_thousands(done), unit);
  }
  text += fmt::format("  {} {}/s", rate_text, unit);
  if (total > 0 && rate > 0) text += fmt::format("  {} left", human_duration(static_cast<double>(total - done) / rate));
  if (!suffix.empty()) text.append("  ").append(suffix);
  return text;
}

}  // namespace fettle
