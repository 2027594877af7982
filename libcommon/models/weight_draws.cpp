#include "models/weight_draws.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ATen.h>

namespace fettle {
namespace {

// FNV-1a of the name joined with the seed, through SplitMix64's finaliser: near seeds and near names share nothing.
uint64_t stream_seed(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  uint64_t z = (hash ^ seed) + 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

void WeightDraws::normal(std::string_view name, at::Tensor tensor, double standard_deviation) const {
  const at::NoGradGuard no_grad;
  const at::Generator generator = at::detail::createCPUGenerator(stream_seed(seed_, name));
  tensor.copy_(at::empty(tensor.sizes(), at::kDouble).normal_(0, standard_deviation, generator));
}

void WeightDraws::uniform(std::string_view name, at::Tensor tensor, double bound) const {
  const at::NoGradGuard no_grad;
  const at::Generator generator = at::detail::createCPUGenerator(stream_seed(seed_, name));
  tensor.copy_(at::empty(tensor.sizes(), at::kDouble).uniform_(-bound, bound, generator));
}

void WeightDraws::constant(at::Tensor tensor, double value) const {
  const at::NoGradGuard no_grad;
  tensor.fill_(value);
}

}  // namespace fettle
