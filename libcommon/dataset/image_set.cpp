#include "dataset/image_set.h"

#include <algorithm>

#include "base/errors.h"
#include "dataset/classes.h"
#include "decode/idx.h"

namespace fettle {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFashionMnist = "fashion-mnist";
constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";
constexpr const char* kFashionMnistHint = "apt-get install dataset-fashion-mnist";

fs::path find_file(const fs::path& folder, const std::string& name) {
  for (const char* ending : {"", ".gz"}) {
    if (fs::is_regular_file(folder / (name + ending))) return folder / (name + ending);
  }
  throw Error(ExitCode::kInput, fmt::format("the data folder '{}' has no '{}' (nor that with .gz)", folder.string(), name),
              folder == kFashionMnistFolder ? kFashionMnistHint : "");
}

struct LabelledImages {
  ImageSet set;
  fs::path labels_path;
};

LabelledImages read_part(const fs::path& folder, const std::string& part) {
  const fs::path images_path = find_file(folder, part + "-images-idx3-ubyte");
  const fs::path labels_path = find_file(folder, part + "-labels-idx1-ubyte");
  IdxArray images = read_idx(images_path);
  const IdxArray labels = read_idx(labels_path);
  FT_REQUIRE(images.shape.size() == 3,
             "'{}' has {} dimensions, expected 3 (images, height, width)", images_path.string(), images.shape.size());
  FT_REQUIRE(labels.shape.size() == 1, "'{}' has {} dimensions, expected 1 (a label an image)", labels_path.string(), labels.shape.size());
  FT_REQUIRE(labels.shape[0] == images.shape[0],
             "'{}' has {} labels, expected {}, one for each image of '{}'",
             labels_path.string(), labels.shape[0], images.shape[0], images_path.filename().string());
  ImageSet set;
  set.num_images = images.shape[0];
  set.height = images.shape[1];
  set.width = images.shape[2];
  set.channels = 1;
  set.pixels = std::move(images.data);
  set.labels.assign(labels.data.begin(), labels.data.end());
  return {std::move(set), labels_path};
}

void require_labels_below(const LabelledImages& part, int64_t num_classes) {
  const auto& labels = part.set.labels;
  const auto bad = std::find_if(labels.begin(), labels.end(), [&](int64_t label) { return label >= num_classes; });
  if (bad == labels.end()) return;
  FT_FAIL(ExitCode::kInput,
          "'{}' has the label {} at position {}, expected 0 to {}", part.labels_path.string(), *bad, bad - labels.begin(), num_classes - 1);
}

int64_t count_labels(const LabelledImages& part) {
  const auto& labels = part.set.labels;
  std::vector<bool> seen(static_cast<size_t>(*std::max_element(labels.begin(), labels.end())) + 1);
  for (const int64_t label : labels) seen[static_cast<size_t>(label)] = true;
  return count_classes(seen, fmt::format("'{}'", part.labels_path.string()));
}

}  // namespace

fs::path image_dataset_folder(const std::string& data) { return data == kFashionMnist ? fs::path(kFashionMnistFolder) : fs::path(data); }

ImageDataset load_image_dataset(const std::string& data, std::optional<int64_t> num_classes) {
  const fs::path folder = image_dataset_folder(data);
  const bool fashion = folder == kFashionMnistFolder;
  if (!fs::is_directory(folder)) {
    throw Error(ExitCode::kInput, fmt::format("the data folder '{}' {}", folder.string(), fs::exists(folder) ? "is no folder" : "does not exist"),
                fashion ? kFashionMnistHint : "--data takes 'fashion-mnist' or a folder with the four IDX files");
  }
  FT_REQUIRE_USAGE(!num_classes || *num_classes > 0, "num_classes is {}, expected at least 1", *num_classes);

  LabelledImages train = read_part(folder, "train");
  LabelledImages test = read_part(folder, "t10k");
  FT_REQUIRE(test.set.height == train.set.height && test.set.width == train.set.width,
             "the test images in '{}' are {}x{}, expected {}x{} as for training", folder.string(),
             test.set.height, test.set.width, train.set.height, train.set.width);
  const int64_t count = num_classes ? *num_classes : count_labels(train);
  require_labels_below(train, count);
  require_labels_below(test, count);
  train.set.num_classes = count;
  test.set.num_classes = count;

  ImageDataset dataset{std::move(train.set), std::move(test.set), {}, folder};
  if (fashion && count == 10) {
    dataset.class_names = {"t-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"};
  }
  return dataset;
}

}  // namespace fettle
