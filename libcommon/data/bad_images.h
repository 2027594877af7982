#pragma once
// The images that a run left out because they cannot be decoded: bad_images.jsonl in its directory, an object a line,
// {"image": "cat/7.jpg", "part": "train"}, paths as ImageFiles::relative_path(). A run that is resumed goes on with the list that it
// finds, so that it ends with the same one as a run that was never interrupted.

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "data/labelled_images.h"
#include "data/loader.h"
#include "dist/process_group.h"

namespace fettle {

class BadImageList {
 public:
  static constexpr const char* kFileName = "bad_images.jsonl";

  // `directory` must exist by the first add(). A list that is there already is read then.
  BadImageList(std::filesystem::path directory, double max_percent, Log& log);

  // Appends those that are new, with a warning each for the first few. Error(kInput) when more than max_percent of `images` are bad.
  void add(const std::string& part, const LabelledImages& images, const std::vector<BadImage>& bad);

  int64_t count(const std::string& part) const;

  // Sorts the file, which is then the same however the run came about. Whether there is one.
  bool finish();

 private:
  void read();

  std::filesystem::path file_;
  double max_percent_;
  Log& log_;
  bool read_ = false;
  std::set<std::pair<std::string, std::string>> listed_;  // part, path
};

// What any process has found; the first one lists it. Nothing without a list. All processes call it.
void add_of_all(BadImageList* list, const std::string& part, const LabelledImages& images, std::vector<BadImage> bad, const ProcessGroup& group);

}  // namespace fettle
