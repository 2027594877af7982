#include "dataset/image_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <map>
#include <utility>

#include "base/errors.h"
#include "base/human.h"
#include "base/text.h"
#include "dataset/class_tree.h"
#include "dataset/classes.h"
#include "dataset/dataset_id.h"
#include "dataset/image_set.h"
#include "dataset/label_list.h"
#include "dataset/shards.h"
#include "io/gzip.h"
#include "io/mapped_file.h"
#include "io/sha256.h"
#include "io/tar.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTarHeaderBytes = 512;

struct Archive {
  std::string path;
  std::optional<MappedFile> map;   // of a plain one
  std::vector<uint8_t> unpacked;   // of a gzipped one
  std::span<const uint8_t> bytes;  // either

  std::string name() const { return quote_path(path); }
};

}  // namespace

struct ImageFiles::Source {
  std::unique_ptr<OpenFolder> folder;  // files of their own are looked up from here, ...
  std::vector<Archive> archives;       // ... or they lie in these
  std::string text;                    // of the entries' paths
  uint64_t max_file_bytes = ImageFileLimits().max_file_bytes;
};

namespace {

using Source = ImageFiles::Source;

// ---- looking ---------------------------------------------------------------------------------------------------------

bool is_idx_folder(const fs::path& folder) {
  bool named = false;
  for (const char* name : {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    for (const char* ending : {"", ".gz"}) {
      const fs::path path = folder / (std::string(name) + ending);
      if (!fs::is_regular_file(path)) continue;
      named = true;
      const MappedFile file(path);
      const auto bytes = file.bytes();
      if (is_gzip(bytes) || (bytes.size() >= 2 && bytes[0] == 0 && bytes[1] == 0)) return true;
    }
  }
  // Something is wrong with the files: the reader of IDX says what, unless class folders are what this is.
  const auto entries = fs::directory_iterator(folder);
  return named && std::none_of(begin(entries), end(entries), [](const fs::directory_entry& entry) { return entry.is_directory(); });
}

std::optional<DataFormat> format_of_file(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  if (is_gzip(bytes)) {
    const bool tar = is_tar(gunzip_prefix(bytes, kTarHeaderBytes, quote_path(path)));
    return tar ? std::optional(DataFormat::kTar) : std::nullopt;
  }
  if (is_tar(bytes)) return DataFormat::kTar;
  const auto begin = bytes.first(std::min<size_t>(bytes.size(), 4096));
  const bool text = !begin.empty() && std::find(begin.begin(), begin.end(), 0) == begin.end();
  return text ? std::optional(DataFormat::kList) : std::nullopt;
}

// ---- opening one source ----------------------------------------------------------------------------------------------

struct Part {
  std::string name;  // for messages
  std::shared_ptr<const Source> source;
  size_t prefix_bytes = 0;
  std::vector<FileEntry> files;          // labelled
  std::vector<std::string> class_names;  // empty where labels are numbers

  std::string name_of(const FileEntry& file) const { return ImageFiles(source, prefix_bytes, {file}).name(0); }
};

struct Opened {
  DataInput input;
  SampleName is_sample = is_image_name;
  Part train;
  std::optional<Part> validation;
  int64_t skipped_files = 0;
};

Archive open_archive(const std::string& path, uint64_t& budget) {
  Archive archive;
  archive.path = path;
  archive.map.emplace(path);
  archive.bytes = archive.map->bytes();
  if (is_gzip(archive.bytes)) {
    archive.unpacked = gunzip(archive.bytes, budget, archive.name());
    budget -= archive.unpacked.size();
    archive.bytes = archive.unpacked;
    archive.map.reset();
  }
  return archive;
}

int64_t count_visible(const FileList& list) {
  return std::count_if(list.entries.begin(), list.entries.end(),
                       [&](const FileEntry& entry) { return entry.kind == FileKind::kFile && is_visible(list.path(entry)); });
}

// A folder, or what an archive holds of one.
void open_tree(Opened& opened, FileList list, const std::shared_ptr<Source>& source) {
  const std::string& data = opened.input.path;
  const TreeParts parts = find_parts(list, data, opened.is_sample);
  const auto open_part = [&](const std::string& prefix) {
    ClassFolders found = label_by_folder(list, prefix, data, opened.is_sample);
    const std::string name = prefix.empty() ? quote_path(data) : fmt::format("{} in {}", quote_path(prefix), quote_path(data));
    return Part{name, source, prefix.size(), std::move(found.images), std::move(found.class_names)};
  };
  opened.train = open_part(parts.train);
  if (parts.validation) opened.validation = open_part(*parts.validation);
  opened.skipped_files = count_visible(list) - static_cast<int64_t>(opened.train.files.size() + (opened.validation ? opened.validation->files.size() : 0));
  source->text = std::move(list.text);
}

void open_folder(Opened& opened) {
  const auto source = std::make_shared<Source>();
  source->folder = std::make_unique<OpenFolder>(opened.input.path);
  FileList list = list_folder(*source->folder);
  opened.input.id = list.entries.empty() ? "" : folder_id(list, opened.input.path, /*hash_contents=*/false);
  open_tree(opened, std::move(list), source);
}

void require_keys_once(const std::vector<FileEntry>& files, const Source& source) {
  const auto path_of = [&](const FileEntry& file) { return std::string_view(source.text).substr(file.path, file.path_bytes); };
  std::vector<std::pair<size_t, const FileEntry*>> keys;
  keys.reserve(files.size());
  for (const FileEntry& file : files) keys.emplace_back(std::hash<std::string_view>()(key_of(path_of(file))), &file);
  std::sort(keys.begin(), keys.end());
  for (size_t i = 1; i < keys.size(); ++i) {
    if (keys[i].first != keys[i - 1].first) continue;
    const FileEntry& a = *keys[i - 1].second;
    const FileEntry& b = *keys[i].second;
    FT_REQUIRE(key_of(path_of(a)) != key_of(path_of(b)), "the key {} is in {} and in {}: each sample must have its own", quote_path(key_of(path_of(a))),
               source.archives[a.archive].name(), source.archives[b.archive].name());
  }
}

void open_shards(Opened& opened, const ImageFileLimits& limits) {
  const std::string& data = opened.input.path;
  const auto source = std::make_shared<Source>();
  std::vector<std::string> paths{data};
  if (!fs::exists(data)) {
    const ShardFiles shards = expand_shard_pattern(data);
    opened.input.id = folder_id(shards.list, shards.folder, /*hash_contents=*/false);
    paths.clear();
    for (const FileEntry& entry : shards.list.entries) paths.push_back((fs::path(shards.folder) / shards.list.path(entry)).string());
  }
  opened.train.name = quote_path(data);
  opened.train.source = source;
  uint64_t budget = limits.max_unpacked_bytes;
  for (const std::string& path : paths) {
    const Archive& archive = source->archives.emplace_back(open_archive(path, budget));
    const FileList list = list_archive(archive.bytes, archive.name());
    const std::vector<FileEntry> images = label_by_key(list, archive.bytes, archive.name());
    opened.skipped_files += count_visible(list) - 2 * static_cast<int64_t>(images.size());  // each has a member with its label
    for (FileEntry image : images) {
      const std::string_view member = list.path(image);
      image.path = source->text.size();
      image.archive = static_cast<uint32_t>(source->archives.size() - 1);
      source->text.append(member).append(1, '\0');
      opened.train.files.push_back(image);
    }
  }
  if (paths.size() > 1) require_keys_once(opened.train.files, *source);
}

void open_tar(Opened& opened, const ImageFileLimits& limits, bool look) {
  const auto source = std::make_shared<Source>();
  uint64_t budget = limits.max_unpacked_bytes;
  const Archive& archive = source->archives.emplace_back(open_archive(opened.input.path, budget));
  FileList list = list_archive(archive.bytes, archive.name());
  if (!look || !has_keyed_samples(list, archive.bytes)) return open_tree(opened, std::move(list), source);
  opened.input.format = DataFormat::kShards;
  opened.train.name = archive.name();
  opened.train.source = source;
  opened.train.files = label_by_key(list, archive.bytes, archive.name());
  opened.skipped_files = count_visible(list) - 2 * static_cast<int64_t>(opened.train.files.size());
  source->text = std::move(list.text);
}

std::string folder_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

// One line of the list's identity.
std::string list_line(const OpenFolder& folder, std::string_view path, uint64_t bytes, bool hash_contents) {
  return hash_contents ? fmt::format("{}, {}\n", bytes, sha256_file(folder.join(path))) : std::to_string(bytes) + "\n";
}

// What a list names, in its order; labels are numbers, or places in `class_names`.
struct ListedFiles {
  FileList files;
  std::vector<std::string> class_names;
  std::string id;
};

ListedFiles read_list(const std::string& data, const OpenFolder& folder, bool hash_contents) {
  const MappedFile map(data);
  const std::string_view text{reinterpret_cast<const char*>(map.bytes().data()), map.bytes().size()};
  ListedFiles listed;
  Sha256 id;
  id.update(sha256_hex(text) + "\n");
  std::map<std::string, int32_t, std::less<>> classes;  // numbered as they appear
  std::string first_missing;
  int64_t num_missing = 0;
  read_label_list(text, quote_path(data), [&](const LabelRow& row) {
    FileEntry& entry = listed.files.add("", row.path, FileKind::kFile);
    struct stat info {};
    if (fstatat(folder.descriptor(), listed.files.text.c_str() + entry.path, &info, 0) != 0) {
      if (errno != ENOENT && errno != ENOTDIR) throw_errno(errno, fmt::format("read {}", quote_path(folder.join(row.path))));
      if (num_missing++ == 0) {
        first_missing = fmt::format("line {} of {} names {}, which does not exist{}", row.line, quote_path(data), quote_path(folder.join(row.path)),
                                    row.line == 1 ? " (a header must name the columns 'path' and 'label')" : "");
      }
      return;
    }
    FT_REQUIRE(S_ISREG(info.st_mode), "line {} of {} names {}, which is not a regular file", row.line, quote_path(data), quote_path(folder.join(row.path)));
    entry.size = static_cast<uint64_t>(info.st_size);
    entry.label = static_cast<int32_t>(row.label);
    if (!row.class_name.empty()) {
      auto found = classes.find(row.class_name);
      if (found == classes.end()) found = classes.emplace(row.class_name, static_cast<int32_t>(classes.size())).first;
      entry.label = found->second;
    }
    id.update(list_line(folder, row.path, entry.size, hash_contents));
  });
  FT_REQUIRE(num_missing <= 1, "{}; {} files are missing in all", first_missing, num_missing);
  FT_REQUIRE(num_missing == 0, "{}", first_missing);
  listed.id = "sha256:" + id.hex();

  // A map is sorted: from the place of appearance to the sorted one.
  std::vector<int32_t> sorted(classes.size());
  for (const auto& [name, appeared] : classes) {
    sorted[static_cast<size_t>(appeared)] = static_cast<int32_t>(listed.class_names.size());
    listed.class_names.push_back(name);
  }
  if (!sorted.empty()) {
    for (FileEntry& entry : listed.files.entries) entry.label = sorted[static_cast<size_t>(entry.label)];
  }
  require_names_differ(listed.class_names, quote_path(data));
  return listed;
}

void open_list(Opened& opened) {
  const auto source = std::make_shared<Source>();
  source->folder = std::make_unique<OpenFolder>(folder_of(opened.input.path));
  ListedFiles listed = read_list(opened.input.path, *source->folder, /*hash_contents=*/false);
  opened.input.id = listed.id;
  opened.train = {quote_path(opened.input.path), source, 0, std::move(listed.files.entries), std::move(listed.class_names)};
  source->text = std::move(listed.files.text);
}

Opened open_source(const std::string& data, const DataSource& options) {
  Opened opened;
  opened.input = {data, options.format ? *options.format : find_data_format(data), {}};
  opened.is_sample = options.is_sample;
  switch (opened.input.format) {
    case DataFormat::kIdx: FT_CHECK(false, "{} is IDX, which load_image_dataset() reads", quote_path(data));
    case DataFormat::kFolder: open_folder(opened); break;
    case DataFormat::kTar: open_tar(opened, options.limits, /*look=*/!options.format); break;
    case DataFormat::kShards: open_shards(opened, options.limits); break;
    case DataFormat::kList: open_list(opened); break;
  }
  for (const Part* part : {&opened.train, opened.validation ? &*opened.validation : nullptr}) {
    if (part == nullptr) continue;
    FT_REQUIRE(!part->files.empty(), "{} holds no labelled images", part->name);
    for (const FileEntry& file : part->files) {
      FT_REQUIRE(file.size <= options.limits.max_file_bytes, "{} has {} bytes, a file may have {}", part->name_of(file), file.size, options.limits.max_file_bytes);
    }
  }
  return opened;
}

// ---- classes ---------------------------------------------------------------------------------------------------------

void require_labels_below(const Part& part, int64_t num_classes) {
  const auto bad = std::find_if(part.files.begin(), part.files.end(), [&](const FileEntry& file) { return file.label >= num_classes; });
  if (bad == part.files.end()) return;
  FT_FAIL(ExitCode::kInput, "{} has the label {} at position {} ({}), expected 0 to {}", part.name, bad->label, bad - part.files.begin(), part.name_of(*bad),
          num_classes - 1);
}

int64_t count_labels(const Part& part) {
  int32_t largest = 0;
  for (const FileEntry& file : part.files) largest = std::max(largest, file.label);
  std::vector<bool> seen(static_cast<size_t>(largest) + 1);
  for (const FileEntry& file : part.files) seen[static_cast<size_t>(file.label)] = true;
  return count_classes(seen, part.name);
}

int64_t number_of_classes(const Part& train, std::optional<int64_t> num_classes) {
  FT_REQUIRE_USAGE(!num_classes || *num_classes > 0, "num_classes is {}, expected at least 1", *num_classes);
  if (!train.class_names.empty()) {
    const auto count = static_cast<int64_t>(train.class_names.size());
    FT_REQUIRE_USAGE(!num_classes || *num_classes == count, "num_classes is {}, but {} has {} classes by name", *num_classes, train.name, count);
    return count;
  }
  const int64_t count = num_classes ? *num_classes : count_labels(train);
  require_labels_below(train, count);
  return count;
}

// The validation part's labels become the training part's.
void match_classes(Part& validation, const Part& train, int64_t num_classes) {
  const auto kind = [](const Part& part) { return part.class_names.empty() ? "numbers" : "names"; };
  FT_REQUIRE(validation.class_names.empty() == train.class_names.empty(), "{} has {} as labels, expected {} as in {}", validation.name, kind(validation), kind(train),
             train.name);
  if (train.class_names.empty()) return require_labels_below(validation, num_classes);
  std::vector<int32_t> place;
  for (const std::string& name : validation.class_names) {
    const auto found = std::lower_bound(train.class_names.begin(), train.class_names.end(), name);
    FT_REQUIRE(found != train.class_names.end() && *found == name, "{} has the class {}, which {} does not have", validation.name, quote(name), train.name);
    place.push_back(static_cast<int32_t>(found - train.class_names.begin()));
  }
  for (FileEntry& file : validation.files) file.label = place[static_cast<size_t>(file.label)];
}

// Moves the share that is for validation out of `train`.
Part split_off(Part& train, double val_fraction) {
  Part validation{train.name, train.source, train.prefix_bytes, {}, train.class_names};
  const std::string& text = train.source->text;
  const auto chosen = [&](const FileEntry& file) {
    return in_validation(std::string_view(text).substr(file.path + train.prefix_bytes, file.path_bytes - train.prefix_bytes), val_fraction);
  };
  std::copy_if(train.files.begin(), train.files.end(), std::back_inserter(validation.files), chosen);
  const auto total = train.files.size();
  train.files.erase(std::remove_if(train.files.begin(), train.files.end(), chosen), train.files.end());
  FT_REQUIRE(!train.files.empty() && !validation.files.empty(), "a validation share of {} leaves none of the {} images of {} for {}", val_fraction, total, train.name,
             train.files.empty() ? "training" : "validation");
  return validation;
}

ImageFiles images_of(Part&& part) { return ImageFiles(std::move(part.source), part.prefix_bytes, std::move(part.files)); }

}  // namespace

// ---- ImageFiles ------------------------------------------------------------------------------------------------------

ImageFiles::ImageFiles(std::shared_ptr<const Source> source, size_t prefix_bytes, std::vector<FileEntry> files)
    : source_(std::move(source)), prefix_bytes_(prefix_bytes), files_(std::move(files)) {}

std::string ImageFiles::name(int64_t index) const {
  const FileEntry& file = at(index);
  const std::string_view path = std::string_view(source_->text).substr(file.path, file.path_bytes);
  if (source_->folder) return quote_path(source_->folder->join(path));
  return quote(fmt::format("{}: {}", source_->archives[file.archive].path, path), 2 * kMaxPathBytes);
}

std::string_view ImageFiles::relative_path(int64_t index) const {
  const FileEntry& file = at(index);
  return std::string_view(source_->text).substr(file.path + prefix_bytes_, file.path_bytes - prefix_bytes_);
}

std::span<const uint8_t> ImageFiles::read(int64_t index, std::vector<uint8_t>& buffer) const {
  const FileEntry& file = at(index);
  const auto size = static_cast<size_t>(file.size);
  FT_REQUIRE(file.size <= source_->max_file_bytes, "{} has {} bytes, a file may have {}", name(index), file.size, source_->max_file_bytes);
  if (!source_->folder) return source_->archives[file.archive].bytes.subspan(static_cast<size_t>(file.offset), size);

  // O_NONBLOCK: a pipe that has taken the file's place must not be waited for.
  const int descriptor = ::openat(source_->folder->descriptor(), source_->text.c_str() + file.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw_errno(errno, fmt::format("read {}", name(index)));
  struct Closer {
    int descriptor;
    ~Closer() { ::close(descriptor); }
  } closer{descriptor};
  struct stat info {};
  if (fstat(descriptor, &info) != 0) throw_errno(errno, fmt::format("read {}", name(index)));
  FT_REQUIRE(S_ISREG(info.st_mode), "{} is not a regular file any more", name(index));
  const auto require_size = [&](uint64_t found) {
    FT_REQUIRE(found == file.size, "{} has {} bytes, but had {} when the data were opened: they must not change meanwhile", name(index), found, file.size);
  };
  require_size(static_cast<uint64_t>(info.st_size));
  if (buffer.size() < size) buffer.resize(size);
  size_t used = 0;
  while (used < size) {
    const ssize_t count = ::read(descriptor, buffer.data() + used, size - used);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno(errno, fmt::format("read {}", name(index)));
    if (count == 0) require_size(used);  // it was cut just now
    used += static_cast<size_t>(count);
  }
  return {buffer.data(), size};
}

// ---- data sets -------------------------------------------------------------------------------------------------------

const std::vector<std::string>& data_format_names() {
  static const std::vector<std::string> names{"idx", "folder", "tar", "shards", "list"};
  return names;
}

std::string data_format_name(DataFormat format) { return data_format_names()[static_cast<size_t>(format)]; }

std::optional<DataFormat> data_format_named(const std::string& name) {
  const auto found = std::find(data_format_names().begin(), data_format_names().end(), name);
  return found == data_format_names().end() ? std::nullopt : std::optional(static_cast<DataFormat>(found - data_format_names().begin()));
}

DataFormat find_data_format(const std::string& data) {
  if (image_dataset_folder(data) != data) return DataFormat::kIdx;  // a name, not a path
  std::error_code error;
  const fs::file_status status = fs::status(data, error);
  if (fs::is_directory(status)) return is_idx_folder(data) ? DataFormat::kIdx : DataFormat::kFolder;
  if (fs::exists(status)) {
    const std::optional<DataFormat> format = format_of_file(data);
    FT_REQUIRE(format, "{} is none of the data that are known: a folder, a .tar or .tar.gz archive, or a list as text", quote_path(data));
    return *format;
  }
  if (is_shard_pattern(data)) return DataFormat::kShards;
  if (error && error != std::errc::no_such_file_or_directory) throw_errno(error.value(), fmt::format("read {}", quote_path(data)));
  throw Error(ExitCode::kInput, fmt::format("the data {} do not exist", quote_path(data)),
              "data are a folder, a .tar or .tar.gz archive, shards ('train-{000..127}.tar'), a .csv or .jsonl list, or 'fashion-mnist'");
}

bool in_validation(std::string_view relative_path, double val_fraction) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : relative_path) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ hash >> 27) * 0x94d049bb133111eb;
  hash ^= hash >> 31;
  return static_cast<double>(hash >> 11) * 0x1p-53 < val_fraction;
}

