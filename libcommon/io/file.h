#pragma once
// Bounded reads and atomic writes. What is written here is complete under its name or not there at all: it grows in a
// hidden sibling `.<name>.tmp-XXXXXX`, is synced, then renamed, and the parent is synced.
//
// The writer holds an flock on its temporary, which dies with the process. So a temporary whose lock is free was left by
// a process that was killed, and remove_stale_temporaries() may take it away while other processes are at work.
//
// Errors: reading what is missing, forbidden, a folder or too large is kInput. Every failure to write is kMachine and
// names the final path; where the disk is full the hint says how much is free.

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace fettle {

// The whole file (or pipe), at most max_bytes of it: more is an error, never a cut.
std::string read_file(const std::filesystem::path& path, uint64_t max_bytes);

// Replaces the file, if there is one.
void write_file_atomic(const std::filesystem::path& path, std::string_view contents);

// Makes renames and new names in this directory survive a power cut.
void sync_directory(const std::filesystem::path& path);

// Removes the temporaries of `path` that dead processes left beside it; returns how many. Those it cannot open or lock stay.
int remove_stale_temporaries(const std::filesystem::path& path);

// The same for whatever was to be written into `directory` itself, not below it.
int remove_stale_temporaries_in(const std::filesystem::path& directory);

// A file that appears under its name at commit(). Unbuffered: each write is a system call. Mode 0666 less the umask.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();  // without commit(): the temporary goes, what was at `path` stays
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const uint8_t> bytes);  // at the end
  void write(std::string_view text);
  uint64_t bytes_written() const { return bytes_written_; }
  void commit();  // once, and last

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
  uint64_t bytes_written_ = 0;
};

// A directory that appears under its name at commit(), which syncs every file and directory in it. The name must be free
// then, or an empty directory.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(std::filesystem::path path);
  ~AtomicDirectory();  // without commit(): the temporary goes with all that is in it
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::filesystem::path& path() const { return temporary_; }  // where to put the files until then
  void commit();                                                    // once, and last

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  int descriptor_ = -1;
};

}  // namespace fettle
