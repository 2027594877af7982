#pragma once
// Classes as folders: root/<class>/<...>/<image>, perhaps below a folder for each part (train, val).

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/file_list.h"

namespace fettle {

// Whether a name ends as images do, in any case: torchvision's .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp, and .gif .tga.
bool is_image_name(std::string_view name);
bool is_image_extension(std::string_view lower_case);  // "jpg"

// Whether no component of a path begins with a dot.
bool is_visible(std::string_view path);

// Which visible files are samples: images alone by their names, or every one (sounds, bytes as they are).
using SampleName = bool (*)(std::string_view name);
inline bool is_any_name(std::string_view) { return true; }

// Where the parts lie: paths with a '/' at their end, "" for the root.
struct TreeParts {
  std::string train;
  std::optional<std::string> validation;
};

// A folder is a part when it is called so and holds folders, but no images of its own (a folder "train" full of images is
// the class of trains). Training is "train"; validation the first of "val", "validation", "valid", "test"; case does not
// matter. Where there is no "train", the root's folders are the classes and there is no part for validation. A single folder of
// folders around it all, as archives have it, is stepped into.
// Errors (kInput, they name `name`): two folders for one part; "train" holds folders, but there is no validation part and other
// folders hold images, so that it may as well be a class.
TreeParts find_parts(const FileList& files, const std::string& name, SampleName is_sample = is_image_name);

struct ClassFolders {
  std::vector<std::string> class_names;  // sorted bytewise, which for UTF-8 is by code point
  std::vector<FileEntry> images;         // by class, then by folder, then by name
};

// What torchvision's ImageFolder makes of the same folder, in the same order (Python sorts whole folder paths: "a-b" comes
// before "a/b"), except that hidden files and folders are left out. A file in `part` itself belongs to no class and is left
// out. A label is the place of its class's name.
// Errors (kInput): no class folders, one without images, two whose names differ only in case (ASCII), an image that is a link or
// occurs twice in an archive.
ClassFolders label_by_folder(const FileList& files, std::string_view part, const std::string& name, SampleName is_sample = is_image_name);

}  // namespace fettle
