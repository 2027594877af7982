#include "kernels/norm_act/norm_act.h"

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "kernels/norm_act/norm_act_variants.h"

namespace fettle::kernels {
namespace {

// Sums are made over runs of this many rows, whatever the number of threads.
int64_t rows_a_run(const NormActShape& shape) { return std::clamp<int64_t>(16384 / shape.channels, 128, 1024); }
int64_t num_runs(const NormActShape& shape) { return (shape.rows + rows_a_run(shape) - 1) / rows_a_run(shape); }

constexpr int64_t kChannelsATask = 256;

Status check(const Device& device, const NormActShape& shape, bool has_pointers, NormActVariant* variant) {
  if (device.kind != DeviceKind::kCpu) return Status::kNoCudaModule;
  if (shape.rows < 0 || shape.channels < 1 || shape.num_threads < 0) return Status::kBadSize;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(shape.rows, shape.channels, &bytes) || __builtin_mul_overflow(bytes, 8, &bytes)) return Status::kBadSize;
  if (shape.dtype != DType::kF32 && shape.dtype != DType::kBF16 && shape.dtype != DType::kF64) return Status::kBadDType;
  const int activation = static_cast<int>(shape.activation);
  if (activation < 0 || activation > static_cast<int>(NormActivation::kHardswish)) return Status::kBadValue;
  if (shape.rows > 0 && !has_pointers) return Status::kNullPointer;
  Isa isa{};
  if (const Status status = active_isa(&isa); status != Status::kOk) return status;
  *variant = isa == Isa::kAvx512 ? norm_act_avx512() : isa == Isa::kAvx2 ? norm_act_avx2() : norm_act_baseline();
  return Status::kOk;
}

bool mask_needs_z(const NormActShape& shape) { return shape.activation == NormActivation::kHardswish; }

int num_threads(const NormActShape& shape, int64_t tasks) {
  const int64_t most = shape.num_threads > 0 ? shape.num_threads : omp_get_max_threads();
  return static_cast<int>(std::clamp<int64_t>(tasks, 1, most));
}

// part(first, last, begin, end, sums) for every run of rows and range of channels; then the runs' sums are added in order.
template <class Part>
void sum_up(const NormActShape& shape, double* workspace, double* sums, const Part& part) {
  const int64_t runs = num_runs(shape), rows = rows_a_run(shape), channels = shape.channels;
  const int64_t ranges = (channels + kChannelsATask - 1) / kChannelsATask;
#pragma omp parallel num_threads(num_threads(shape, runs * ranges))
  {
#pragma omp for schedule(static)
    for (int64_t task = 0; task < runs * ranges; ++task) {
      const int64_t run = task / ranges, begin = task % ranges * kChannelsATask;
      part(run * rows, std::min(shape.rows, (run + 1) * rows), begin, std::min(channels, begin + kChannelsATask), workspace + run * 2 * channels);
    }
#pragma omp for schedule(static)
    for (int64_t range = 0; range < 2 * ranges; ++range) {
      const int64_t half = range / ranges * channels, begin = range % ranges * kChannelsATask, end = std::min(channels, begin + kChannelsATask);
      std::fill(sums + half + begin, sums + half + end, 0.0);
      for (int64_t run = 0; run < runs; ++run) {
        for (int64_t c = begin; c < end; ++c) sums[half + c] += workspace[run * 2 * channels + half + c];
      }
    }
  }
}

// part(first, last) over all rows. Each thread goes backwards through the rows that it summed up before: the last of them may
// still be in its cache.
template <class Part>
void backwards(const NormActShape& shape, const Part& part) {
  const int64_t runs = num_runs(shape), rows = rows_a_run(shape);
#pragma omp parallel num_threads(num_threads(shape, runs))
  {
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num();
    const int64_t begin = runs * thread / threads, end = runs * (thread + 1) / threads;
    for (int64_t run = end; run-- > begin;) part(run * rows, std::min(shape.rows, (run + 1) * rows));
  }
}

}  // namespace

int64_t norm_act_workspace(const NormActShape& shape) { return shape.rows <= 0 || shape.channels < 1 ? 0 : num_runs(shape) * 2 * shape.channels; }

Status norm_act_sums(const Device& device, const NormActShape& shape, const NormActSums& args, Stream) {
  NormActVariant variant{};
  if (const Status status = check(device, shape, args.x && args.workspace, &variant); status != Status::kOk) return status;
  if (args.sums == nullptr) return Status::kNullPointer;
  sum_up(shape, args.workspace, args.sums, [&](int64_t first, int64_t last, int64_t begin, int64_t end, double* to) {
    variant.sums(shape, args, first, last, begin, end, to);
  });
  return Status::kOk;
}

Status norm_act_forward(const Device& device, const NormActShape& shape, const NormActForward& args, Stream) {
  NormActVariant variant{};
  if (const Status status = check(device, shape, args.x && args.scale && args.shift && args.y, &variant); status != Status::kOk) return status;
  backwards(shape, [&](int64_t first, int64_t last) { variant.forward(shape, args, first, last); });
  return Status::kOk;
}

Status norm_act_gradient_sums(const Device& device, const NormActShape& shape, const NormActGradientSums& args, Stream) {
  NormActVariant variant{};
  if (const Status status = check(device, shape, args.dy && args.x && args.scale && args.shift && args.workspace, &variant); status != Status::kOk) return status;
  if (args.sums == nullptr) return Status::kNullPointer;
  if (args.y != nullptr && mask_needs_z(shape)) return Status::kBadValue;
  sum_up(shape, args.workspace, args.sums, [&](int64_t first, int64_t last, int64_t begin, int64_t end, double* to) {
    variant.gradient_sums(shape, args, first, last, begin, end, to);
  });
  return Status::kOk;
}

Status norm_act_backward(const Device& device, const NormActShape& shape, const NormActBackward& args, Stream) {
  NormActVariant variant{};
  if (const Status status = check(device, shape, args.dy && args.x && args.scale && args.shift && args.dx, &variant); status != Status::kOk) return status;
  if ((args.mean == nullptr) != (args.slope == nullptr) || (args.mean == nullptr) != (args.offset == nullptr)) return Status::kNullPointer;
  backwards(shape, [&](int64_t first, int64_t last) { variant.backward(shape, args, first, last); });
  return Status::kOk;
}

}  // namespace fettle::kernels
