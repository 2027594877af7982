#include "io/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "base/errors.h"
#include "base/human.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMark = ".tmp-";  // a temporary is ".NAME" + kMark + kSuffixLength of kLetters
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
constexpr size_t kSuffixLength = 6;

fs::path parent_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

// "run/" has no file name of its own; it means "run".
fs::path without_trailing_slash(fs::path path) { return path.has_filename() || !path.has_parent_path() ? path : path.parent_path(); }

[[noreturn]] void throw_write_error(int error_number, const char* verb, const fs::path& path) {
  std::string hint;
  struct statvfs disk {};
  if ((error_number == ENOSPC || error_number == EDQUOT) && statvfs(parent_of(path).c_str(), &disk) == 0) {
    hint = fmt::format("{} are free there ('{}'): free some space or write elsewhere", human_bytes(uint64_t{disk.f_bavail} * disk.f_frsize),
                       parent_of(path).string());
  }
  throw Error(ExitCode::kMachine, fmt::format("cannot {} '{}': {}", verb, path.string(), std::strerror(error_number)), hint);
}

int open_retrying(const fs::path& path, int flags, mode_t mode = 0) {
  int descriptor;
  do descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

// A new temporary beside `path`, locked; `make` creates one under the given name and returns its descriptor or -1.
template <class Make>
int make_temporary(const fs::path& path, fs::path& temporary, Make make) {
  FT_CHECK(path.has_filename() && path.filename() != "." && path.filename() != "..", "'{}' has no name to write to", path.string());
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string name = fmt::format(".{}{}", path.filename().string(), kMark);
    for (size_t i = 0; i < kSuffixLength; ++i) name += kLetters[random() % kLetters.size()];
    temporary = parent_of(path) / name;
    const int descriptor = make(temporary);
    if (descriptor < 0) {
      if (errno == EEXIST) continue;
      throw_write_error(errno, "write", path);
    }
    // File systems without locks do without; there nobody can mistake the temporary for a stale one either.
    const bool lost = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    // A cleaner may have come between the creation and the lock: it holds the lock, or has removed the name.
    struct stat info {};
    if (!lost && fstat(descriptor, &info) == 0 && info.st_nlink > 0) return descriptor;
    ::close(descriptor);
  }
  throw_write_error(EEXIST, "find a free temporary name for", path);
}

// Of ".NAME.tmp-XXXXXX" the NAME; empty for other names.
std::string_view target_of_temporary(std::string_view name) {
  const size_t suffix = kMark.size() + kSuffixLength;
  if (name.size() <= 1 + suffix || name.front() != '.' || name.substr(name.size() - suffix, kMark.size()) != kMark) return {};
  const std::string_view random = name.substr(name.size() - kSuffixLength);
  return random.find_first_not_of(kLetters) == std::string_view::npos ? name.substr(1, name.size() - 1 - suffix) : std::string_view{};
}

// Removes the temporaries in `directory` that nobody holds, of those targets that `is_wanted`; returns how many.
template <class F>
int remove_unlocked(const fs::path& directory, F is_wanted) {
  std::error_code ignored;
  std::vector<fs::path> candidates;
  for (fs::directory_iterator entry(directory, ignored), end; !ignored && entry != end; entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    const std::string_view target = target_of_temporary(name);
    if (!target.empty() && is_wanted(target)) candidates.push_back(entry->path());
  }
  int removed = 0;
  for (const fs::path& candidate : candidates) {
    const int descriptor = open_retrying(candidate, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (descriptor < 0) continue;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 && fs::remove_all(candidate, ignored) > 0 && !ignored) ++removed;
    ::close(descriptor);
  }
  return removed;
}

void write_all(int descriptor, const char* data, size_t size, const fs::path& path) {
  while (size > 0) {
    const ssize_t written = ::write(descriptor, data, std::min<size_t>(size, size_t{1} << 30));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(errno, "write", path);
    data += written;
    size -= static_cast<size_t>(written);
  }
}

