#include "kernels/byte_conv/byte_conv.h"

#include <omp.h>

#include <algorithm>

#include "kernels/byte_conv/byte_conv_variants.h"
#include "kernels/cuda_module/cuda_table.h"

namespace fettle::kernels {
namespace {

bool is_float(DType type) { return type == DType::kF32 || type == DType::kBF16; }

Status check(const ByteConvShape& s) {
  if (s.files < 0 || s.kernel < 1 || s.stride < 1 || s.width < 1 || s.num_threads < 0) return Status::kBadSize;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(s.kernel, 256 * 4, &bytes) || __builtin_mul_overflow(bytes, s.width, &bytes)) return Status::kBadSize;
  if (s.byte_offsets == nullptr || s.token_offsets == nullptr) return Status::kNullPointer;
  if (s.byte_offsets[0] != 0 || s.token_offsets[0] != 0) return Status::kBadSize;
  for (int64_t file = 0; file < s.files; ++file) {
    if (s.byte_offsets[file + 1] < s.byte_offsets[file] || s.token_offsets[file + 1] < s.token_offsets[file]) return Status::kBadSize;
  }
  const int64_t tokens = s.token_offsets[s.files];
  if (tokens > 0 && (__builtin_mul_overflow(tokens, 4 * s.width, &bytes) || __builtin_mul_overflow(tokens, s.stride, &bytes))) return Status::kBadSize;
  return s.byte_offsets[s.files] > 0 && s.bytes == nullptr ? Status::kNullPointer : Status::kOk;
}

Status variant_of_this_cpu(ByteConvVariant* variant) {
  Isa isa{};
  if (const Status status = active_isa(&isa); status != Status::kOk) return status;
  *variant = isa == Isa::kAvx512 ? byte_conv_avx512() : isa == Isa::kAvx2 ? byte_conv_avx2() : byte_conv_baseline();
  return Status::kOk;
}

int num_threads(const ByteConvShape& s) { return s.num_threads > 0 ? s.num_threads : omp_get_max_threads(); }

constexpr int64_t kTokensATask = 64;

}  // namespace

Status byte_conv_forward(const Device& device, const ByteConvShape& s, const ByteConvForward& args, Stream stream) {
  if (const Status status = check(s); status != Status::kOk) return status;
  if (!is_float(args.table_dtype) || !is_float(args.y_dtype)) return Status::kBadDType;
  const int64_t tokens = s.token_offsets[s.files];
  if (tokens == 0) return Status::kOk;
  if (args.table == nullptr || args.y == nullptr) return Status::kNullPointer;
  if (device.kind == DeviceKind::kCuda) return device.cuda == nullptr ? Status::kNoCudaModule : device.cuda->byte_conv_forward(s, args, stream);
  ByteConvVariant variant{};
  if (const Status status = variant_of_this_cpu(&variant); status != Status::kOk) return status;
  // Each thread goes through all its tokens for a cut of the width, whose rows stay in its cache.
  const int64_t threads = std::clamp<int64_t>(tokens / kTokensATask, 1, num_threads(s));
#pragma omp parallel num_threads(static_cast<int>(threads))
  {
    const int64_t thread = omp_get_thread_num(), all = omp_get_num_threads();
    const int64_t first = tokens * thread / all, last = tokens * (thread + 1) / all;
    for (int64_t column = 0; column < s.width; column += kByteConvColumns) {
      variant.forward(s, args, first, last, column, std::min(kByteConvColumns, s.width - column));
    }
  }
  return Status::kOk;
}

Status byte_conv_backward(const Device& device, const ByteConvShape& s, const ByteConvBackward& args, Stream stream) {
  if (const Status status = check(s); status != Status::kOk) return status;
  if (!is_float(args.dy_dtype)) return Status::kBadDType;
  if (args.dtable == nullptr || (s.token_offsets[s.files] > 0 && args.dy == nullptr)) return Status::kNullPointer;
  if (device.kind == DeviceKind::kCuda) return device.cuda == nullptr ? Status::kNoCudaModule : device.cuda->byte_conv_backward(s, args, stream);
  ByteConvVariant variant{};
  if (const Status status = variant_of_this_cpu(&variant); status != Status::kOk) return status;
  // Every cell of the gradient belongs to one task, which adds to it in the order of the tokens.
  const int64_t cuts = (s.width + kByteConvColumns - 1) / kByteConvColumns;
  const int64_t parts = s.token_offsets[s.files] == 0 ? 1 : std::clamp<int64_t>((num_threads(s) + cuts - 1) / cuts, 1, s.kernel);
#pragma omp parallel for num_threads(num_threads(s)) schedule(dynamic)
  for (int64_t task = 0; task < cuts * parts; ++task) {
    const int64_t column = task / parts * kByteConvColumns, part = task % parts;
    variant.backward(s, args, s.kernel * part / parts, s.kernel * (part + 1) / parts, column, std::min(kByteConvColumns, s.width - column));
  }
  return Status::kOk;
}

}  // namespace fettle::kernels
