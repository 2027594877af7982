#include "dataset/file_list.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "base/errors.h"
#include "base/text.h"
#include "io/tar.h"

namespace fettle {
namespace {

[[noreturn]] void throw_unreadable(int error, const std::string& path) { throw_errno(error, fmt::format("read {}", quote_path(path))); }

class Walk {
 public:
  explicit Walk(const OpenFolder& root) : root_(root) {}

  FileList run() {
    enter("");
    return std::move(list_);
  }

 private:
  struct Name {
    uint32_t begin;  // in the folder's own text
    uint32_t bytes;
    uint64_t size;
  };

  // `prefix` is the folder's path with a '/' at its end; "" is the root.
  void enter(const std::string& prefix) {
    const int descriptor = ::openat(root_.descriptor(), prefix.empty() ? "." : prefix.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) throw_unreadable(errno, root_.join(prefix));
    std::unique_ptr<DIR, int (*)(DIR*)> folder(fdopendir(descriptor), closedir);
    if (!folder) {
      const int error = errno;
      ::close(descriptor);
      throw_unreadable(error, root_.join(prefix));
    }
    struct stat info {};
    if (fstat(descriptor, &info) != 0) throw_unreadable(errno, root_.join(prefix));
    const std::pair<dev_t, ino_t> identity{info.st_dev, info.st_ino};
    FT_REQUIRE(std::find(ancestors_.begin(), ancestors_.end(), identity) == ancestors_.end(),
               "{} leads back to a folder that holds it", quote_path(root_.join(prefix)));

    std::string text;
    std::vector<Name> names;
    while (true) {
      errno = 0;
      const dirent* const entry = readdir(folder.get());
      if (entry == nullptr) break;
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      uint64_t size = 0;
      bool is_folder = entry->d_type == DT_DIR;
      if (!is_folder) {
        if (entry->d_type != DT_REG && entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) continue;
        if (fstatat(descriptor, entry->d_name, &info, 0) != 0) throw_lost(errno, prefix + entry->d_name, entry->d_type);
        is_folder = S_ISDIR(info.st_mode);
        if (!is_folder && !S_ISREG(info.st_mode)) continue;
        size = static_cast<uint64_t>(info.st_size);
      }
      FT_REQUIRE(prefix.size() + name.size() < kMaxPathBytes, "{} is a path of more than {} bytes", quote_path(root_.join(prefix + entry->d_name)), kMaxPathBytes);
      names.push_back({static_cast<uint32_t>(text.size()), static_cast<uint32_t>(name.size() + (is_folder ? 1 : 0)), size});
      text.append(name).append(is_folder ? "/" : "");
    }
    if (errno != 0) throw_unreadable(errno, root_.join(prefix));
    folder.reset();  // a walk holds one descriptor, however deep it is

    // With their '/', folders stand where their files will: each folder sorted so makes the whole list sorted.
    const auto name_of = [&](const Name& name) { return std::string_view(text).substr(name.begin, name.bytes); };
    std::sort(names.begin(), names.end(), [&](const Name& a, const Name& b) { return name_of(a) < name_of(b); });
    ancestors_.push_back(identity);
    for (const Name& name : names) {
      const bool is_folder = name_of(name).back() == '/';
      list_.add(prefix, name_of(name), is_folder ? FileKind::kFolder : FileKind::kFile).size = name.size;
      if (is_folder) enter(prefix + std::string(name_of(name)));
    }
    ancestors_.pop_back();
  }

  [[noreturn]] void throw_lost(int error, const std::string& path, unsigned char type) {
    const bool link = type == DT_LNK || type == DT_UNKNOWN;
    FT_REQUIRE(!(link && error == ENOENT), "{} is a link that leads nowhere", quote_path(root_.join(path)));
    FT_REQUIRE(error != ELOOP, "{} is a link that leads in a circle", quote_path(root_.join(path)));
    throw_unreadable(error, root_.join(path));
  }

  const OpenFolder& root_;
  std::vector<std::pair<dev_t, ino_t>> ancestors_;
  FileList list_;
};

// "./a//b/" -> "a/b/"
std::string plain_path(std::string_view path) {
  std::string plain;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/'), path.size() - 1) + 1;  // behind the '/', if there is one
    const std::string_view part = path.substr(0, end);
    if (part != "/" && part != "./" && part != ".") plain += part;
    path.remove_prefix(end);
  }
  return plain;
}

}  // namespace

OpenFolder::OpenFolder(std::string path) : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) throw_unreadable(errno, path_);
}

OpenFolder::~OpenFolder() { ::close(descriptor_); }

std::string OpenFolder::join(std::string_view relative) const {
  if (path_ == "." || relative.starts_with('/')) return std::string(relative);
  return path_ + (path_.ends_with('/') ? "" : "/") + std::string(relative);
}

FileEntry& FileList::add(std::string_view prefix, std::string_view name, FileKind kind) {
  FileEntry entry;
  entry.path = text.size();
  entry.path_bytes = static_cast<uint16_t>(prefix.size() + name.size());
  FT_CHECK(entry.path_bytes == prefix.size() + name.size(), "a path of {} bytes", prefix.size() + name.size());
  entry.kind = kind;
  text.append(prefix).append(name).append(1, '\0');
  return entries.emplace_back(entry);
}

FileList list_folder(const OpenFolder& folder) { return Walk(folder).run(); }

FileList list_archive(std::span<const uint8_t> bytes, std::string_view name) {
  FileList list;
  visit_tar(bytes, name, [&](TarMember&& member) {
    FT_REQUIRE(member.safe_path, "{} has a member with the unsafe path {}: expected a relative one without '..'", name, quote_path(member.path));
    std::string path = plain_path(member.path);
    const bool link = member.type == TarType::kSymlink || member.type == TarType::kHardlink;
    const bool folder = member.type == TarType::kDirectory;
    if (path.empty() || (member.type == TarType::kOther)) return;
    if (folder && !path.ends_with('/')) path += '/';
    FileEntry& entry = list.add("", path, folder ? FileKind::kFolder : link ? FileKind::kLink : FileKind::kFile);
    entry.offset = member.data_offset;
    entry.size = member.size;
  });
  const auto before = [&](const FileEntry& a, const FileEntry& b) { return list.path(a) < list.path(b); };
  // As packed with sorted names, which is how most are made. Stable: of one name twice, the first comes first.
  if (!std::is_sorted(list.entries.begin(), list.entries.end(), before)) std::stable_sort(list.entries.begin(), list.entries.end(), before);
  return list;
}

}  // namespace fettle
