#pragma once
// A tmpfs of a few KiB to fill up. Where mounting is not permitted, path() is empty: skip the case.

#include <cstdint>
#include <filesystem>

#include "tests/support/temp_dir.h"

namespace fettle::test {

class SmallDisk {
 public:
  explicit SmallDisk(int64_t bytes);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::filesystem::path& path() const { return mounted_; }
  int num_entries() const;  // in its root, hidden ones too

 private:
  TempDir mount_point_;
  std::filesystem::path mounted_;
};

}  // namespace fettle::test
