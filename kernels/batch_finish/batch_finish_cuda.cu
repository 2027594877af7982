#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "kernels/batch_finish/batch_finish_cuda.h"
#include "kernels/cuda_module/cuda_check.h"

namespace fettle::kernels {
namespace {

constexpr int kThreads = 256;
constexpr unsigned kMaxGridY = 65535;

struct Shape {
  const uint8_t* in;
  const uint8_t* flip;
  int64_t batch;
  unsigned area;   // H * W; with the channels below 2^31
  unsigned width;
  int channels;
};

// No fused multiply-add: the bits must be the CPU's.
__device__ float finish(uint8_t in, float scale, float bias) { return __fadd_rn(__fmul_rn(static_cast<float>(in), scale), bias); }
__device__ void store(float* out, float value) { *out = value; }
__device__ void store(__nv_bfloat16* out, float value) { *out = __float2bfloat16_rn(value); }

__device__ unsigned source_pixel(unsigned pixel, unsigned width, bool mirror) {
  if (!mirror) return pixel;
  const unsigned x = pixel % width;
  return pixel - x + (width - 1 - x);
}

// Neighbouring threads write neighbouring values: a thread takes a pixel and its planes (kPlanar), or one value of the
// channels-last row. blockIdx.y walks over images. kChannels 0: any number.
template <class Out, int kChannels, bool kPlanar>
__global__ void finish_kernel(Shape shape, ScaleBias affine, Out* out) {
  const unsigned channels = kChannels == 0 ? static_cast<unsigned>(shape.channels) : kChannels;
  const unsigned items = kPlanar ? shape.area : shape.area * channels;
  for (int64_t image = blockIdx.y; image < shape.batch; image += gridDim.y) {
    const bool mirror = shape.flip != nullptr && shape.flip[image] != 0;
    const int64_t offset = image * shape.area * channels;
    const uint8_t* in = shape.in + offset;
    Out* to = out + offset;
    // 64 bits: the last step may pass 2^32.
    for (uint64_t i = static_cast<uint64_t>(blockIdx.x) * kThreads + threadIdx.x; i < items; i += static_cast<uint64_t>(gridDim.x) * kThreads) {
      const auto item = static_cast<unsigned>(i);
      if (kPlanar) {
        const uint8_t* pixel = in + static_cast<int64_t>(source_pixel(item, shape.width, mirror)) * channels;
        for (unsigned c = 0; c < channels; ++c) {
          store(to + static_cast<int64_t>(c) * shape.area + item, finish(pixel[c], affine.scale[c], affine.bias[c]));
        }
      } else {
        const unsigned c = item % channels;
        const unsigned from = mirror ? source_pixel(item / channels, shape.width, true) * channels + c : item;
        store(to + item, finish(in[from], affine.scale[c], affine.bias[c]));
      }
    }
  }
}

template <class Out>
cudaError_t launch(const BatchFinishArgs& args, const ScaleBias& affine, cudaStream_t stream) {
  const Shape shape{args.in, args.flip, args.batch, static_cast<unsigned>(args.height * args.width), static_cast<unsigned>(args.width), args.channels};
  const bool planar = args.out_layout == ImageLayout::kNchw;
  const int64_t items = planar ? shape.area : static_cast<int64_t>(shape.area) * args.channels;
  const auto blocks = static_cast<unsigned>((items + kThreads - 1) / kThreads);
  const dim3 grid(blocks, static_cast<unsigned>(args.batch < kMaxGridY ? args.batch : kMaxGridY));
  auto* out = static_cast<Out*>(args.out);
  if (args.channels == 1) {
    finish_kernel<Out, 1, true><<<grid, kThreads, 0, stream>>>(shape, affine, out);
  } else if (args.channels == 3 && planar) {
    finish_kernel<Out, 3, true><<<grid, kThreads, 0, stream>>>(shape, affine, out);
  } else if (args.channels == 3) {
    finish_kernel<Out, 3, false><<<grid, kThreads, 0, stream>>>(shape, affine, out);
  } else if (planar) {
    finish_kernel<Out, 0, true><<<grid, kThreads, 0, stream>>>(shape, affine, out);
  } else {
    finish_kernel<Out, 0, false><<<grid, kThreads, 0, stream>>>(shape, affine, out);
  }
  return cudaGetLastError();
}

}  // namespace

Status batch_finish_cuda(const BatchFinishArgs& args, const ScaleBias& affine, Stream stream) {
  if (args.batch == 0 || args.height == 0 || args.width == 0) return Status::kOk;
  auto* cuda_stream = static_cast<cudaStream_t>(stream.handle);
  return check(args.out_dtype == DType::kF32 ? launch<float>(args, affine, cuda_stream) : launch<__nv_bfloat16>(args, affine, cuda_stream));
}

}  // namespace fettle::kernels