ImageFileDataset open_image_files(const DataSource& source) {
  FT_REQUIRE_USAGE(!source.val_fraction || (*source.val_fraction > 0 && *source.val_fraction < 1), "val_fraction is {}, expected a share between 0 and 1",
                   *source.val_fraction);
  Opened opened = open_source(source.data, source);
  ImageFileDataset dataset;
  dataset.inputs = {opened.input};
  dataset.skipped_files = opened.skipped_files;
  Part& train = opened.train;
  Part validation;
  if (!source.val_data.empty()) {
    if (opened.validation) dataset.skipped_files += static_cast<int64_t>(opened.validation->files.size());
    Opened other = open_source(source.val_data, source);
    FT_REQUIRE_USAGE(!other.validation, "{} has parts of its own, {} and {}: name the folder of one of them", quote_path(source.val_data), other.train.name,
                     other.validation->name);
    validation = std::move(other.train);
    dataset.validation_from = quote_path(source.val_data);
    dataset.skipped_files += other.skipped_files;
    dataset.inputs.push_back(other.input);
  } else if (opened.validation) {
    validation = std::move(*opened.validation);
    dataset.validation_from = validation.name;
  } else if (!source.val_fraction) {
    throw Error(ExitCode::kUsage, fmt::format("{} has no part for validation", quote_path(source.data)), "--val-data PATH, or --val-fraction 0.1 to split a share off");
  }
  dataset.num_classes = number_of_classes(train, source.num_classes);
  if (validation.source) {
    match_classes(validation, train, dataset.num_classes);
  } else {
    validation = split_off(train, *source.val_fraction);
    dataset.validation_from = fmt::format("a share of {}, by path", *source.val_fraction);
  }
  dataset.class_names = train.class_names;
  for (const Part* part : {&train, &validation}) {
    for (const FileEntry& file : part->files) dataset.bytes += file.size;
  }
  dataset.train = images_of(std::move(train));
  dataset.validation = images_of(std::move(validation));
  return dataset;
}

