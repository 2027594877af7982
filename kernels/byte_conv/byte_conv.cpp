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

int64_t num_cuts(const ByteConvShape& s) { return (s.width + kByteConvColumns - 1) / kByteConvColumns; }
int64_t packed_floats(const ByteConvShape& s) { return s.kernel * 256 * kByteConvColumns; }
float* packed_of_thread(const ByteConvShape& s, float* workspace) { return workspace + omp_get_thread_num() * packed_floats(s); }

// f(where a row of taps [tap, tap_end) begins in the table, and where in the pack), in the table's order.
template <class F>
void each_row(const ByteConvShape& s, int64_t tap, int64_t tap_end, int64_t columns, const F& f) {
  for (int64_t value = 0; value < 256; ++value) {
    for (int64_t j = tap; j < tap_end; ++j) f((value * s.kernel + j) * s.width, ((j - tap) * 256 + value) * columns);
  }
}

// As many parts of each cut as keep all threads busy.
int64_t num_parts(const ByteConvShape& s, int64_t most) { return std::clamp<int64_t>((num_threads(s) + num_cuts(s) - 1) / num_cuts(s), 1, std::max<int64_t>(1, most)); }

constexpr int64_t kTokensAPart = 64;  // at least

}  // namespace

int64_t byte_conv_workspace(const Device& device, const ByteConvShape& shape) {
  return device.kind == DeviceKind::kCuda || shape.kernel < 1 ? 0 : num_threads(shape) * packed_floats(shape);
}

Status byte_conv_forward(const Device& device, const ByteConvShape& s, const ByteConvForward& args, Stream stream) {
  if (const Status status = check(s); status != Status::kOk) return status;
  if (!is_float(args.y_dtype)) return Status::kBadDType;
  const int64_t tokens = s.token_offsets[s.files];
  if (tokens == 0) return Status::kOk;
  if (args.table == nullptr || args.y == nullptr) return Status::kNullPointer;
  if (device.kind == DeviceKind::kCuda) return device.cuda == nullptr ? Status::kNoCudaModule : device.cuda->byte_conv_forward(s, args, stream);
  ByteConvVariant variant{};
  if (const Status status = variant_of_this_cpu(&variant); status != Status::kOk) return status;
  if (args.workspace == nullptr) return Status::kNullPointer;
  const int64_t parts = num_parts(s, tokens / kTokensAPart), cuts = num_cuts(s);
#pragma omp parallel for num_threads(num_threads(s)) schedule(dynamic)
  for (int64_t task = 0; task < cuts * parts; ++task) {
    const int64_t column = task / parts * kByteConvColumns, columns = std::min(kByteConvColumns, s.width - column), part = task % parts;
    float* const packed = packed_of_thread(s, args.workspace);
    each_row(s, 0, s.kernel, columns, [&](int64_t at, int64_t in_pack) { std::copy_n(args.table + at + column, columns, packed + in_pack); });
    variant.forward(s, args, packed, tokens * part / parts, tokens * (part + 1) / parts, column, columns);
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
  if (args.workspace == nullptr) return Status::kNullPointer;
  // Every cell of the gradient belongs to one task, which adds to it in the order of the tokens.
  const int64_t parts = num_parts(s, s.kernel), cuts = num_cuts(s);
#pragma omp parallel for num_threads(num_threads(s)) schedule(dynamic)
  for (int64_t task = 0; task < cuts * parts; ++task) {
    const int64_t column = task / parts * kByteConvColumns, columns = std::min(kByteConvColumns, s.width - column), part = task % parts;
    const int64_t tap = s.kernel * part / parts, tap_end = s.kernel * (part + 1) / parts;
    float* const packed = packed_of_thread(s, args.workspace);
    std::fill_n(packed, (tap_end - tap) * 256 * columns, 0.0F);
    variant.backward(s, args, packed, tap, tap_end, column, columns);
    each_row(s, tap, tap_end, columns, [&](int64_t at, int64_t in_pack) { std::copy_n(packed + in_pack, columns, args.dtable + at + column); });
  }
  return Status::kOk;
}

}  // namespace fettle::kernels
