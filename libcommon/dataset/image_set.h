#pragma once
// Labelled images of one size, whole in memory.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fettle {

struct ImageSet {
  int64_t num_images = 0;
  int64_t height = 0;
  int64_t width = 0;
  int64_t channels = 0;
  int64_t num_classes = 0;
  std::vector<uint8_t> pixels;  // [N, H, W, C]
  std::vector<int64_t> labels;  // [N], 0..num_classes-1

  std::span<const uint8_t> image(int64_t index) const {  // [H, W, C]
    const auto bytes = static_cast<size_t>(height * width * channels);
    return {pixels.data() + static_cast<size_t>(index) * bytes, bytes};
  }
};

struct ImageDataset {
  ImageSet train;
  ImageSet test;                         // of the same height, width, channels and num_classes
  std::vector<std::string> class_names;  // one a class, or empty where nobody has named them
  std::filesystem::path folder;          // where it was found
};

// `data` is what a user types: the name "fashion-mnist" (Debian's package dataset-fashion-mnist) or a folder with
// train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or .gz
// (plain wins where both lie there).
//
// Training labels must be 0..C-1, each occurring, C the number of distinct ones; where num_classes is given, C is that and
// labels only have to be below it. Test labels must be below C.
// Errors (kInput) name the file, what was expected and what was found.
ImageDataset load_image_dataset(const std::string& data, std::optional<int64_t> num_classes = std::nullopt);

// The folder that `data` means, without reading it.
std::filesystem::path image_dataset_folder(const std::string& data);

}  // namespace fettle
