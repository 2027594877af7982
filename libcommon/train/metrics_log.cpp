#include "train/metrics_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/errors.h"

namespace fettle {
namespace {

void require_finite(const nlohmann::json& value) {
  if (value.is_structured()) {
    for (const nlohmann::json& element : value) require_finite(element);
  } else if (value.is_number_float()) {
    FT_CHECK(std::isfinite(value.get<double>()), "a metric is not finite");
  }
}

}  // namespace

MetricsLog::MetricsLog(const std::filesystem::path& file, uint64_t offset) : path_(file), offset_(offset) {
  fd_ = open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (fd_ < 0) throw_errno(errno, fmt::format("open '{}'", file.string()));
  struct stat status {};
  if (fstat(fd_, &status) != 0) throw_errno(errno, fmt::format("look at '{}'", file.string()));
  FT_REQUIRE(static_cast<uint64_t>(status.st_size) >= offset, "{}: holds {} bytes, but the training state counts {}", file.string(), status.st_size, offset);
  if (ftruncate(fd_, static_cast<off_t>(offset)) != 0) throw_errno(errno, fmt::format("cut back '{}'", file.string()));
}

MetricsLog::~MetricsLog() { close(fd_); }

void MetricsLog::write(const nlohmann::json& line) {
  require_finite(line);
  const std::string text = line.dump() + "\n";
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t written = ::write(fd_, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_errno(errno, fmt::format("write '{}'", path_.string()));
    done += static_cast<size_t>(written);
  }
  offset_ += text.size();
}

uint64_t MetricsLog::sync() {
  if (fsync(fd_) != 0) throw_errno(errno, fmt::format("write '{}'", path_.string()));
  return offset_;
}

}  // namespace fettle
