#pragma once
// Exit codes and the two kinds of failure: FT_REQUIRE explains what is wrong with the user's input, FT_CHECK says that we
// have a bug. Libraries throw; only run_tool (cli/) catches and turns an Error into an exit code.

#include <fmt/core.h>

#include <stdexcept>
#include <string>

namespace fettle {

enum class ExitCode : int {
  kDone = 0,
  kAnswerNo = 1,       // ran to the end, and the answer is no: --require missed, verification mismatch
  kUsage = 2,          // usage or configuration wrong; nothing was touched
  kInput = 3,          // an input is missing, corrupt, of the wrong kind or too new
  kMachine = 4,        // the machine cannot: device, memory, disk
  kNumbers = 5,        // a non-finite loss
  kBug = 70,           // our bug
  kInterrupted = 130,  // SIGINT, after saving state
  kTerminated = 143,   // SIGTERM, after saving state
};

// What a tool ends with. `what()` is one or two sentences that name the thing, what was expected and what was found;
// `hint()`, where there is one, is the next command to type.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& what, std::string hint = {});
  ExitCode code() const { return code_; }
  const std::string& hint() const { return hint_; }

 private:
  ExitCode code_;
  std::string hint_;
};

// Throws Error(kMachine) for a failed system call: "cannot read 'x': Input/output error"; `doing` reads "read 'x'". What can be
// wrong with a path (missing, not a folder or one, forbidden, too long, links in a circle) is the user's input: kInput.
[[noreturn]] void throw_errno(int error_number, const std::string& doing);

namespace detail {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}

}  // namespace fettle

#define FT_FAIL(code, ...) throw ::fettle::Error((code), ::fmt::format(__VA_ARGS__))

// The user's input must satisfy this: exit code 3.
#define FT_REQUIRE(condition, ...)                                   \
  do {                                                               \
    if (!(condition)) FT_FAIL(::fettle::ExitCode::kInput, __VA_ARGS__); \
  } while (false)

// The command line or configuration must satisfy this: exit code 2.
#define FT_REQUIRE_USAGE(condition, ...)                             \
  do {                                                               \
    if (!(condition)) FT_FAIL(::fettle::ExitCode::kUsage, __VA_ARGS__); \
  } while (false)

// We believe this always holds: exit code 70 with file, line and condition.
#define FT_CHECK(condition, ...)                                                                       \
  do {                                                                                                 \
    if (!(condition))                                                                                  \
      ::fettle::detail::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
