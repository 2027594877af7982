#include "tests/support/image_files.h"

#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>
#include <png.h>
#include <tiffio.h>
#include <webp/encode.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "tests/support/expect_error.h"

namespace fettle::test {

std::span<const uint8_t> as_bytes(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

Image decode(std::string_view file, const DecodeOptions& options) { return decode_image(as_bytes(file), "'f'", options); }

void refused(const std::string& part, std::string_view file) {
  INFO(part);
  expect_error(ExitCode::kInput, "'f' ", [&] { decode(file); });
  expect_error(ExitCode::kInput, part, [&] { decode(file); });
}

std::string little_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(i < 8 ? value >> 8 * i & 255 : 0));
  return out;
}

std::string big_endian(uint64_t value, int bytes) {
  std::string out = little_endian(value, bytes);
  std::reverse(out.begin(), out.end());
  return out;
}

Image test_picture(int64_t height, int64_t width, uint32_t seed) {
  Image image{height, width, {}};
  uint32_t state = seed;
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        state = state * 1664525 + 1013904223;
        const double wave = 60 * std::sin(0.11 * static_cast<double>(x) + c + seed) + 50 * std::cos(0.07 * static_cast<double>(y) - 2 * c);
        const int edge = (x / 13 + y / 17) % 3 == c ? 40 : 0;
        const int level = 108 + static_cast<int>(wave) + edge + static_cast<int>(state >> 27) - 16;
        image.pixels.push_back(static_cast<uint8_t>(std::clamp(level, 0, 255)));
      }
    }
  }
  return image;
}

std::string exif(int orientation, bool little) {
  const auto number = [little](uint64_t value, int bytes) { return little ? little_endian(value, bytes) : big_endian(value, bytes); };
  return (little ? "II" : "MM") + number(42, 2) + number(8, 4) + number(1, 2) + number(0x0112, 2) + number(3, 2) + number(1, 4) +
         number(static_cast<uint64_t>(orientation), 2) + number(0, 2) + number(0, 4);
}

// ---- JPEG ------------------------------------------------------------------------------------------------------------

std::string encode_jpeg(const Image& image, const JpegOptions& options) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);  // a wrong option ends the test program
  jpeg_create_compress(&jpeg);
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&jpeg, &memory, &size);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.input_components = options.grey ? 1 : options.inks ? 4 : 3;
  jpeg.in_color_space = options.grey ? JCS_GRAYSCALE : options.inks ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  if (options.keep_rgb) jpeg_set_colorspace(&jpeg, JCS_RGB);
  if (options.inks) jpeg_set_colorspace(&jpeg, options.ycck ? JCS_YCCK : JCS_CMYK);
  jpeg_set_quality(&jpeg, options.quality, TRUE);
  jpeg.comp_info[0].h_samp_factor = options.grey ? 1 : options.horizontal;
  jpeg.comp_info[0].v_samp_factor = options.grey ? 1 : options.vertical;
  if (options.ycck) {
    jpeg.comp_info[3].h_samp_factor = options.horizontal;
    jpeg.comp_info[3].v_samp_factor = options.vertical;
  }
  jpeg.restart_interval = options.restart_interval;
  jpeg.arith_code = options.arithmetic ? TRUE : FALSE;
  if (options.progressive) jpeg_simple_progression(&jpeg);
  std::vector<jpeg_scan_info> scans;
  if (options.one_scan_each) {
    for (int c = 0; c < jpeg.num_components; ++c) scans.push_back({1, {c, 0, 0, 0}, 0, 63, 0, 0});
  }
  if (options.coarse) scans.push_back({jpeg.num_components, {0, 1, 2, 3}, 0, 0, 0, 0});
  if (!scans.empty()) {
    jpeg.scan_info = scans.data();
    jpeg.num_scans = static_cast<int>(scans.size());
  }
  jpeg_start_compress(&jpeg, TRUE);
  if (options.orientation != 0) {
    const std::string data = std::string("Exif\0\0", 6) + exif(options.orientation);
    jpeg_write_marker(&jpeg, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(data.data()), static_cast<unsigned>(data.size()));
  }
  std::vector<JSAMPLE> row(static_cast<size_t>(image.width) * 4);
  for (int64_t y = 0; y < image.height; ++y) {
    const uint8_t* from = image.pixels.data() + 3 * y * image.width;
    for (int64_t x = 0; x < image.width; ++x) {
      if (options.grey) {
        row[static_cast<size_t>(x)] = from[3 * x + 1];
      } else if (options.inks) {
        // Inverted: what is stored is 255 - ink, and C = 255 - R.
        std::copy_n(from + 3 * x, 3, row.begin() + 4 * x);
        row[static_cast<size_t>(4 * x + 3)] = 255 - 64;
      } else {
        std::copy_n(from + 3 * x, 3, row.begin() + 3 * x);
      }
    }
    JSAMPROW rows[] = {row.data()};
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  std::string out(reinterpret_cast<const char*>(memory), size);
  jpeg_destroy_compress(&jpeg);
  std::free(memory);
  return out;
}

