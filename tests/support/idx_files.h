#pragma once
// IDX files made to measure.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fettle::test {

// Header and values; nothing is checked, so that wrong files can be made.
std::string idx_file(const std::vector<uint32_t>& shape, std::string_view values, uint8_t type = 0x08);

// The four files of a data set: images of height x width filled with 0, 1, 2, ... and the given labels.
void write_idx_dataset(const std::filesystem::path& folder, const std::vector<uint8_t>& train_labels, const std::vector<uint8_t>& test_labels, uint32_t height, uint32_t width);

// 300 images of 12 x 12 for training and 60 for testing, ten classes.
void write_small_idx_dataset(const std::filesystem::path& folder);

}  // namespace fettle::test
