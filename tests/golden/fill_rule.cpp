#include "tests/golden/fill_rule.h"

#include <ATen/ATen.h>

#include <cmath>

#include "io/sha256.h"

namespace fettle::golden {
namespace {

bool ends_with(const std::string& text, std::string_view ending) { return std::string_view(text).ends_with(ending); }

}  // namespace

std::vector<double> uniform(const std::string& name, uint64_t seed, int64_t count) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  const uint64_t state = hash ^ seed;
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) {
    uint64_t z = state + (i + 1) * 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    z ^= z >> 31;
    values[i] = static_cast<double>(z >> 40) * 0x1p-24;
  }
  return values;
}

at::Tensor filled(const std::string& name, at::IntArrayRef shape, uint64_t seed, double gain) {
  at::Tensor tensor = at::empty(shape, at::kFloat);
  const std::string last = name.substr(name.rfind('.') + 1);
  const std::vector<double> u = uniform(name, seed, tensor.numel());
  const bool weight = ends_with(last, "weight");
  double base = 0, factor = 0.02;
  if (last == "running_mean") {
    factor = 0.1;
  } else if (weight && shape.size() >= 2) {
    factor = std::sqrt(3.0 * gain / static_cast<double>(tensor.numel() / shape[0]));
  } else if (weight && shape.size() == 1) {
    base = 1, factor = 0.1;
  } else if (ends_with(last, "bias") && shape.size() == 1) {
    factor = 0.1;
  }
  float* out = tensor.mutable_data_ptr<float>();
  for (size_t i = 0; i < u.size(); ++i) out[i] = static_cast<float>(last == "running_var" ? 1.0 + 0.5 * u[i] : base + factor * (2 * u[i] - 1));
  return tensor;
}

at::Tensor synthetic_image(at::IntArrayRef shape, uint64_t seed) {
  const int64_t planes = shape[0] * shape[1], height = shape[2], width = shape[3];
  const int64_t block_rows = (height + 15) / 16, block_columns = (width + 15) / 16;
  const std::vector<double> offset = uniform("input.offset", seed, planes);
  const std::vector<double> block = uniform("input.block", seed, planes * block_rows * block_columns);
  const std::vector<double> noise = uniform("input", seed, planes * height * width);
  at::Tensor image = at::empty(shape, at::kFloat);
  float* out = image.mutable_data_ptr<float>();
  for (int64_t p = 0, i = 0; p < planes; ++p) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x, ++i) {
        const double b = block[static_cast<size_t>((p * block_rows + y / 16) * block_columns + x / 16)];
        out[i] = static_cast<float>((2 * offset[static_cast<size_t>(p)] - 1) + (2 * b - 1) + 0.5 * (2 * noise[static_cast<size_t>(i)] - 1));
      }
    }
  }
  return image;
}

std::string sha256_of(const std::vector<at::Tensor>& tensors) {
  Sha256 hash;
  for (const at::Tensor& tensor : tensors) {
    const at::Tensor row_major = tensor.contiguous();
    hash.update(std::span(static_cast<const uint8_t*>(row_major.const_data_ptr()), row_major.nbytes()));
  }
  return hash.hex();
}

}  // namespace fettle::golden
