#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

namespace fettle {
namespace {

bool is_terminal(std::FILE* out) { return isatty(fileno(out)) == 1; }

bool wants_color(std::FILE* out) {
  const char* no_color = std::getenv("NO_COLOR");
  return is_terminal(out) && (no_color == nullptr || *no_color == '\0');
}

size_t terminal_columns(std::FILE* out) {
  winsize size{};
  if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

}  // namespace

Log::Log(std::FILE* out, LogLevel level) : Log(out, level, is_terminal(out), wants_color(out)) {}

Log::Log(std::FILE* out, LogLevel level, bool terminal, bool color) : out_(out), level_(level), terminal_(terminal), color_(color) {}

void Log::error(std::string_view message) { write("error: ", "\033[1;31m", message); }
void Log::notice(std::string_view message) {
  if (level_ > LogLevel::kSilent) write("", "", message);
}
void Log::warn(std::string_view message) {
  if (level_ > LogLevel::kQuiet) write("warning: ", "\033[1;33m", message);
}
void Log::info(std::string_view message) {
  if (level_ > LogLevel::kQuiet) write("", "", message);
}
void Log::debug(std::string_view message) {
  if (level_ == LogLevel::kVerbose) write("", "\033[2m", message);
}

void Log::write(std::string_view prefix, std::string_view color, std::string_view message) {
  const std::lock_guard lock(mutex_);
  clear_status_locked();
  std::string line;
  if (color_ && !color.empty()) {
    // Colour the prefix, or all of a message that has none.
    line.append(color).append(prefix);
    if (!prefix.empty()) line.append("\033[0m");
    line.append(message);
    if (prefix.empty()) line.append("\033[0m");
  } else {
    line.append(prefix).append(message);
  }
  line.push_back('\n');
  std::fwrite(line.data(), 1, line.size(), out_);
  std::fflush(out_);
}

void Log::status_line(std::string_view text) {
  if (level_ <= LogLevel::kQuiet) return;
  const std::lock_guard lock(mutex_);
  if (!terminal_) {
    if (text.empty()) return;
    std::fprintf(out_, "%.*s\n", static_cast<int>(text.size()), text.data());
  } else {
    clear_status_locked();
    if (!text.empty()) {
      const std::string_view shown = text.substr(0, terminal_columns(out_) - 1);
      std::fwrite(shown.data(), 1, shown.size(), out_);
      status_shown_ = true;
    }
  }
  std::fflush(out_);
}

void Log::clear_status_locked() {
  if (!status_shown_) return;
  std::fputs("\r\033[K", out_);
  status_shown_ = false;
}

}  // namespace fettle
