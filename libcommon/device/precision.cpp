#include "device/precision.h"

#include <ATen/cpu/Utils.h>

#include "base/errors.h"

namespace fettle {
namespace {

struct Row {
  Bf16Support support;
  ArchFamily family;  // kOther: every family that has no row of its own
  bool bf16;
  const char* why;
};

// Times are training steps, channels-last, bf16 autocast against fp32, torch 2.11. AMX: two cores of a Sapphire Rapids
// Xeon (scripts/bench/precision.sh, docs/benchmarks/training.md). CUDA: one H100.
constexpr Row kRows[] = {
    // CUDA: ResNet-50 at 224 px, batch 256: 65.5 ms against 102.7; MobileNetV2 41.8 against 56.9; ViT-Ti 34.3 against 81.5.
    {Bf16Support::kCuda, ArchFamily::kOther, true, "tensor cores train every network measured 1.4 to 2.4 times as fast"},
    // AMX: ResNet-50 at 224 px, batch 16: 623 ms against 1,503.
    {Bf16Support::kAmx, ArchFamily::kResnetBottleneck, true, "AMX trains bottleneck ResNets 2.4 times as fast"},
    // AMX: ResNet-18 at 224 px, batch 16: 199 ms against 551; at 64 px, batch 128: 329 against 580.
    {Bf16Support::kAmx, ArchFamily::kResnetBasic, true, "AMX trains ResNet-18 2.8 times as fast at 224 px"},
    // AMX: ResNet-18 at 32 px, batch 128: 157 ms against 148: casts of weights bind.
    {Bf16Support::kAmx, ArchFamily::kResnetBasicSmall, false, "AMX does not speed up ResNet-18 on small images (0.94 at 32 px)"},
    // AMX: ResNet-20 at 32 px, batch 128: 60 ms against 127.
    {Bf16Support::kAmx, ArchFamily::kCifarResnet, true, "AMX trains ResNet-20 2.1 times as fast"},
    // AMX at 224 px, batch 16: Swin-T 965 ms against 2,234, ViT-Ti 331 against 504.
    {Bf16Support::kAmx, ArchFamily::kTransformer, true, "AMX trains transformers 1.5 to 2.3 times as fast"},
    // AMX at 224 px, batch 16: MobileNetV1 284 ms against 335, V2 325 against 349, V3-large 447 against 304, EfficientNet-B0 836 against 620.
    {Bf16Support::kAmx, ArchFamily::kOther, false, "AMX gains MobileNets and EfficientNets little or nothing"},
    // AVX512-BF16 (two cores of a Zen 5): ResNet-50 at 224 px, batch 16: 659 ms against 1,232.
    {Bf16Support::kAvx512Bf16, ArchFamily::kResnetBottleneck, true, "AVX512-BF16 trains bottleneck ResNets 1.9 times as fast"},
    // ResNet-18 at 224 px, batch 16: 252 ms against 460. On small images not measured.
    {Bf16Support::kAvx512Bf16, ArchFamily::kResnetBasic, true, "AVX512-BF16 trains ResNet-18 1.8 times as fast at 224 px"},
    // ResNet-20 at 32 px, batch 128: 68 ms against 110.
    {Bf16Support::kAvx512Bf16, ArchFamily::kCifarResnet, true, "AVX512-BF16 trains ResNet-20 1.6 times as fast"},
    // Swin-T 916 ms against 2,689, ViT-Ti 409 against 780.
    {Bf16Support::kAvx512Bf16, ArchFamily::kTransformer, true, "AVX512-BF16 trains transformers 1.9 to 2.9 times as fast"},
    // MobileNetV2 247 ms against 236.
    {Bf16Support::kAvx512Bf16, ArchFamily::kOther, false, "no measurement says that AVX512-BF16 pays for this network"},
    // Without such instructions bf16 products run through fp32 and conversions.
    {Bf16Support::kNone, ArchFamily::kOther, false, "this CPU has no bf16 instructions"},
};

const Row& look_up(Bf16Support support, ArchFamily family) {
  const Row* other = nullptr;
  for (const Row& row : kRows) {
    if (row.support != support) continue;
    if (row.family == family) return row;
    if (row.family == ArchFamily::kOther) other = &row;
  }
  FT_CHECK(other != nullptr);
  return *other;
}

}  // namespace

Bf16Support bf16_support(c10::Device device) {
  if (device.is_cuda()) return Bf16Support::kCuda;
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto has = [&](const char* name) {
    const auto found = capabilities.find(name);
    return found != capabilities.end() && found->second.isBool() && found->second.toBool();
  };
  if (has("amx_bf16")) return Bf16Support::kAmx;
  return has("avx512_bf16") ? Bf16Support::kAvx512Bf16 : Bf16Support::kNone;
}

PrecisionChoice choose_precision(const std::string& requested, Bf16Support support, ArchFamily family) {
  FT_REQUIRE_USAGE(requested == "auto" || requested == "fp32" || requested == "bf16", "--precision is one of auto, fp32, bf16, not '{}'",
                   requested);
  if (requested == "fp32") return {c10::kFloat, "fp32: asked for"};
  if (requested == "bf16") return {c10::kBFloat16, "bf16: asked for"};
  const Row& row = look_up(support, family);
  return {row.bf16 ? c10::kBFloat16 : c10::kFloat, std::string(row.bf16 ? "bf16: " : "fp32: ") + row.why};
}

}  // namespace fettle
