// WebP by libwebp; the container, of which only the chunks are walked, by libwebpdemux.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

std::string_view reason_of(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY: return "not enough memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "an unsupported feature";
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: return "the file ends early";
    default: return "a broken bitstream";
  }
}

void require(VP8StatusCode status, const ImageFile& file) {
  FT_REQUIRE(status == VP8_STATUS_OK, "{} is damaged or no valid WebP: {}", file.name, reason_of(status));
}

WebPBitstreamFeatures features_of(std::span<const uint8_t> bytes, const ImageFile& file) {
  WebPBitstreamFeatures features;
  require(WebPGetFeatures(bytes.data(), bytes.size(), &features), file);
  return features;
}

using Demuxer = std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)>;

Demuxer demux(const ImageFile& file) {
  const WebPData data{file.bytes.data(), file.bytes.size()};
  Demuxer demuxer(WebPDemux(&data), &WebPDemuxDelete);
  FT_REQUIRE(demuxer != nullptr, "{} is damaged or no valid WebP: its chunks are incomplete or do not fit together", file.name);
  return demuxer;
}

// Decodes one bitstream of height x width pixels to where `to` points, in rows of `stride` bytes.
void decode_frame(std::span<const uint8_t> bytes, int64_t height, int64_t width, uint8_t* to, int64_t stride, const ImageFile& file) {
  WebPDecoderConfig config;
  FT_CHECK(WebPInitDecoderConfig(&config) != 0, "libwebp is of another version than its header");
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = to;
  config.output.u.RGBA.stride = static_cast<int>(stride);
  config.output.u.RGBA.size = static_cast<size_t>((height - 1) * stride + width * 3);
  const WebPBitstreamFeatures features = features_of(bytes, file);
  FT_REQUIRE(features.height == height && features.width == width, "{} is no valid WebP: a frame of {} x {} pixels holds one of {} x {}", file.name,
             height, width, features.height, features.width);
  const VP8StatusCode status = WebPDecode(bytes.data(), bytes.size(), &config);
  WebPFreeDecBuffer(&config.output);
  require(status, file);
}

}  // namespace

ImageInfo read_webp_header(const ImageFile& file) {
  const WebPBitstreamFeatures features = features_of(file.bytes, file);
  require_size(file, "WebP", features.height, features.width);
  ImageInfo info{ImageFormat::kWebp, features.height, features.width, 1};
  const Demuxer demuxer = demux(file);
  if ((WebPDemuxGetI(demuxer.get(), WEBP_FF_FORMAT_FLAGS) & EXIF_FLAG) != 0) {
    WebPChunkIterator chunk;
    if (WebPDemuxGetChunk(demuxer.get(), "EXIF", 1, &chunk) != 0) {
      std::span<const uint8_t> exif(chunk.chunk.bytes, chunk.chunk.size);
      constexpr std::string_view kPrefix("Exif\0\0", 6);  // some writers keep what belongs into a JPEG's segment
      if (exif.size() > kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), exif.begin())) exif = exif.subspan(kPrefix.size());
      info.orientation = exif_orientation(exif);
    }
    WebPDemuxReleaseChunkIterator(&chunk);
  }
  return info;
}

void decode_webp(const ImageFile& file, Image& image) {
  const WebPBitstreamFeatures features = features_of(file.bytes, file);
  set_size(image, features.height, features.width);
  const int64_t stride = image.width * 3;
  if (features.has_animation == 0) return decode_frame(file.bytes, image.height, image.width, image.pixels.data(), stride, file);

  const Demuxer demuxer = demux(file);
  WebPIterator frame;
  FT_REQUIRE(WebPDemuxGetFrame(demuxer.get(), 1, &frame) != 0, "{} is no valid WebP: an animation without frames", file.name);
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(&frame, &WebPDemuxReleaseIterator);
  FT_REQUIRE(frame.width > 0 && frame.height > 0 && frame.x_offset >= 0 && frame.y_offset >= 0 && frame.width <= image.width - frame.x_offset &&
                 frame.height <= image.height - frame.y_offset,
             "{} is no valid WebP: its first frame leaves the canvas", file.name);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{0});  // what the frame leaves uncovered is transparent black
  decode_frame({frame.fragment.bytes, frame.fragment.size}, frame.height, frame.width,
               image.pixels.data() + frame.y_offset * stride + int64_t{frame.x_offset} * 3, stride, file);
}

}  // namespace fettle