void sync_path(const fs::path& path, int flags, const fs::path& named) {
  const int descriptor = open_retrying(path, O_RDONLY | flags);
  if (descriptor < 0) throw_write_error(errno, "sync", named);
  const int error = fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // EINVAL: a file system that has nothing to sync for directories.
  if (error != 0 && error != EINVAL) throw_write_error(error, "sync", named);
}

}  // namespace

std::string read_file(const fs::path& path, uint64_t max_bytes) {
  const int descriptor = open_retrying(path, O_RDONLY);
  if (descriptor < 0) throw_errno(errno, fmt::format("read '{}'", path.string()));
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};

  // The size is a hint only: a pipe has none, and a file may grow meanwhile.
  struct stat info {};
  std::string contents;
  if (fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode)) {
    contents.reserve(static_cast<size_t>(std::min(static_cast<uint64_t>(info.st_size), max_bytes)));
  }
  std::array<char, 65536> block;
  while (true) {
    const ssize_t count = ::read(descriptor, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(errno, fmt::format("read '{}'", path.string()));
    if (count == 0) return contents;
    FT_REQUIRE(static_cast<uint64_t>(count) <= max_bytes - contents.size(),
               "'{}' is larger than the {} bytes that such a file may have", path.string(), max_bytes);
    contents.append(block.data(), static_cast<size_t>(count));
  }
}

void write_file_atomic(const fs::path& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

void sync_directory(const fs::path& path) { sync_path(path, O_DIRECTORY, path); }

int remove_stale_temporaries(const fs::path& target) {
  const fs::path path = without_trailing_slash(target);
  return remove_unlocked(parent_of(path), [&](std::string_view name) { return name == path.filename().string(); });
}

int remove_stale_temporaries_in(const fs::path& directory) {
  return remove_unlocked(directory, [](std::string_view) { return true; });
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  descriptor_ = make_temporary(path_, temporary_, [](const fs::path& name) { return open_retrying(name, O_WRONLY | O_CREAT | O_EXCL, 0666); });
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::unlink(temporary_.c_str());
  ::close(descriptor_);
}

void AtomicFile::write(std::span<const uint8_t> bytes) {
  FT_CHECK(descriptor_ >= 0, "'{}' is committed", path_.string());
  write_all(descriptor_, reinterpret_cast<const char*>(bytes.data()), bytes.size(), path_);
  bytes_written_ += bytes.size();
}

void AtomicFile::write(std::string_view text) { write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }

void AtomicFile::commit() {
  FT_CHECK(descriptor_ >= 0, "'{}' is committed", path_.string());
  if (fsync(descriptor_) != 0) throw_write_error(errno, "write", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_error(errno, "write", path_);
  ::close(descriptor_);
  descriptor_ = -1;
  sync_directory(parent_of(path_));
}

AtomicDirectory::AtomicDirectory(fs::path path) : path_(without_trailing_slash(std::move(path))) {
  descriptor_ = make_temporary(path_, temporary_, [](const fs::path& name) {
    return mkdir(name.c_str(), 0777) == 0 ? open_retrying(name, O_RDONLY | O_DIRECTORY) : -1;
  });
}

AtomicDirectory::~AtomicDirectory() {
  if (descriptor_ < 0) return;
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
  ::close(descriptor_);
}

void AtomicDirectory::commit() {
  FT_CHECK(descriptor_ >= 0, "'{}' is committed", path_.string());
  std::error_code error;
  for (fs::recursive_directory_iterator entry(temporary_, error), end; !error && entry != end; entry.increment(error)) {
    const fs::file_status status = entry->symlink_status(error);
    if (!error && (fs::is_regular_file(status) || fs::is_directory(status))) sync_path(entry->path(), O_NOFOLLOW, path_);
  }
  if (error) throw_write_error(error.value(), "sync", path_);
  sync_directory(temporary_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) throw_write_error(errno, "write", path_);
  ::close(descriptor_);
  descriptor_ = -1;
  sync_directory(parent_of(path_));
}

}  // namespace fettle
