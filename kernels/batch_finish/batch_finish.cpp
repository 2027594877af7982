#include "kernels/batch_finish/batch_finish.h"

#include <cmath>

#include "kernels/batch_finish/batch_finish_variants.h"
#include "kernels/cuda_module/cuda_table.h"

namespace fettle::kernels {
namespace {

bool overlap(const void* a, int64_t a_bytes, const void* b, int64_t b_bytes) {
  const auto x = reinterpret_cast<uintptr_t>(a), y = reinterpret_cast<uintptr_t>(b);
  return b != nullptr && x < y + static_cast<uintptr_t>(b_bytes) && y < x + static_cast<uintptr_t>(a_bytes);
}

}  // namespace

Status batch_finish_prepare(const BatchFinishArgs& args, ScaleBias* affine) {
  if (args.batch < 0 || args.height < 0 || args.width < 0 || args.num_threads < 0) return Status::kBadSize;
  if (args.channels < 1 || args.channels > kBatchFinishMaxChannels) return Status::kBadSize;
  if (args.out_dtype != DType::kF32 && args.out_dtype != DType::kBF16) return Status::kBadDType;
  if (args.out_layout != ImageLayout::kNchw && args.out_layout != ImageLayout::kNhwc) return Status::kBadDType;
  constexpr int64_t kMaxImage = (int64_t{1} << 31) - 1;
  int64_t image = 0, values = 0, out_bytes = 0;
  if (__builtin_mul_overflow(args.height, args.width, &image) || __builtin_mul_overflow(image, args.channels, &image) ||
      image > kMaxImage || __builtin_mul_overflow(image, args.batch, &values) ||
      __builtin_mul_overflow(values, dtype_bytes(args.out_dtype), &out_bytes)) {
    return Status::kBadSize;
  }
  if (args.mean == nullptr || args.std == nullptr) return Status::kNullPointer;
  for (int c = 0; c < args.channels; ++c) {
    const double mean = args.mean[c], std = args.std[c];
    if (!std::isfinite(mean) || !std::isfinite(std) || std <= 0) return Status::kBadValue;
    const auto scale = static_cast<float>(1 / (255 * std)), bias = static_cast<float>(-mean / std);
    if (!std::isfinite(scale) || !std::isfinite(bias) || !std::isfinite(255 * scale) || !std::isfinite(255 * scale + bias)) {
      return Status::kBadValue;
    }
    affine->scale[c] = scale;
    affine->bias[c] = bias;
  }
  if (values == 0) return Status::kOk;
  if (args.in == nullptr || args.out == nullptr) return Status::kNullPointer;
  if (reinterpret_cast<uintptr_t>(args.out) % static_cast<uintptr_t>(dtype_bytes(args.out_dtype)) != 0) return Status::kMisaligned;
  const auto constants = static_cast<int64_t>(sizeof(float)) * args.channels;
  if (overlap(args.out, out_bytes, args.in, values) || overlap(args.out, out_bytes, args.flip, args.batch) ||
      overlap(args.out, out_bytes, args.mean, constants) || overlap(args.out, out_bytes, args.std, constants)) {
    return Status::kOverlap;
  }
  return Status::kOk;
}

Status batch_finish(const Device& device, const BatchFinishArgs& args, Stream stream) {
  ScaleBias affine;
  if (const Status status = batch_finish_prepare(args, &affine); status != Status::kOk) return status;
  switch (device.kind) {
    case DeviceKind::kCpu: {
      Isa isa{};
      if (const Status status = active_isa(&isa); status != Status::kOk) return status;
      batch_finish_cpu(args, affine, isa);
      return Status::kOk;
    }
    case DeviceKind::kCuda:
      if (device.cuda == nullptr) return Status::kNoCudaModule;
      return device.cuda->batch_finish(args, affine, stream);
  }
  return Status::kBadValue;
}

}  // namespace fettle::kernels
