#include "tests/support/small_disk.h"

#include <sys/mount.h>

#include <iterator>
#include <string>

namespace fettle::test {

SmallDisk::SmallDisk(int64_t bytes) {
  const std::string options = "size=" + std::to_string(bytes);
  if (mount("tmpfs", mount_point_.path().c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) mounted_ = mount_point_.path();
}

SmallDisk::~SmallDisk() {
  if (!mounted_.empty()) umount2(mounted_.c_str(), MNT_DETACH);
}

int SmallDisk::num_entries() const {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(mounted_), std::filesystem::directory_iterator()));
}

}  // namespace fettle::test
