#include "tests/golden/pictures.h"

#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>

#include "base/text.h"

namespace fettle::golden {

Picture read_picture(const Case& test, const std::string& name, bool channels_last) {
  const TensorInfo* const info = test.tensors.find(name);
  REQUIRE(info != nullptr);
  REQUIRE(info->shape.size() == 3);
  REQUIRE(info->dtype == Dtype::kU8);
  const std::span<const uint8_t> bytes = test.tensors.bytes(*info);
  if (channels_last) return {{info->shape[0], info->shape[1], info->shape[2]}, {bytes.begin(), bytes.end()}};
  Picture picture{{info->shape[1], info->shape[2], info->shape[0]}, std::vector<uint8_t>(bytes.size())};
  const int64_t channels = picture.shape.channels, plane = picture.shape.height * picture.shape.width;
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < plane; ++i) picture.pixels[static_cast<size_t>(i * channels + c)] = bytes[static_cast<size_t>(c * plane + i)];
  }
  return picture;
}

Picture blank(const PixelShape& shape) { return {shape, std::vector<uint8_t>(static_cast<size_t>(shape.values()))}; }

void check_picture(const Picture& found, const Picture& expected, double atol, double share_differing, double share_beyond) {
  REQUIRE(found.shape.height == expected.shape.height);
  REQUIRE(found.shape.width == expected.shape.width);
  REQUIRE(found.shape.channels == expected.shape.channels);
  int64_t differing = 0, beyond = 0;
  int largest = 0;
  for (size_t i = 0; i < found.pixels.size(); ++i) {
    const int difference = std::abs(found.pixels[i] - expected.pixels[i]);
    differing += difference > 0 ? 1 : 0;
    beyond += difference > atol ? 1 : 0;
    largest = std::max(largest, difference);
  }
  const auto count = static_cast<double>(found.pixels.size());
  INFO(differing << " of " << count << " values differ, by up to " << largest);
  CHECK(static_cast<double>(differing) / count <= share_differing);
  CHECK(static_cast<double>(beyond) / count <= share_beyond);
}

void check_operation(const Case& test, const nlohmann::json& op, const Picture& found) {
  const std::string name = op.at("name");
  const bool both_forms = test.tensors.find(name + ".pil") != nullptr;
  const nlohmann::json& tolerance = op.at("tolerance");
  check_picture(found, read_picture(test, both_forms ? name + ".pil" : name), tolerance.at("atol"), tolerance.at("max_share_differing"),
                tolerance.at("max_share_beyond_atol"));
}

void report_unchecked(const Case& test, const std::vector<std::string>& operations) {
  if (operations.empty()) return;
  std::printf("golden %s: not implemented here, not checked: %s\n", test.json.at("kind").get<std::string>().c_str(), join(operations, ", ").c_str());
}

}  // namespace fettle::golden
