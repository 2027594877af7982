#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/byte_conv/byte_conv_cuda.h"
#include "kernels/cuda_module/cuda_check.h"

namespace fettle::kernels {
namespace {

constexpr int kValues = 256;  // of a byte
constexpr int kWarp = 32;
constexpr int kTokensABlock = 8;
constexpr int64_t kMaxBlocks = 1 << 20;

// One file: its bytes, tokens, and first row of y or dy.
struct File {
  const uint8_t* bytes;
  int64_t length, tokens, row;
  int64_t kernel, stride, width;
};

File file_of(const ByteConvShape& s, int64_t index) {
  return {s.bytes + s.byte_offsets[index],
          s.byte_offsets[index + 1] - s.byte_offsets[index],
          s.token_offsets[index + 1] - s.token_offsets[index],
          s.token_offsets[index],
          s.kernel,
          s.stride,
          s.width};
}

__device__ float to_float(float value) { return value; }
__device__ float to_float(__nv_bfloat16 value) { return __bfloat162float(value); }
__device__ void store(float* to, float value) { *to = value; }
__device__ void store(__nv_bfloat16* to, float value) { *to = __float2bfloat16_rn(value); }

// Threads of a warp take neighbouring columns, threadIdx.y a token.
template <class Y>
__global__ void sum_rows(File file, const float* table, const float* positions, Y* y) {
  for (int64_t token = static_cast<int64_t>(blockIdx.x) * kTokensABlock + threadIdx.y; token < file.tokens; token += static_cast<int64_t>(gridDim.x) * kTokensABlock) {
    const int64_t begin = token * file.stride, left = begin < file.length ? file.length - begin : 0;
    const int64_t taps = left < file.kernel ? left : file.kernel;
    for (int64_t column = threadIdx.x; column < file.width; column += kWarp) {
      float sum = 0;
      for (int64_t j = 0; j < taps; ++j) sum += table[(file.bytes[begin + j] * file.kernel + j) * file.width + column];
      if (positions != nullptr) sum += positions[token * file.width + column];
      store(y + (file.row + token) * file.width + column, sum);
    }
  }
}

// A block is a warp and owns the rows of one tap for 32 columns, a thread one of the columns: it adds in the order of the tokens.
template <class Y>
__global__ void scatter_rows(File file, const Y* dy, float* dtable) {
  __shared__ float rows[kValues][kWarp];
  const int64_t tap = blockIdx.x, column = static_cast<int64_t>(blockIdx.y) * kWarp + threadIdx.x;
  if (column >= file.width) return;
  float* const to = dtable + tap * file.width + column;
  for (int v = 0; v < kValues; ++v) rows[v][threadIdx.x] = to[v * file.kernel * file.width];
  for (int64_t token = 0; token < file.tokens && token * file.stride + tap < file.length; ++token) {
    rows[file.bytes[token * file.stride + tap]][threadIdx.x] += to_float(dy[(file.row + token) * file.width + column]);
  }
  for (int v = 0; v < kValues; ++v) to[v * file.kernel * file.width] = rows[v][threadIdx.x];
}

template <class Y>
void launch_forward(const File& file, const ByteConvForward& args, cudaStream_t stream) {
  const int64_t blocks = (file.tokens + kTokensABlock - 1) / kTokensABlock;
  sum_rows<<<static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks), dim3(kWarp, kTokensABlock), 0, stream>>>(file, args.table, args.positions, static_cast<Y*>(args.y));
}

}  // namespace

Status byte_conv_forward_cuda(const ByteConvShape& shape, const ByteConvForward& args, Stream stream) {
  auto* const on = static_cast<cudaStream_t>(stream.handle);
  for (int64_t index = 0; index < shape.files; ++index) {
    const File file = file_of(shape, index);
    if (file.tokens == 0) continue;
    args.y_dtype == DType::kF32 ? launch_forward<float>(file, args, on) : launch_forward<__nv_bfloat16>(file, args, on);
    if (const Status status = check(cudaGetLastError()); status != Status::kOk) return status;
  }
  return Status::kOk;
}

Status byte_conv_backward_cuda(const ByteConvShape& shape, const ByteConvBackward& args, Stream stream) {
  auto* const on = static_cast<cudaStream_t>(stream.handle);
  const size_t bytes = sizeof(float) * kValues * static_cast<size_t>(shape.kernel) * static_cast<size_t>(shape.width);
  if (const Status status = check(cudaMemsetAsync(args.dtable, 0, bytes, on)); status != Status::kOk) return status;
  const dim3 blocks(static_cast<unsigned>(shape.kernel), static_cast<unsigned>((shape.width + kWarp - 1) / kWarp));
  // Files follow each other on the stream, so that sums are in their order.
  for (int64_t index = 0; index < shape.files; ++index) {
    const File file = file_of(shape, index);
    if (file.tokens == 0 || file.length == 0) continue;
    if (args.dy_dtype == DType::kF32) {
      scatter_rows<<<blocks, kWarp, 0, on>>>(file, static_cast<const float*>(args.dy), args.dtable);
    } else {
      scatter_rows<<<blocks, kWarp, 0, on>>>(file, static_cast<const __nv_bfloat16*>(args.dy), args.dtable);
    }
    if (const Status status = check(cudaGetLastError()); status != Status::kOk) return status;
  }
  return Status::kOk;
}

}  // namespace fettle::kernels
