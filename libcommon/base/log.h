#pragma once
// Everything for people goes to stderr through one Log: messages by level, and the progress line that messages must not
// garble. A Log is passed along (RunContext::log), it is not a global.

#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>

namespace fettle {

enum class LogLevel : int { kSilent = -1, kQuiet = 0, kNormal = 1, kVerbose = 2 };

class Log {
 public:
  // `terminal`: redraw and colours are allowed; the default asks isatty and NO_COLOR.
  explicit Log(std::FILE* out = stderr, LogLevel level = LogLevel::kNormal);
  Log(std::FILE* out, LogLevel level, bool terminal, bool color);

  void error(std::string_view message);   // always
  void notice(std::string_view message);  // also with -q: what a user must not miss; but not where another process says it (kSilent)
  void warn(std::string_view message);    // unless quiet
  void info(std::string_view message);    // unless quiet
  void debug(std::string_view message);   // with -v

  // The line that redraws on a terminal; elsewhere each call prints a line of its own. Empty: take the line away.
  void status_line(std::string_view text);

  void set_level(LogLevel level) { level_ = level; }
  LogLevel level() const { return level_; }
  bool terminal() const { return terminal_; }

 private:
  void write(std::string_view prefix, std::string_view color, std::string_view message);
  void clear_status_locked();

  std::FILE* out_;
  LogLevel level_;
  bool terminal_;
  bool color_;
  bool status_shown_ = false;
  std::mutex mutex_;
};

}  // namespace fettle
