#include "dataset/class_tree.h"

#include <algorithm>
#include <array>

#include "base/errors.h"
#include "base/text.h"
#include "dataset/classes.h"

namespace fettle {
namespace {

constexpr std::array<std::string_view, 11> kImageExtensions{"jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp", "gif", "tga"};

struct Folder {
  std::string name;
  size_t begin = 0, end = 0;  // its entries
  int64_t images_here = 0;    // in itself
  int64_t images_below = 0;   // in itself and its folders
  bool has_folders = false;

  bool holds_folders_alone() const { return has_folders && images_here == 0; }
};

struct Level {
  std::vector<Folder> folders;  // the visible ones, as the list is sorted
  int64_t images_here = 0;
};

Level look(const FileList& files, std::string_view prefix, SampleName is_sample) {
  Level level;
  const auto& entries = files.entries;
  const auto first = std::partition_point(entries.begin(), entries.end(), [&](const FileEntry& entry) { return files.path(entry) < prefix; });
  for (size_t i = static_cast<size_t>(first - entries.begin()); i < entries.size(); ++i) {
    const std::string_view path = files.path(entries[i]);
    if (!path.starts_with(prefix)) break;
    const std::string_view rest = path.substr(prefix.size());
    if (rest.empty() || !is_visible(rest)) continue;
    const size_t slash = rest.find('/');
    const bool image = entries[i].kind != FileKind::kFolder && is_sample(rest);
    if (slash == std::string_view::npos) {
      level.images_here += image;
      continue;
    }
    if (level.folders.empty() || level.folders.back().name != rest.substr(0, slash)) level.folders.push_back({std::string(rest.substr(0, slash)), i, i});
    Folder& folder = level.folders.back();
    folder.end = i + 1;
    const std::string_view inside = rest.substr(slash + 1);
    const bool deeper = inside.find('/') != std::string_view::npos;
    folder.has_folders |= deeper;
    folder.images_below += image;
    folder.images_here += image && !deeper;
  }
  return level;
}

const Folder* find_part(const Level& level, std::string_view part, const std::string& where) {
  const Folder* found = nullptr;
  for (const Folder& folder : level.folders) {
    if (to_lower(folder.name) != part || !folder.holds_folders_alone()) continue;
    FT_REQUIRE(found == nullptr, "{} has two folders for one part, {} and {}", where, quote(found->name), quote(folder.name));
    found = &folder;
  }
  return found;
}

}  // namespace

bool is_image_extension(std::string_view lower_case) {
  return std::find(kImageExtensions.begin(), kImageExtensions.end(), lower_case) != kImageExtensions.end();
}

bool is_image_name(std::string_view name) {
  const size_t dot = name.rfind('.');
  return dot != std::string_view::npos && name.size() - dot <= 5 && is_image_extension(to_lower(std::string(name.substr(dot + 1))));
}

bool is_visible(std::string_view path) { return !path.starts_with('.') && path.find("/.") == std::string_view::npos; }

TreeParts find_parts(const FileList& files, const std::string& name, SampleName is_sample) {
  constexpr std::array<std::string_view, 4> kValidationNames{"val", "validation", "valid", "test"};
  std::string prefix;
  while (true) {
    const Level level = look(files, prefix, is_sample);
    const std::string where = prefix.empty() ? quote_path(name) : fmt::format("{} in {}", quote_path(prefix), quote_path(name));
    if (const Folder* const train = find_part(level, "train", where)) {
      for (const std::string_view part : kValidationNames) {
        if (const Folder* const validation = find_part(level, part, where)) return {prefix + train->name + "/", prefix + validation->name + "/"};
      }
      for (const Folder& other : level.folders) {
        if (&other == train || other.images_below == 0 || std::find(kValidationNames.begin(), kValidationNames.end(), to_lower(other.name)) != kValidationNames.end()) continue;
        throw Error(ExitCode::kInput,
                    fmt::format("{} has folders in {} and images in {}: is the first the training part or a class?", where, quote(train->name), quote(other.name)),
                    "give the folder with the class folders itself");
      }
      return {prefix + train->name + "/", std::nullopt};
    }
    if (level.folders.size() != 1 || level.images_here > 0 || !level.folders[0].holds_folders_alone()) return {prefix, std::nullopt};
    prefix += level.folders[0].name + "/";
  }
}

ClassFolders label_by_folder(const FileList& files, std::string_view part, const std::string& name, SampleName is_sample) {
  Level level = look(files, part, is_sample);
  const std::string where = part.empty() ? quote_path(name) : fmt::format("{} in {}", quote_path(part), quote_path(name));
  if (level.folders.empty()) {
    const bool archives = std::any_of(files.entries.begin(), files.entries.end(), [&](const FileEntry& entry) { return files.path(entry).ends_with(".tar"); });
    const std::string found = level.images_here > 0 ? fmt::format("{} images but no folders", level.images_here) : "neither images nor folders";
    throw Error(ExitCode::kInput, fmt::format("{} has {}, expected a folder of images for each class", where, found),
                archives ? "archives in a folder are read as shards when a pattern names them: 'FOLDER/*.tar'" : "");
  }
  std::sort(level.folders.begin(), level.folders.end(), [](const Folder& a, const Folder& b) { return a.name < b.name; });

  ClassFolders found;
  for (const Folder& folder : level.folders) {
    FT_REQUIRE(folder.images_below > 0, "the class folder {} of {} holds no images", quote(folder.name), where);
    found.class_names.push_back(folder.name);
  }
  require_names_differ(found.class_names, where);

  size_t num_images = 0;
  for (const Folder& folder : level.folders) num_images += static_cast<size_t>(folder.images_below);
  found.images.reserve(num_images);
  int32_t label = 0;
  for (const Folder& folder : level.folders) {
    const size_t begin = found.images.size();
    for (size_t i = folder.begin; i < folder.end; ++i) {
      const FileEntry& entry = files.entries[i];
      const std::string_view path = files.path(entry);
      if (entry.kind == FileKind::kFolder || !is_sample(path) || !is_visible(path.substr(part.size()))) continue;
      FT_REQUIRE(entry.kind == FileKind::kFile, "the image {} in {} is a link, which is not followed", quote_path(path), quote_path(name));
      FT_REQUIRE(found.images.size() == begin || files.path(found.images.back()) != path, "{} has the member {} twice", quote_path(name), quote_path(path));
      found.images.push_back(entry);
      found.images.back().label = label;
    }
    // The list has a folder's files amid its folders; here they come before them, and folders are ordered by whole path.
    const auto before = [&](const FileEntry& a, const FileEntry& b) {
      const std::string_view paths[] = {files.path(a), files.path(b)};
      const size_t slashes[] = {paths[0].rfind('/'), paths[1].rfind('/')};
      const int folders = paths[0].substr(0, slashes[0]).compare(paths[1].substr(0, slashes[1]));
      return folders != 0 ? folders < 0 : paths[0].substr(slashes[0]) < paths[1].substr(slashes[1]);
    };
    const auto images = found.images.begin() + static_cast<std::ptrdiff_t>(begin);
    if (!std::is_sorted(images, found.images.end(), before)) std::sort(images, found.images.end(), before);
    ++label;
  }
  return found;
}

}  // namespace fettle
