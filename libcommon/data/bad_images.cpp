#include "data/bad_images.h"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"
#include "io/file.h"

namespace fettle {
namespace {

constexpr uint64_t kMaxListBytes = uint64_t{1} << 30;
constexpr size_t kMostWarnings = 5;

// A path need not be UTF-8, JSON must be: what is not is replaced.
std::string as_json_holds_it(std::string_view path) {
  return nlohmann::json::parse(nlohmann::json(path).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)).get<std::string>();
}

std::string line_of(const std::string& part, const std::string& image) { return nlohmann::json{{"image", image}, {"part", part}}.dump() + "\n"; }

}  // namespace

BadImageList::BadImageList(std::filesystem::path directory, double max_percent, Log& log)
    : file_(std::move(directory) / kFileName), max_percent_(max_percent), log_(log) {}

void BadImageList::read() {
  read_ = true;
  if (!std::filesystem::exists(file_)) return;
  for (const std::string& line : split(read_file(file_, kMaxListBytes), '\n')) {
    // The last line of a run that was killed may be cut: its image will be met again.
    const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object() && json.contains("image") && json.contains("part") && json["image"].is_string() && json["part"].is_string()) {
      listed_.emplace(json["part"].get<std::string>(), json["image"].get<std::string>());
    }
  }
  finish();
}

void BadImageList::add(const std::string& part, const LabelledImages& images, const std::vector<BadImage>& bad) {
  if (bad.empty()) return;
  if (!read_) read();
  const ImageFiles& files = std::get<ImageFiles>(images);
  std::ofstream out(file_, std::ios::app);
  for (const BadImage& image : bad) {
    const std::string path = as_json_holds_it(files.relative_path(image.index));
    if (!listed_.emplace(part, path).second) continue;
    out << line_of(part, path);
    if (listed_.size() <= kMostWarnings) log_.warn(fmt::format("left out: {}{}", image.why, listed_.size() == kMostWarnings ? " (further ones are listed only)" : ""));
  }
  out.flush();
  if (!out) FT_FAIL(ExitCode::kMachine, "cannot write '{}'", file_.string());
  const int64_t found = count(part);
  FT_REQUIRE(100.0 * static_cast<double>(found) <= max_percent_ * static_cast<double>(files.size()),
             "{} of the {} {} images cannot be decoded, more than --max-bad-percent {}; they are listed in '{}'", found, files.size(), part, max_percent_, file_.string());
}

int64_t BadImageList::count(const std::string& part) const {
  int64_t found = 0;
  for (auto entry = listed_.lower_bound({part, ""}); entry != listed_.end() && entry->first == part; ++entry) ++found;
  return found;
}

bool BadImageList::finish() {
  if (!read_) read();
  if (listed_.empty()) return false;
  std::string text;
  for (const auto& [part, image] : listed_) text += line_of(part, image);
  write_file_atomic(file_, text);
  return true;
}

void add_of_all(BadImageList* list, const std::string& part, const LabelledImages& images, std::vector<BadImage> bad, const ProcessGroup& group) {
  if (list == nullptr) return;
  if (group.size() > 1) {
    nlohmann::json own = nlohmann::json::array();
    for (const BadImage& image : bad) own.push_back({image.index, image.why});
    bad.clear();
    for (const std::string& text : group.gather(own.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace))) {
      const nlohmann::json found = nlohmann::json::parse(text);
      for (const nlohmann::json& image : found) bad.push_back({image.at(0).get<int64_t>(), image.at(1).get<std::string>()});
    }
  }
  if (group.is_first()) list->add(part, images, bad);
}

}  // namespace fettle
