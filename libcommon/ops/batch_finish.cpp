#include "ops/batch_finish.h"

#include <c10/core/DeviceGuard.h>

#include "base/errors.h"
#include "device/kernels.h"
#include "kernels/batch_finish/batch_finish.h"

namespace fettle::ops {

at::Tensor batch_finish(const BatchFinish& settings, const at::Tensor& images, const at::Tensor& flip, at::Tensor out) {
  FT_CHECK(images.defined() && images.dim() == 4 && images.scalar_type() == at::kByte && images.is_contiguous(),
           "images must be [B, H, W, C] u8 and contiguous");
  const int64_t batch = images.size(0), height = images.size(1), width = images.size(2), channels = images.size(3);
  FT_CHECK(settings.mean.size() == static_cast<size_t>(channels) && settings.std.size() == static_cast<size_t>(channels),
           "{} channels, but {} means and {} deviations", channels, settings.mean.size(), settings.std.size());
  FT_CHECK(settings.dtype == at::kFloat || settings.dtype == at::kBFloat16, "the output is fp32 or bf16");
  FT_CHECK(settings.format == at::MemoryFormat::ChannelsLast || settings.format == at::MemoryFormat::Contiguous, "channels-last or contiguous");
  if (flip.defined()) {
    FT_CHECK(flip.dim() == 1 && flip.size(0) == batch && flip.scalar_type() == at::kByte && flip.is_contiguous() && flip.device() == images.device(),
             "flip must be [B] u8 on the images' device");
  }
  if (!out.defined()) {
    out = at::empty({batch, channels, height, width}, images.options().dtype(settings.dtype).memory_format(settings.format));
  }
  FT_CHECK(out.dim() == 4 && out.size(0) == batch && out.size(1) == channels && out.size(2) == height && out.size(3) == width &&
               out.scalar_type() == settings.dtype && out.device() == images.device() && out.is_contiguous(settings.format),
           "out must be [{}, {}, {}, {}] of the settings' dtype and memory format on the images' device", batch, channels, height, width);

  kernels::BatchFinishArgs args;
  args.in = images.const_data_ptr<uint8_t>();
  args.flip = flip.defined() ? flip.const_data_ptr<uint8_t>() : nullptr;
  args.mean = settings.mean.data();
  args.std = settings.std.data();
  args.out = out.mutable_data_ptr();
  args.batch = batch;
  args.height = height;
  args.width = width;
  args.channels = static_cast<int>(channels);
  args.out_dtype = settings.dtype == at::kFloat ? kernels::DType::kF32 : kernels::DType::kBF16;
  args.out_layout = settings.format == at::MemoryFormat::ChannelsLast ? kernels::ImageLayout::kNhwc : kernels::ImageLayout::kNchw;
  const c10::OptionalDeviceGuard guard(images.is_cuda() ? std::optional(images.device()) : std::nullopt);
  check_kernel(kernels::batch_finish(kernel_device(images.device()), args, kernel_stream(images.device())), "batch_finish");
  return out;
}

}  // namespace fettle::ops
