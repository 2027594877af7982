#include "decode/image.h"

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

using Bytes = std::span<const uint8_t>;

bool begins_with(Bytes bytes, std::string_view magic, size_t offset = 0) {
  return bytes.size() >= offset + magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin() + static_cast<std::ptrdiff_t>(offset), [](char c, uint8_t byte) { return static_cast<uint8_t>(c) == byte; });
}

ImageFormat find_format(Bytes bytes, std::string_view name) {
  FT_REQUIRE(!bytes.empty(), "{} is empty, expected an image", name);
  if (begins_with(bytes, "\xff\xd8\xff")) return ImageFormat::kJpeg;
  if (begins_with(bytes, "\x89PNG\r\n\x1a\n")) return ImageFormat::kPng;
  if (begins_with(bytes, "RIFF") && begins_with(bytes, "WEBP", 8)) return ImageFormat::kWebp;
  for (const std::string_view magic : {std::string_view("II*\0", 4), std::string_view("MM\0*", 4), std::string_view("II+\0", 4), std::string_view("MM\0+", 4)}) {
    if (begins_with(bytes, magic)) return ImageFormat::kTiff;
  }
  if (begins_with(bytes, "BM")) return ImageFormat::kBmp;
  if (begins_with(bytes, "GIF87a") || begins_with(bytes, "GIF89a")) return ImageFormat::kGif;
  if (bytes.size() >= 3 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' && (bytes[2] == '#' || bytes[2] <= ' ')) return ImageFormat::kPnm;
  if (is_tga(bytes)) return ImageFormat::kTga;
  std::string first;
  for (const uint8_t byte : bytes.first(std::min<size_t>(bytes.size(), 4))) first += fmt::format(" {:02x}", byte);
  FT_FAIL(ExitCode::kInput, "{} is no image that can be read: it begins with{}, expected JPEG, PNG, WebP, TIFF, BMP, GIF, PNM or TGA", name, first);
}

ImageInfo read_header(ImageFormat format, const ImageFile& file, JpegReader& jpeg) {
  switch (format) {
    case ImageFormat::kJpeg: return jpeg.open(file);
    case ImageFormat::kPng: return read_png_header(file);
    case ImageFormat::kWebp: return read_webp_header(file);
    case ImageFormat::kTiff: return read_tiff_header(file);
    case ImageFormat::kPnm: return read_pnm_header(file);
    case ImageFormat::kBmp: return read_bmp_header(file);
    case ImageFormat::kGif: return read_gif_header(file);
    case ImageFormat::kTga: return read_tga_header(file);
  }
  FT_CHECK(false, "format {}", static_cast<int>(format));
}

}  // namespace

std::string_view image_format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg: return "JPEG";
    case ImageFormat::kPng: return "PNG";
    case ImageFormat::kWebp: return "WebP";
    case ImageFormat::kTiff: return "TIFF";
    case ImageFormat::kBmp: return "BMP";
    case ImageFormat::kGif: return "GIF";
    case ImageFormat::kPnm: return "PNM";
    case ImageFormat::kTga: return "TGA";
  }
  FT_CHECK(false, "format {}", static_cast<int>(format));
}

// ---- shared by the readers -------------------------------------------------------------------------------------------

void require_size(const ImageFile& file, std::string_view format, int64_t height, int64_t width) {
  FT_REQUIRE(height > 0 && width > 0, "{} is no valid {}: its header claims {} x {} pixels (height x width)", file.name, format, height, width);
  FT_REQUIRE(height <= file.max_pixels / width, "{} claims {} x {} pixels (height x width), more than the {} allowed", file.name, height, width, file.max_pixels);
}

void require_bytes(const ImageFile& file, std::string_view format, double needed, double max_expansion) {
  FT_REQUIRE(needed <= max_expansion * static_cast<double>(file.bytes.size()),
             "{} is truncated or no valid {}: its {} bytes cannot hold the pixels that its header claims", file.name, format, file.bytes.size());
}

void set_size(Image& image, int64_t height, int64_t width) {
  image.height = height;
  image.width = width;
  image.pixels.resize(static_cast<size_t>(height * width * 3));
}

