// What an archive's members mean: samples by key, and class folders in parts.
#include <algorithm>

#include "dataset/class_tree.h"
#include "dataset/label_list.h"
#include "dataset/shards.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/mend_tar.h"

using namespace fettle;

namespace {

void check(const std::vector<FileEntry>& images, const FileList& members, size_t archive_bytes, int64_t max_label) {
  std::vector<std::string_view> paths;
  for (const FileEntry& image : images) {
    fuzz::demand(image.label >= 0 && image.label <= max_label, "labels are in range");
    fuzz::demand(image.kind == FileKind::kFile && image.offset <= archive_bytes && image.size <= archive_bytes - image.offset, "images lie in the archive");
    const std::string_view path = members.path(image);
    fuzz::demand(is_visible(path) && is_image_name(path), "images are visible and end as images do");
    fuzz::demand(path[0] != '/' && path.find("//") == std::string_view::npos, "paths are plain");
    paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  fuzz::demand(std::adjacent_find(paths.begin(), paths.end()) == paths.end(), "each image comes once");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::vector<uint8_t> archive = fuzz::archive_of({data, size});
  FileList members;
  fuzz::expect_answer(data, size, [&](std::span<const uint8_t>) { members = list_archive(archive, "fuzz"); });
  fuzz::demand(std::is_sorted(members.entries.begin(), members.entries.end(), [&](const FileEntry& a, const FileEntry& b) { return members.path(a) < members.path(b); }),
               "members are sorted");
  has_keyed_samples(members, archive);
  fuzz::expect_answer(data, size, [&](std::span<const uint8_t>) { check(label_by_key(members, archive, "fuzz"), members, archive.size(), kMaxLabel); });
  return fuzz::expect_answer(data, size, [&](std::span<const uint8_t>) {
    const TreeParts parts = find_parts(members, "fuzz");
    for (const std::string& part : {parts.train, parts.validation.value_or(parts.train)}) {
      const ClassFolders found = label_by_folder(members, part, "fuzz");
      fuzz::demand(std::is_sorted(found.class_names.begin(), found.class_names.end()), "classes are sorted");
      check(found.images, members, archive.size(), static_cast<int64_t>(found.class_names.size()) - 1);
    }
  });
}
