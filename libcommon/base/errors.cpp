#include "base/errors.h"

#include <cerrno>
#include <cstring>
#include <utility>

namespace fettle {

Error::Error(ExitCode code, const std::string& what, std::string hint) : std::runtime_error(what), code_(code), hint_(std::move(hint)) {}

void throw_errno(int error_number, const std::string& doing) {
  const bool input = error_number == ENOENT || error_number == ENOTDIR || error_number == EISDIR || error_number == EACCES ||
                     error_number == ENAMETOOLONG || error_number == ELOOP;
  throw Error(input ? ExitCode::kInput : ExitCode::kMachine, fmt::format("cannot {}: {}", doing, std::strerror(error_number)));
}

namespace detail {
void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string text = fmt::format("{}:{}: {} does not hold", file, line, condition);
  if (!message.empty()) text += ": " + message;
  throw Error(ExitCode::kBug, text);
}
}  // namespace detail

}  // namespace fettle