int exif_orientation(Bytes exif) {
  if (exif.size() < 8) return 1;
  const bool little = exif[0] == 'I';
  if (exif[1] != exif[0] || (!little && exif[0] != 'M')) return 1;
  const auto number = [&](size_t offset, size_t size) {
    size_t value = 0;
    for (size_t i = 0; i < size; ++i) value |= size_t{exif[offset + i]} << 8 * (little ? i : size - 1 - i);
    return value;
  };
  const size_t directory = number(4, 4);
  if (number(2, 2) != 42 || directory > exif.size() - 2) return 1;
  const size_t entries = std::min(number(directory, 2), (exif.size() - directory - 2) / 12);
  for (size_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    constexpr size_t kOrientation = 0x0112, kShort = 3;
    if (number(entry, 2) != kOrientation) continue;
    const size_t value = number(entry + 8, 2);
    return number(entry + 2, 2) == kShort && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

// ---- ImageDecoder ----------------------------------------------------------------------------------------------------

struct ImageDecoder::State {
  DecodeOptions options;
  std::string name;
  ImageFile file;
  ImageInfo info;
  bool opened = false;
  bool jpeg_is_at_pixels = false;  // its header was read and nothing more
  JpegReader jpeg;

  void bring_jpeg_to_pixels() {
    if (!jpeg_is_at_pixels) jpeg.open(file);
    jpeg_is_at_pixels = true;
  }
  // The pixels can be read once.
  void begin_jpeg_pixels() {
    bring_jpeg_to_pixels();
    jpeg_is_at_pixels = false;
  }
};

ImageDecoder::ImageDecoder(DecodeOptions options) : state_(std::make_unique<State>()) {
  FT_REQUIRE_USAGE(options.max_pixels > 0, "max_pixels is {}, expected at least 1", options.max_pixels);
  state_->options = options;
}
ImageDecoder::~ImageDecoder() = default;
ImageDecoder::ImageDecoder(ImageDecoder&&) noexcept = default;
ImageDecoder& ImageDecoder::operator=(ImageDecoder&&) noexcept = default;

ImageInfo ImageDecoder::open(Bytes bytes, std::string_view name) {
  State& s = *state_;
  s.opened = false;
  s.name = name;
  s.file = {bytes, s.name, s.options.max_pixels};
  s.info = read_header(find_format(bytes, s.name), s.file, s.jpeg);
  s.opened = true;
  s.jpeg_is_at_pixels = s.info.format == ImageFormat::kJpeg;
  return s.info;
}

void ImageDecoder::decode(Image& image) {
  State& s = *state_;
  FT_CHECK(s.opened, "no image is open");
  switch (s.info.format) {
    case ImageFormat::kJpeg:
      s.begin_jpeg_pixels();
      return s.jpeg.decode(image);
    case ImageFormat::kPng: return decode_png(s.file, image);
    case ImageFormat::kWebp: return decode_webp(s.file, image);
    case ImageFormat::kTiff: return decode_tiff(s.file, image);
    case ImageFormat::kPnm: return decode_pnm(s.file, image);
    case ImageFormat::kBmp: return decode_bmp(s.file, image);
    case ImageFormat::kGif: return decode_gif(s.file, image);
    case ImageFormat::kTga: return decode_tga(s.file, image);
  }
}

int64_t ImageDecoder::denominator(int64_t height, int64_t width, int64_t target_height, int64_t target_width) {
  State& s = *state_;
  FT_CHECK(s.opened, "no image is open");
  FT_CHECK(height > 0 && width > 0 && target_height > 0 && target_width > 0, "{} x {} for a target of {} x {}", height, width, target_height, target_width);
  if (s.info.format != ImageFormat::kJpeg) return 1;
  s.bring_jpeg_to_pixels();
  return s.jpeg.denominator(height, width, target_height, target_width);
}

PlacedBox ImageDecoder::decode_box(const Box& box, int64_t denominator, Image& image) {
  State& s = *state_;
  FT_CHECK(s.opened, "no image is open");
  FT_CHECK(box.height > 0 && box.width > 0 && box.top >= 0 && box.left >= 0 && box.height <= s.info.height - box.top && box.width <= s.info.width - box.left,
           "a box of {} x {} at {}, {} in an image of {} x {}", box.height, box.width, box.top, box.left, s.info.height, s.info.width);
  const bool jpeg = s.info.format == ImageFormat::kJpeg;
  FT_CHECK(denominator == 1 || (jpeg && (denominator == 2 || denominator == 4 || denominator == 8)), "denominator {}", denominator);
  if (jpeg) {
    s.begin_jpeg_pixels();
    return s.jpeg.decode_box(box, denominator, image);
  }
  decode(image);
  return {static_cast<double>(box.top), static_cast<double>(box.left), static_cast<double>(box.height), static_cast<double>(box.width)};
}

// ---- whole images ----------------------------------------------------------------------------------------------------

void apply_orientation(Image& image, int orientation) {
  FT_CHECK(orientation >= 1 && orientation <= 8, "orientation {}", orientation);
  if (orientation == 1) return;
  const bool transpose = orientation >= 5;
  const bool mirror_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;  // of the stored picture
  const bool mirror_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image upright;
  set_size(upright, transpose ? image.width : image.height, transpose ? image.height : image.width);
  uint8_t* to = upright.pixels.data();
  for (int64_t y = 0; y < upright.height; ++y) {
    for (int64_t x = 0; x < upright.width; ++x, to += 3) {
      int64_t row = transpose ? x : y, column = transpose ? y : x;
      if (mirror_rows) row = image.height - 1 - row;
      if (mirror_columns) column = image.width - 1 - column;
      std::copy_n(image.pixels.data() + 3 * (row * image.width + column), 3, to);
    }
  }
  image = std::move(upright);
}

Image decode_image(Bytes bytes, std::string_view name, const DecodeOptions& options) {
  ImageDecoder decoder(options);
  decoder.open(bytes, name);
  Image image;
  decoder.decode(image);
  return image;
}

}  // namespace fettle