TestImages open_test_images(const DataSource& source, const std::vector<std::string>& class_names, int64_t num_classes) {
  Opened opened = open_source(source.data, source);
  Part part = opened.validation ? std::move(*opened.validation) : std::move(opened.train);
  if (part.class_names.empty()) {
    require_labels_below(part, num_classes);
  } else if (class_names.empty()) {
    FT_REQUIRE(part.class_names.size() == static_cast<size_t>(num_classes), "{} has {} classes by name, but the network has {} without names", part.name, part.class_names.size(),
               num_classes);
  } else {
    std::map<std::string_view, int32_t> places;
    for (size_t i = 0; i < class_names.size(); ++i) places.emplace(class_names[i], static_cast<int32_t>(i));
    std::vector<int32_t> place;
    for (const std::string& name : part.class_names) {
      const auto found = places.find(name);
      if (found == places.end()) {
        const std::string nearest = nearest_word(name, class_names);
        throw Error(ExitCode::kInput, fmt::format("{} has the class {}, which the network does not know", part.name, quote(name)),
                    nearest.empty() ? fmt::format("its {} classes begin with {}", class_names.size(), quote(class_names[0])) : fmt::format("the nearest of its classes is {}", quote(nearest)));
      }
      place.push_back(found->second);
    }
    for (FileEntry& file : part.files) file.label = place[static_cast<size_t>(file.label)];
  }
  TestImages test{.input = opened.input, .class_names = class_names.empty() ? part.class_names : class_names, .from = opened.validation ? part.name : "all of it"};
  for (const FileEntry& file : part.files) test.bytes += file.size;
  test.images = images_of(std::move(part));
  return test;
}

