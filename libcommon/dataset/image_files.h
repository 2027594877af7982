#pragma once
// Labelled images as encoded files: photographs in folders, archives and lists. What is kept of each is its path, label and
// place; bytes are read when asked for, in place where they lie in an archive.
//
//   folder   class folders of images, perhaps below folders for the parts (dataset/class_tree.h)
//   tar      such a tree in a .tar, which is mapped, or a .tar.gz, which is unpacked once into memory
//   shards   archives, .tar or .tar.gz, of members that share a key (dataset/shards.h); a pattern or one archive
//   list     CSV or JSON Lines with paths and labels (dataset/label_list.h), paths relative to the list's folder
//   idx      the four files of dataset/image_set.h, which is what reads them
//
// Which of these lies there is found by looking: a folder with an IDX file that begins as one is idx, any other a folder; a
// file is an archive by its first header's checksum (behind gzip or not) and shards by the labels beside its images; other
// text is a list; what does not exist but has '*', '?' or {0..9} is a pattern of shards. Names decide nothing.
//
// Order of samples, and thus their indices: folders and trees as torchvision's ImageFolder orders them; shards by path,
// within one as the archive has them; lists as written. With a split, each part keeps this order.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/class_tree.h"
#include "dataset/file_list.h"

namespace fettle {

enum class DataFormat : int { kIdx, kFolder, kTar, kShards, kList };

const std::vector<std::string>& data_format_names();  // "idx", "folder", "tar", "shards", "list", in the order of the enum
std::string data_format_name(DataFormat format);
std::optional<DataFormat> data_format_named(const std::string& name);  // nothing for another word, such as "auto"

// By looking. A single archive is kTar here; open_image_files() looks inside. Errors (kInput): nothing there, or nothing that
// is known.
DataFormat find_data_format(const std::string& data);

struct ImageFileLimits {
  uint64_t max_file_bytes = uint64_t{256} << 20;     // one image
  uint64_t max_unpacked_bytes = uint64_t{8} << 30;   // of all .tar.gz of a part together
};

// Encoded images with labels, of one part. Immutable: any number of threads may read. A copy costs 40 bytes an image.
class ImageFiles {
 public:
  struct Source;  // folder, archives and paths, which the parts of one data set share

  ImageFiles() = default;
  ImageFiles(std::shared_ptr<const Source> source, size_t prefix_bytes, std::vector<FileEntry> files);

  int64_t size() const { return static_cast<int64_t>(files_.size()); }
  int64_t label(int64_t index) const { return at(index).label; }
  uint64_t file_bytes(int64_t index) const { return at(index).size; }

  // For messages, quoted and without control characters: 'photos/cat/1.jpg', or 'archive.tar: cat/1.jpg'.
  std::string name(int64_t index) const;

  // Stays the same wherever the data lie: the path below the part's folder ("cat/1.jpg"), the member in shards, what a list
  // says. Bytes, not always UTF-8.
  std::string_view relative_path(int64_t index) const;

  // The encoded image: a span into an archive, or the file read into `buffer`, which only grows; one for each thread. Valid
  // until the buffer is used again. Errors (kInput, naming the file): it vanished, is forbidden, has another size now, or more
  // than ImageFileLimits allows.
  // Plain files are read by one call, which the kernel takes as the hint to fetch them whole; none is mapped.
  std::span<const uint8_t> read(int64_t index, std::vector<uint8_t>& buffer) const;

 private:
  const FileEntry& at(int64_t index) const { return files_[static_cast<size_t>(index)]; }

  std::shared_ptr<const Source> source_;
  size_t prefix_bytes_ = 0;  // of every path: the part's folder
  std::vector<FileEntry> files_;
};

struct DataSource {
  std::string data;                    // what a user types: a folder, an archive, a pattern, a list
  std::string val_data;                // the same for validation, or empty
  std::optional<DataFormat> format;    // of both; nothing: by looking
  std::optional<double> val_fraction;  // in (0, 1)
  std::optional<int64_t> num_classes;
  ImageFileLimits limits;
  SampleName is_sample = is_image_name;  // of folders and trees: which files are samples
};

struct DataInput {
  std::string path;  // as typed
  DataFormat format = DataFormat::kFolder;
  std::string id;    // image_data_id() without contents; empty for a single archive, whose id takes reading all of it
};

struct ImageFileDataset {
  ImageFiles train, validation;
  int64_t num_classes = 0;
  std::vector<std::string> class_names;  // one a class; empty where labels are numbers
  std::vector<DataInput> inputs;         // data, and val_data where it was given
  std::string validation_from;           // for people: "part 'test/'", "'photos-val'", "a share of 0.1, drawn by path"
  int64_t skipped_files = 0;             // visible files in data and val_data that are neither samples nor their labels
  uint64_t bytes = 0;                    // of all images
};

// Validation is val_data where it is given, else the part of `data` for it, else those samples of which in_validation() is
// true. A val_data must have no parts of its own.
//
// Class names (folders, lists with names) are sorted bytewise and labels are their places; the validation's must be among the
// training part's. Labels that are numbers must be 0..C-1, each occurring in the training part, C the number of distinct ones;
// where num_classes is given, C is that and labels only have to be below it. With names, num_classes must be their number.
//
// Errors (kInput, they name the file): those of the headers named above; a list that names missing files (the first and their
// number); a key in two shards; an image of more than max_file_bytes; labels out of range or with a gap; a part without images.
// Errors (kUsage): no validation at all, a val_fraction or num_classes that is none. kIdx is not for here: our bug.
ImageFileDataset open_image_files(const DataSource& source);

// Labelled images for a classifier that is trained already.
struct TestImages {
  ImageFiles images;   // labels are the classifier's
  DataInput input;
  std::vector<std::string> class_names;  // of the labels: the classifier's, or where it has none the data's; empty where neither has
  std::string from;    // for people: "part 'test/'", or "all"
  uint64_t bytes = 0;  // of all images
};

// The part of `data` for validation where it has one (open_image_files()), else all of it. Class names are found among the classifier's,
// all of which need not occur; where the classifier's classes have no names, the data's sorted names must be as many. Labels that are
// numbers must be below num_classes. Errors as open_image_files(), and (kInput) a class that the classifier does not know.
TestImages open_test_images(const DataSource& source, const std::vector<std::string>& class_names, int64_t num_classes);

// Images without labels (label() is -1): files as they are, folders with all visible images below them by path. Relative paths are those
// typed, with what lies below. Errors (kInput): what does not exist or is a pipe, a folder without images.
ImageFiles open_unlabelled_images(const std::vector<std::string>& paths, SampleName is_sample = is_image_name);

// Whether a sample belongs to validation when a share is split off: mixed(FNV-1a of its relative path) / 2^64 < val_fraction,
// where mixed() is splitmix64's finaliser. Other files have no influence, a larger share contains a smaller one.
bool in_validation(std::string_view relative_path, double val_fraction);

// The identity of `data`, which has been opened as `format`:
//   folder, tar, idx   dataset_id(data): files and sizes of a folder, contents of an archive
//   shards             of one archive its contents; of a pattern names and sizes, as dataset_id() says
//   list               the hash of the line "<sha256 of the list>\n" and a line "<bytes>\n" for each row's file, with
//                      hash_contents "<bytes>, <sha256>\n"
std::string image_data_id(const std::string& data, DataFormat format, bool hash_contents);

// One line: "photos/: folder, 6 classes, 288 training and 72 validation images (part 'val/'), 12.3 MiB".
std::string describe(const ImageFileDataset& data);

}  // namespace fettle
