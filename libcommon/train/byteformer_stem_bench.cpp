// Times ByteFormer's stem alone, forward and forward with backward, on one fixed batch of random bytes: the C++ side of
// scripts/bench/byteformer_vs_corenet.sh. One JSON object on stdout: seconds of each timed pass, and how far the resident set grew.
//
//   bench-byteformer-stem BYTES KERNEL BATCH fp32|bf16 REPEATS FOLDER
//
// Writes weights, bytes, the gradient that comes in, the values and the gradients that go out to FOLDER, so that another implementation can
// check its own against them before it is timed. Tokens are as many as whole windows, the width is that of bf_tiny. What a pass allocates
// counts, the result and the gradients included; weights, bytes and the incoming gradient are there before.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <malloc.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/bench_main.h"
#include "base/build_info.h"
#include "checkpoint/weights.h"
#include "device/device.h"
#include "models/byte_stem.h"
#include "train/autocast.h"

namespace {

using namespace fettle;
using Json = nlohmann::json;

constexpr int64_t kWidth = 192;

// "VmRSS" or "VmHWM" of this process.
int64_t resident_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(key + ":")) return 1024 * std::atoll(line.c_str() + key.size() + 1);
  }
  throw std::runtime_error("no " + key + " in /proc/self/status");
}

// From here on the high-water mark counts anew.
int64_t begin_peak() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  return resident_bytes("VmRSS");
}

template <class F>
Json seconds_of(int repeats, const F& pass) {
  Json seconds = Json::array();
  pass();
  for (int i = 0; i < repeats; ++i) {
    const auto began = std::chrono::steady_clock::now();
    pass();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  }
  return seconds;
}

void run(char** argv) {
  const int64_t length = std::atoll(argv[1]), kernel = std::atoll(argv[2]), batch = std::atoll(argv[3]);
  const at::ScalarType precision = std::string(argv[4]) == "bf16" ? at::kBFloat16 : at::kFloat;
  const int repeats = std::atoi(argv[5]);
  const std::filesystem::path folder = argv[6];

  const Session session = start({.device = "cpu"});
  at::manual_seed(7);
  at::Tensor embedding = at::randn({257, kWidth}) * 0.07, convolution = (at::rand({kWidth, kWidth, kernel}) * 2 - 1) * std::pow(kWidth * kernel, -0.5);
  embedding[256].zero_();
  const at::Tensor bytes = at::randint(256, {batch * length}, at::kByte);
  const int64_t tokens = (length - kernel) / (kernel / 2) + 1;
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i <= batch; ++i) offsets.push_back(i * length);
  const std::vector<int64_t> counts(static_cast<size_t>(batch), tokens);
  const at::Tensor dy = at::randn({batch * tokens, kWidth});
  embedding.requires_grad_(true);
  convolution.requires_grad_(true);

  const auto forward = [&] {
    const AutocastGuard autocast(at::kCPU, precision);
    return byte_stem(bytes, offsets, counts, embedding, convolution, {});
  };
  const auto forward_backward = [&] {
    embedding.mutable_grad().reset();
    convolution.mutable_grad().reset();
    const at::Tensor y = forward();
    y.backward(dy.to(y.scalar_type()));
  };
  forward_backward();
  {
    std::filesystem::create_directories(folder);
    save_weights(folder / "stem.safetensors", {{"embedding", embedding.detach()}, {"convolution", convolution.detach()}, {"bytes", bytes.view({batch, length})}, {"dy", dy}, {"y", forward().detach()},
                                               {"dembedding", embedding.grad()}, {"dconvolution", convolution.grad().contiguous()}});
  }
  Json result = {{"threads", session.threads}, {"isa", session.isa}, {"commit", build_info().commit}};
  embedding.mutable_grad().reset();
  convolution.mutable_grad().reset();
  const int64_t before = begin_peak();
  forward_backward();
  result["peak_bytes"] = resident_bytes("VmHWM") - before;
  result["forward_backward"] = seconds_of(repeats, forward_backward);
  const c10::NoGradGuard no_grad;
  result["forward"] = seconds_of(repeats, forward);
  fmt::print("{}\n", result.dump());
}

}  // namespace

int main(int argc, char** argv) { return fettle::bench_main(argc, argv, "BYTES KERNEL BATCH fp32|bf16 REPEATS FOLDER", run); }
