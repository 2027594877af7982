// bench-segment_attention [ROUNDS]
//
// Both passes over 512 rows in windows of 128, three heads of 64 channels (ByteFormer's tiny configuration), on one thread: medians over the
// rounds (smallest-largest) in microseconds, and multiply-adds of the products by time. Beside it as the bound what one core does of
// independent f32 multiply-adds in registers.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <random>
#include <vector>

#include "base/build_info.h"
#include "kernels/segment_attention/segment_attention.h"
#include "kernels/support/isa.h"

using namespace fettle::kernels;

namespace {

constexpr int kCalls = 50;

template <class F>
std::vector<double> microseconds(int rounds, const F& call) {
  std::vector<double> taken;
  for (int round = 0; round <= rounds; ++round) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) call();
    if (round > 0) taken.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() * 1e6 / kCalls);
  }
  std::sort(taken.begin(), taken.end());
  return taken;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  SegmentAttentionShape s{.segments = 4, .length = 128, .heads = 3, .width = 64};
  const int64_t numbers = s.segments * s.length * s.heads * s.width;
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  auto* const workspace = static_cast<float*>(::operator new(sizeof(float) * static_cast<size_t>(segment_attention_workspace(s)), std::align_val_t{64}));
  std::printf("commit %s, %s\n\n| pass | us | GMAC/s |\n|---|---|---|\n", fettle::build_info().commit, isa_name(cpu_isa()));
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    s.dtype = dtype;
    std::vector<float> qkv(static_cast<size_t>(3 * numbers)), out(static_cast<size_t>(numbers)), dout(out), dqkv(qkv), logsumexp(static_cast<size_t>(s.segments * s.length * s.heads));
    for (std::vector<float>* values : {&qkv, &dout}) {
      for (float& value : *values) value = normal(generator);
    }
    std::vector<uint16_t> narrow_qkv(qkv.size()), narrow_dout(dout.size());
    for (size_t i = 0; i < qkv.size(); ++i) narrow_qkv[i] = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, qkv[i]) >> 16);
    for (size_t i = 0; i < dout.size(); ++i) narrow_dout[i] = static_cast<uint16_t>(__builtin_bit_cast(uint32_t, dout[i]) >> 16);
    const bool bf16 = dtype == DType::kBF16;
    const void* const in = bf16 ? static_cast<const void*>(narrow_qkv.data()) : qkv.data();
    const void* const d = bf16 ? static_cast<const void*>(narrow_dout.data()) : dout.data();
    const double product = static_cast<double>(s.segments * s.heads * s.length * s.length * s.width);
    const auto row = [&](const char* name, double products, const std::vector<double>& us) {
      std::printf("| %s, %s | %.0f (%.0f-%.0f) | %.0f |\n", name, bf16 ? "bf16" : "f32", us[us.size() / 2], us.front(), us.back(), products * product / us[us.size() / 2] * 1e-3);
    };
    row("forward", 2, microseconds(rounds, [&] { segment_attention_forward(s, {.qkv = in, .out = out.data(), .logsumexp = logsumexp.data(), .workspace = workspace}); }));
    row("backward", 5,
        microseconds(rounds, [&] { segment_attention_backward(s, {.qkv = in, .out = out.data(), .logsumexp = logsumexp.data(), .dout = d, .dqkv = dqkv.data(), .workspace = workspace}); }));
  }
  ::operator delete(workspace, std::align_val_t{64});
}
