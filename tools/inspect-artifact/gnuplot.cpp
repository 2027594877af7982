#include "inspect-artifact/gnuplot.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "inspect-artifact/layout.h"

extern char** environ;

namespace fettle::inspect_artifact {
namespace {

// A file that lives in memory only: the child's standard streams, which cannot fill up or block like pipes.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : descriptor_(memfd_create(name, MFD_CLOEXEC)) {
    if (descriptor_ < 0) throw_errno(errno, "make a file in memory");
  }
  ~MemoryFile() { ::close(descriptor_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int descriptor() const { return descriptor_; }

  void fill(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) throw_errno(errno, "write a file in memory");
      text.remove_prefix(static_cast<size_t>(written));
    }
    ::lseek(descriptor_, 0, SEEK_SET);
  }

  std::string contents() const {
    std::string text(static_cast<size_t>(::lseek(descriptor_, 0, SEEK_END)), '\0');
    size_t done = 0;
    while (done < text.size()) {
      const ssize_t count = ::pread(descriptor_, text.data() + done, text.size() - done, static_cast<off_t>(done));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) throw_errno(errno, "read a file in memory");
      done += static_cast<size_t>(count);
    }
    return text;
  }

 private:
  int descriptor_;
};

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \n");
  if (end == std::string::npos) return "no message";
  const size_t begin = text.rfind('\n', end);
  return printable(text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? 0 : begin + 1) + 1), 160);
}

}  // namespace

std::string run_gnuplot(std::string_view script) {
  MemoryFile in("gnuplot-script"), out("gnuplot-picture"), err("gnuplot-messages");
  in.fill(script);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, in.descriptor(), 0);
  posix_spawn_file_actions_adddup2(&actions, out.descriptor(), 1);
  posix_spawn_file_actions_adddup2(&actions, err.descriptor(), 2);
  std::string program = "gnuplot", defaults = "--default-settings";
  char* const arguments[] = {program.data(), defaults.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "gnuplot", &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw Error(
        ExitCode::kMachine,
        fmt::format("cannot run gnuplot, which draws the picture: {}", error == ENOENT ? "it is not in PATH" : std::strerror(error)),
        "apt-get install gnuplot-nox");
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw_errno(errno, "wait for gnuplot");
  }
  if (status == 0) return out.contents();
  const std::string how = WIFSIGNALED(status) ? fmt::format("was ended by signal {}", WTERMSIG(status))
                                              : fmt::format("ended with code {}", WEXITSTATUS(status));
  FT_FAIL(ExitCode::kMachine, "gnuplot {}: {}", how, last_line(err.contents()));
}

std::string gnuplot_string(std::string_view text) {
  // Between single quotes gnuplot knows no escapes and no command substitution. A quote itself could be doubled, but gnuplot
  // 5.4 ends the string at a doubled quote that comes first: so it becomes a typographic one.
  std::string out = "'";
  for (const char c : printable(text)) out += c == '\'' ? std::string("’") : std::string(1, c);
  return out + "'";
}

}  // namespace fettle::inspect_artifact