// ---- PNG -------------------------------------------------------------------------------------------------------------

std::string png_chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  return big_endian(data.size(), 4) + body + big_endian(crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())), 4);
}

std::string encode_png(int64_t height, int64_t width, const std::vector<uint16_t>& samples, const PngOptions& options) {
  const int channels = options.color_type == 2 ? 3 : options.color_type == 4 ? 2 : options.color_type == 6 ? 4 : 1;
  struct Pass {
    int64_t y, x, dy, dx;
  };
  static constexpr Pass kWhole[] = {{0, 0, 1, 1}};
  static constexpr Pass kAdam7[] = {{0, 0, 8, 8}, {0, 4, 8, 8}, {4, 0, 8, 4}, {0, 2, 4, 4}, {2, 0, 4, 2}, {0, 1, 2, 2}, {1, 0, 2, 1}};
  const std::span<const Pass> passes = options.interlaced ? std::span<const Pass>(kAdam7) : std::span<const Pass>(kWhole);
  std::string raw;
  for (const Pass& pass : passes) {
    for (int64_t y = pass.y; y < height && pass.x < width; y += pass.dy) {
      raw.push_back('\0');  // no filter
      unsigned held = 0;
      int held_bits = 0;
      for (int64_t x = pass.x; x < width; x += pass.dx) {
        for (int c = 0; c < channels; ++c) {
          const uint16_t sample = samples.at(static_cast<size_t>((y * width + x) * channels + c));
          if (options.depth == 16) raw.push_back(static_cast<char>(sample >> 8));
          held = held << (options.depth == 16 ? 8 : options.depth) | (options.depth == 16 ? sample & 255u : sample);
          held_bits += options.depth == 16 ? 8 : options.depth;
          if (held_bits == 8) raw.push_back(static_cast<char>(held)), held = 0, held_bits = 0;
        }
      }
      if (held_bits > 0) raw.push_back(static_cast<char>(held << (8 - held_bits)));
    }
  }
  uLongf packed_size = compressBound(raw.size());
  std::string packed(packed_size, '\0');
  compress(reinterpret_cast<Bytef*>(packed.data()), &packed_size, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  packed.resize(packed_size);
  std::string file = "\x89PNG\r\n\x1a\n";
  file += png_chunk("IHDR", big_endian(static_cast<uint64_t>(width), 4) + big_endian(static_cast<uint64_t>(height), 4) + static_cast<char>(options.depth) +
                                static_cast<char>(options.color_type) + std::string(2, '\0') + static_cast<char>(options.interlaced ? 1 : 0));
  if (options.orientation != 0) file += png_chunk("eXIf", exif(options.orientation, false));
  if (!options.palette.empty()) file += png_chunk("PLTE", options.palette);
  if (!options.transparency.empty()) file += png_chunk("tRNS", options.transparency);
  return file + png_chunk("IDAT", packed) + png_chunk("IEND", "");
}

// ---- TIFF ------------------------------------------------------------------------------------------------------------

namespace {

struct Sink {
  std::string bytes;
  size_t at = 0;
};

std::string pack(const std::vector<uint16_t>& samples, int bits) {  // one row
  std::string out;
  unsigned held = 0;
  int held_bits = 0;
  for (const uint16_t sample : samples) {
    if (bits == 16) {
      char two[2];
      std::memcpy(two, &sample, 2);
      out.append(two, 2);
      continue;
    }
    held = held << bits | sample;
    held_bits += bits;
    if (held_bits == 8) out.push_back(static_cast<char>(held)), held = 0, held_bits = 0;
  }
  if (held_bits > 0) out.push_back(static_cast<char>(held << (8 - held_bits)));
  return out;
}

}  // namespace

std::string encode_tiff(int64_t height, int64_t width, const std::vector<uint16_t>& samples, const TiffOptions& options) {
  TIFFSetWarningHandler(nullptr);  // of deprecated methods, which a reader must know
  Sink sink;
  TIFF* tiff = TIFFClientOpen(
      "t", options.big_endian ? "wb" : "wl", &sink,
      [](thandle_t handle, void* to, tmsize_t size) -> tmsize_t {
        Sink& s = *static_cast<Sink*>(handle);
        const size_t count = std::min(static_cast<size_t>(size), s.bytes.size() - std::min(s.at, s.bytes.size()));
        std::memcpy(to, s.bytes.data() + s.at, count);
        s.at += count;
        return static_cast<tmsize_t>(count);
      },
      [](thandle_t handle, void* from, tmsize_t size) -> tmsize_t {
        Sink& s = *static_cast<Sink*>(handle);
        s.bytes.resize(std::max(s.bytes.size(), s.at + static_cast<size_t>(size)));
        std::memcpy(s.bytes.data() + s.at, from, static_cast<size_t>(size));
        s.at += static_cast<size_t>(size);
        return size;
      },
      [](thandle_t handle, toff_t offset, int whence) -> toff_t {
        Sink& s = *static_cast<Sink*>(handle);
        s.at = static_cast<size_t>(offset) + (whence == SEEK_CUR ? s.at : whence == SEEK_END ? s.bytes.size() : 0);
        return s.at;
      },
      [](thandle_t) { return 0; }, [](thandle_t handle) -> toff_t { return static_cast<Sink*>(handle)->bytes.size(); }, nullptr, nullptr);
  if (tiff == nullptr) throw std::runtime_error("libtiff does not start");
  TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, static_cast<uint32_t>(width));
  TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, static_cast<uint32_t>(height));
  TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, options.bits);
  TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, options.samples);
  TIFFSetField(tiff, TIFFTAG_COMPRESSION, options.compression);
  TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, options.photometric);
  TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, options.planes);
  if (options.predictor != 1) TIFFSetField(tiff, TIFFTAG_PREDICTOR, options.predictor);
  if (options.orientation != 0) TIFFSetField(tiff, TIFFTAG_ORIENTATION, options.orientation);
  if (options.photometric == PHOTOMETRIC_YCBCR) TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  const size_t num_colors = size_t{1} << options.bits;
  std::vector<uint16_t> colors = options.colors;
  if (!colors.empty()) TIFFSetField(tiff, TIFFTAG_COLORMAP, colors.data(), colors.data() + num_colors, colors.data() + 2 * num_colors);
  const int64_t block_height = options.tile != 0 ? options.tile : options.strip_rows, block_width = options.tile != 0 ? options.tile : width;
  if (options.tile != 0) {
    TIFFSetField(tiff, TIFFTAG_TILELENGTH, static_cast<uint32_t>(options.tile));
    TIFFSetField(tiff, TIFFTAG_TILEWIDTH, static_cast<uint32_t>(options.tile));
  } else {
    TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, static_cast<uint32_t>(options.strip_rows));
  }
  const int num_planes = options.planes == 2 ? options.samples : 1, per_plane = options.planes == 2 ? 1 : options.samples;
  uint32_t block = 0;
  for (int plane = 0; plane < num_planes; ++plane) {
    for (int64_t top = 0; top < height; top += block_height) {
      for (int64_t left = 0; left < width; left += block_width, ++block) {
        std::string bytes;
        const int64_t bottom = options.tile != 0 ? top + block_height : std::min(height, top + block_height);
        for (int64_t y = top; y < bottom; ++y) {
          std::vector<uint16_t> row;
          for (int64_t x = left; x < left + block_width; ++x) {
            for (int c = 0; c < per_plane; ++c) {
              const int64_t at = (std::min(y, height - 1) * width + std::min(x, width - 1)) * options.samples + plane + c;
              row.push_back(samples.at(static_cast<size_t>(at)));
            }
          }
          bytes += pack(row, options.bits);
        }
        const auto size = static_cast<tmsize_t>(bytes.size());
        const tmsize_t wrote = options.tile != 0 ? TIFFWriteEncodedTile(tiff, block, bytes.data(), size) : TIFFWriteEncodedStrip(tiff, block, bytes.data(), size);
        if (wrote != size) throw std::runtime_error("libtiff does not write");
      }
    }
  }
  TIFFClose(tiff);
  return sink.bytes;
}

// ---- WebP ------------------------------------------------------------------------------------------------------------

std::string encode_webp(const Image& image, float quality) {
  uint8_t* memory = nullptr;
  const int height = static_cast<int>(image.height), width = static_cast<int>(image.width);
  const size_t size = quality == 0 ? WebPEncodeLosslessRGB(image.pixels.data(), width, height, 3 * width, &memory)
                                   : WebPEncodeRGB(image.pixels.data(), width, height, 3 * width, quality, &memory);
  std::string out(reinterpret_cast<const char*>(memory), size);
  WebPFree(memory);
  return out;
}

std::string riff_chunk(std::string_view type, std::string_view data) {
  return std::string(type) + little_endian(data.size(), 4) + std::string(data) + std::string(data.size() % 2, '\0');
}

std::string webp_file(std::string_view chunks) { return "RIFF" + little_endian(chunks.size() + 4, 4) + "WEBP" + std::string(chunks); }

std::vector<uint16_t> samples_of(const Image& image) { return {image.pixels.begin(), image.pixels.end()}; }

}  // namespace fettle::test
