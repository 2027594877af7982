#include "tests/support/idx_files.h"

#include "tests/support/temp_dir.h"

namespace fettle::test {

std::string idx_file(const std::vector<uint32_t>& shape, std::string_view values, uint8_t type) {
  std::string file{'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
  for (const uint32_t size : shape) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(size >> shift & 0xff);
  }
  return file.append(values);
}

void write_idx_dataset(const std::filesystem::path& folder, const std::vector<uint8_t>& train_labels, const std::vector<uint8_t>& test_labels, uint32_t height, uint32_t width) {
  std::filesystem::create_directories(folder);
  for (const bool train : {true, false}) {
    const auto& labels = train ? train_labels : test_labels;
    const std::string part = train ? "train" : "t10k";
    const auto count = static_cast<uint32_t>(labels.size());
    std::string pixels(size_t{count} * height * width, '\0');
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i & 0xff);
    write_text(folder / (part + "-images-idx3-ubyte"), idx_file({count, height, width}, pixels));
    write_text(folder / (part + "-labels-idx1-ubyte"), idx_file({count}, std::string(labels.begin(), labels.end())));
  }
}

void write_small_idx_dataset(const std::filesystem::path& folder) {
  std::vector<uint8_t> labels;
  for (int i = 0; i < 300; ++i) labels.push_back(static_cast<uint8_t>(i * 7 % 10));
  write_idx_dataset(folder, labels, std::vector<uint8_t>(labels.begin(), labels.begin() + 60), 12, 12);
}

}  // namespace fettle::test
