#include "kernels/byte_conv/byte_conv.h"

#include <omp.h>

#include <algorithm>

#include "kernels/byte_conv/byte_conv_rows.h"
#include "kernels/byte_conv/byte_conv_variants.h"
#include "kernels/cuda_module/cuda_table.h"

namespace fettle::kernels {
namespace {

bool is_float(DType type) { return type == DType::kF32 || type == DType::kBF16; }

Status check(const ByteConvShape& s) {
  if (s.files < 0 || s.kernel < 1 || s.kernel > kByteConvMaxKernel || s.stride < 1 || s.width < 1 || s.num_threads < 0) return Status::kBadSize;
  if (s.stride > int64_t{1} << 40) return Status::kBadSize;  // sums of strides stay within 64 bits
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

// The table's rows by tap; read in the table's own order.
void pack_table(const ByteConvShape& s, const float* table, int64_t column, int64_t columns, float* packed) {
  for (int64_t value = 0; value < 256; ++value) {
    for (int64_t j = 0; j < s.kernel; ++j) std::copy_n(table + (value * s.kernel + j) * s.width + column, columns, packed + (j * 256 + value) * columns);
  }
}

// As many parts of each cut as keep all threads busy.
int64_t num_parts(const ByteConvShape& s, int64_t most) { return std::clamp<int64_t>((num_threads(s) + num_cuts(s) - 1) / num_cuts(s), 1, std::max<int64_t>(1, most)); }

constexpr int64_t kTokensAPart = 64;  // at least

}  // namespace

int64_t byte_conv_workspace(const Device& device, const ByteConvShape& shape) {
  if (device.kind == DeviceKind::kCuda || check(shape) != Status::kOk) return 0;
  return std::max(num_threads(shape) * packed_floats(shape), ByteConvScratch(shape, num_threads(shape)).bytes / static_cast<int64_t>(sizeof(float)));
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
    pack_table(s, args.table, column, columns, packed);
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
  const ByteConvScratch scratch(s, num_threads(s));
  auto* const workspace = reinterpret_cast<char*>(args.workspace);
  auto* const order = reinterpret_cast<uint16_t*>(workspace + scratch.order_at);
  auto* const starts = reinterpret_cast<uint16_t*>(workspace + scratch.starts_at);
  auto* const packed = reinterpret_cast<float*>(workspace + scratch.packed_at);
  const ByteConvRows rows(s, reinterpret_cast<int64_t*>(workspace));
  const int64_t runs = rows.runs(), places = scratch.places, tasks = num_cuts(s) * places;
  const auto lists_at = [&](int64_t run, int64_t place, const float* rows_of_dy) {
    const int64_t begin = rows.run_begin(run);
    return ByteConvLists{order + places * begin + place * (rows.run_end(run) - begin), starts + (run * places + place) * 257, rows_of_dy};
  };
#pragma omp parallel num_threads(num_threads(s))
  {
#pragma omp for schedule(static) nowait
    for (int64_t value = 0; value < 256; ++value) std::fill_n(args.dtable + value * s.kernel * s.width, s.kernel * s.width, 0.0F);
#pragma omp for schedule(static)
    for (int64_t task = 0; task < runs * places; ++task) {
      const ByteConvLists lists = lists_at(task / places, task % places, nullptr);
      rows.sort(task / places, task % places, const_cast<uint16_t*>(lists.order), const_cast<uint16_t*>(lists.starts));
    }
    // Every cell of the gradient belongs to one task, a cut and a place. A thread takes neighbouring ones and packs a cut once a run.
    const int64_t threads = omp_get_num_threads(), thread = omp_get_thread_num(), end = tasks * (thread + 1) / threads;
    float* const own = packed + thread * scratch.packed_rows * kByteConvColumns;
    for (int64_t task = tasks * thread / threads; task < end;) {
      const int64_t cut = task / places, next = std::min(end, (cut + 1) * places), column = cut * kByteConvColumns, columns = std::min(kByteConvColumns, s.width - column);
      for (int64_t run = 0; run < runs; ++run) {
        rows.pack(run, args, variant, column, columns, own);
        for (int64_t place = task - cut * places; place < next - cut * places; ++place) {
          for (int64_t j = place, back = 0; j < s.kernel; j += 2 * s.stride, back += 2) {
            float* const to = args.dtable + j * s.width + column;
            variant.add_lists(lists_at(run, place, own - back * kByteConvColumns), to, s.kernel - j > s.stride ? to + s.stride * s.width : nullptr, s.kernel * s.width, columns);
          }
        }
      }
      task = next;
    }
  }
  return Status::kOk;
}

}  // namespace fettle::kernels