ImageFiles open_unlabelled_images(const std::vector<std::string>& paths, SampleName is_sample) {
  const auto source = std::make_shared<Source>();
  source->folder = std::make_unique<OpenFolder>(".");
  FileList list;
  std::vector<FileEntry> files;
  for (const std::string& path : paths) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    FT_REQUIRE(fs::exists(status), "{} does not exist", quote_path(path));
    if (!fs::is_directory(status)) {
      FT_REQUIRE(path.size() <= kMaxPathBytes, "a path of {} bytes", path.size());
      FT_REQUIRE(fs::is_regular_file(status), "{} is a pipe or a device, expected a file or a folder", quote_path(path));
      FileEntry& entry = list.add("", path, FileKind::kFile);
      entry.size = fs::file_size(path, error);
      if (error) throw_errno(error.value(), fmt::format("read {}", quote_path(path)));
      files.push_back(entry);
      continue;
    }
    const FileList below = list_folder(OpenFolder(path));
    const size_t before = files.size();
    const std::string prefix = path.ends_with('/') ? path : path + "/";
    for (const FileEntry& found : below.entries) {
      const std::string_view relative = below.path(found);
      if (found.kind != FileKind::kFile || !is_visible(relative) || !is_sample(relative)) continue;
      FT_REQUIRE(prefix.size() + relative.size() <= kMaxPathBytes, "a path of {} bytes", prefix.size() + relative.size());
      FileEntry& entry = list.add(prefix, relative, FileKind::kFile);
      entry.size = found.size;
      files.push_back(entry);
    }
    FT_REQUIRE(files.size() > before, "{} holds no {}", quote_path(path), is_sample == is_any_name ? "files" : "images");
  }
  source->text = std::move(list.text);
  return {source, 0, std::move(files)};
}

std::string image_data_id(const std::string& data, DataFormat format, bool hash_contents) {
  if (format != DataFormat::kList) return dataset_id(image_dataset_folder(data), hash_contents);
  return read_list(data, OpenFolder(folder_of(data)), hash_contents).id;
}

std::string describe(const ImageFileDataset& data) {
  const std::string skipped = data.skipped_files == 0 ? "" : fmt::format(", {} other file{} left out", with_thousands(data.skipped_files), data.skipped_files == 1 ? "" : "s");
  return fmt::format("{}: {}, {} classes, {} training and {} validation images ({}), {}{}", quote_path(data.inputs.at(0).path), data_format_name(data.inputs[0].format),
                     with_thousands(data.num_classes), with_thousands(data.train.size()), with_thousands(data.validation.size()), data.validation_from,
                     human_bytes(data.bytes), skipped);
}

}  // namespace fettle
