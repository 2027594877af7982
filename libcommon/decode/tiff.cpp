// TIFF by libtiff: its first page, read strip by strip or tile by tile. libtiff's own conversion to RGBA is not used: it premultiplies
// alpha and rounds 16 bits and CMYK differently.
#include <dlfcn.h>
#include <tiffio.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

constexpr uint16_t kMaxSamples = 8;  // four and what some writers add

struct Reader {
  std::span<const uint8_t> bytes;
  uint64_t at = 0;
  std::string error;  // the first that libtiff reported
};

Reader& reader_of(void* handle) { return *static_cast<Reader*>(handle); }

void keep_error(Reader& reader, const char* module, const char* format, va_list arguments) {
  if (!reader.error.empty()) return;
  char text[256];
  std::vsnprintf(text, sizeof text, format, arguments);
  // Some of it may come out of the file.
  std::replace_if(text, text + std::strlen(text), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  reader.error = module != nullptr && *module != '\0' ? fmt::format("{}: {}", module, text) : text;
}

int on_error(TIFF*, void* reader, const char* module, const char* format, va_list arguments) {
  keep_error(reader_of(reader), module, format, arguments);
  return 1;
}

// Unknown tags and the like are no damage; what the JPEG and the fax decoders warn of is.
int on_warning(TIFF*, void* reader, const char* module, const char* format, va_list arguments) {
  const std::string_view name = module != nullptr ? module : "";
  if (name.starts_with("JPEG") || name.starts_with("Fax")) keep_error(reader_of(reader), module, format, arguments);
  return 1;
}

tmsize_t on_read(thandle_t handle, void* to, tmsize_t size) {
  Reader& reader = reader_of(handle);
  if (size <= 0 || reader.at >= reader.bytes.size()) return 0;
  const auto count = std::min(static_cast<uint64_t>(size), reader.bytes.size() - reader.at);
  std::memcpy(to, reader.bytes.data() + reader.at, static_cast<size_t>(count));
  reader.at += count;
  return static_cast<tmsize_t>(count);
}

tmsize_t on_write(thandle_t, void*, tmsize_t) { return 0; }

toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
  Reader& reader = reader_of(handle);
  if (whence == SEEK_CUR) offset += reader.at;
  if (whence == SEEK_END) offset += reader.bytes.size();
  reader.at = offset;
  return offset;
}

int on_close(thandle_t) { return 0; }
toff_t on_size(thandle_t handle) { return reader_of(handle).bytes.size(); }

// libtiff is opened when the first TIFF comes, not linked: it drags along JBIG-KIT, which is under the GPL and so is not shipped with the
// executables, and hardly anybody needs it.
struct LibTiff {
  void* const handle = dlopen("libtiff.so.6", RTLD_NOW | RTLD_LOCAL);
  decltype(&::TIFFClientOpenExt) TIFFClientOpenExt = find<decltype(&::TIFFClientOpenExt)>("TIFFClientOpenExt");
  decltype(&::TIFFClose) TIFFClose = find<decltype(&::TIFFClose)>("TIFFClose");
  decltype(&::TIFFComputeStrip) TIFFComputeStrip = find<decltype(&::TIFFComputeStrip)>("TIFFComputeStrip");
  decltype(&::TIFFComputeTile) TIFFComputeTile = find<decltype(&::TIFFComputeTile)>("TIFFComputeTile");
  decltype(&::TIFFGetField) TIFFGetField = find<decltype(&::TIFFGetField)>("TIFFGetField");
  decltype(&::TIFFGetFieldDefaulted) TIFFGetFieldDefaulted = find<decltype(&::TIFFGetFieldDefaulted)>("TIFFGetFieldDefaulted");
  decltype(&::TIFFIsTiled) TIFFIsTiled = find<decltype(&::TIFFIsTiled)>("TIFFIsTiled");
  decltype(&::TIFFOpenOptionsAlloc) TIFFOpenOptionsAlloc = find<decltype(&::TIFFOpenOptionsAlloc)>("TIFFOpenOptionsAlloc");
  decltype(&::TIFFOpenOptionsFree) TIFFOpenOptionsFree = find<decltype(&::TIFFOpenOptionsFree)>("TIFFOpenOptionsFree");
  decltype(&::TIFFOpenOptionsSetErrorHandlerExtR) TIFFOpenOptionsSetErrorHandlerExtR = find<decltype(&::TIFFOpenOptionsSetErrorHandlerExtR)>("TIFFOpenOptionsSetErrorHandlerExtR");
  decltype(&::TIFFOpenOptionsSetMaxSingleMemAlloc) TIFFOpenOptionsSetMaxSingleMemAlloc = find<decltype(&::TIFFOpenOptionsSetMaxSingleMemAlloc)>("TIFFOpenOptionsSetMaxSingleMemAlloc");
  decltype(&::TIFFOpenOptionsSetWarningHandlerExtR) TIFFOpenOptionsSetWarningHandlerExtR = find<decltype(&::TIFFOpenOptionsSetWarningHandlerExtR)>("TIFFOpenOptionsSetWarningHandlerExtR");
  decltype(&::TIFFReadEncodedStrip) TIFFReadEncodedStrip = find<decltype(&::TIFFReadEncodedStrip)>("TIFFReadEncodedStrip");
  decltype(&::TIFFReadEncodedTile) TIFFReadEncodedTile = find<decltype(&::TIFFReadEncodedTile)>("TIFFReadEncodedTile");
  decltype(&::TIFFScanlineSize) TIFFScanlineSize = find<decltype(&::TIFFScanlineSize)>("TIFFScanlineSize");
  decltype(&::TIFFSetField) TIFFSetField = find<decltype(&::TIFFSetField)>("TIFFSetField");
  decltype(&::TIFFStripSize) TIFFStripSize = find<decltype(&::TIFFStripSize)>("TIFFStripSize");
  decltype(&::TIFFTileRowSize) TIFFTileRowSize = find<decltype(&::TIFFTileRowSize)>("TIFFTileRowSize");
  decltype(&::TIFFTileSize) TIFFTileSize = find<decltype(&::TIFFTileSize)>("TIFFTileSize");

  template <class Function>
  Function find(const char* name) {
    return handle != nullptr ? reinterpret_cast<Function>(dlsym(handle, name)) : nullptr;
  }
};

const LibTiff& lib() {
  static const LibTiff library;
  // What came last to libtiff, with 4.5, stands for all.
  if (library.TIFFOpenOptionsSetMaxSingleMemAlloc == nullptr) {
    throw Error(ExitCode::kMachine, "TIFF files need libtiff 4.5 (libtiff.so.6), which is not on this machine", "apt-get install libtiff6");
  }
  return library;
}

struct Page {
  Reader reader;
  std::unique_ptr<TIFF, decltype(&::TIFFClose)> tiff{nullptr, lib().TIFFClose};
  int64_t height = 0, width = 0;
  uint16_t bits = 1, samples = 1, photometric = 0;
  int channels = 1;       // samples that are looked at: 1, 3 or 4
  bool separate = false;  // a plane a sample
  bool tiled = false;
  int64_t block_height = 0, block_width = 0;      // of a strip or tile
  int64_t block_bytes = 0, block_row_bytes = 0;  // of one plane where they are separate
  int orientation = 1;
};

std::string_view photometric_name(uint16_t photometric) {
  switch (photometric) {
    case PHOTOMETRIC_YCBCR: return "YCbCr, without JPEG or in planes";
    case PHOTOMETRIC_CIELAB:
    case PHOTOMETRIC_ICCLAB:
    case PHOTOMETRIC_ITULAB: return "Lab";
    case PHOTOMETRIC_LOGL:
    case PHOTOMETRIC_LOGLUV: return "LogLuv";
    case PHOTOMETRIC_CFA: return "raw sensor data";
    default: return "another";
  }
}

// Opens the file and checks its first directory.
void open_page(Page& page, const ImageFile& file) {
  page.reader.bytes = file.bytes;
  const auto fail = [&] { return page.reader.error.empty() ? std::string("no reason given") : page.reader.error; };

  const std::unique_ptr<TIFFOpenOptions, decltype(&::TIFFOpenOptionsFree)> options(lib().TIFFOpenOptionsAlloc(), lib().TIFFOpenOptionsFree);
  FT_CHECK(options != nullptr);
  lib().TIFFOpenOptionsSetErrorHandlerExtR(options.get(), on_error, &page.reader);
  lib().TIFFOpenOptionsSetWarningHandlerExtR(options.get(), on_warning, &page.reader);
  lib().TIFFOpenOptionsSetMaxSingleMemAlloc(options.get(), static_cast<tmsize_t>(16 * file.max_pixels + (1 << 20)));
  page.tiff.reset(lib().TIFFClientOpenExt("TIFF", "rm", &page.reader, on_read, on_write, on_seek, on_close, on_size, nullptr, nullptr, options.get()));
  TIFF* tiff = page.tiff.get();
  FT_REQUIRE(tiff != nullptr, "{} is damaged or no valid TIFF: {}", file.name, fail());

  uint32_t height = 0, width = 0;
  lib().TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  lib().TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  require_size(file, "TIFF", height, width);
  page.height = height;
  page.width = width;

  uint16_t compression = 0, sample_format = 0, planes = 0, orientation = 1;
  lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &sample_format);
  lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
  lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page.bits);
  lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &page.samples);
  lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
  page.orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
  FT_REQUIRE(lib().TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &page.photometric) != 0, "{} is no valid TIFF: its colours are not described", file.name);

  const bool jpeg = compression == COMPRESSION_JPEG;
  const bool fax = compression == COMPRESSION_CCITTRLE || compression == COMPRESSION_CCITTFAX3 || compression == COMPRESSION_CCITTFAX4;
  FT_REQUIRE(jpeg || fax || compression == COMPRESSION_NONE || compression == COMPRESSION_LZW || compression == COMPRESSION_ADOBE_DEFLATE ||
                 compression == COMPRESSION_DEFLATE || compression == COMPRESSION_PACKBITS,
             "{} is compressed by TIFF's method {}, expected none, LZW, Deflate, PackBits, JPEG or fax", file.name, compression);
  if (jpeg && page.photometric == PHOTOMETRIC_YCBCR && planes == PLANARCONFIG_CONTIG) {
    lib().TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    page.photometric = PHOTOMETRIC_RGB;
  }
  switch (page.photometric) {
    case PHOTOMETRIC_MINISBLACK:
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_PALETTE: page.channels = 1; break;
    case PHOTOMETRIC_RGB: page.channels = 3; break;
    case PHOTOMETRIC_SEPARATED: page.channels = 4; break;
    default: FT_FAIL(ExitCode::kInput, "{} has TIFF colours of kind {} ({}), expected grey, palette, RGB or CMYK", file.name, page.photometric, photometric_name(page.photometric));
  }
  FT_REQUIRE(page.samples >= page.channels && page.samples <= kMaxSamples, "{} has {} TIFF samples a pixel, expected {} to {}", file.name, page.samples,
             page.channels, kMaxSamples);
  const bool packed = page.channels == 1 && page.samples == 1 && (page.bits == 1 || page.bits == 2 || page.bits == 4);
  const bool wide = page.bits == 16 && page.photometric != PHOTOMETRIC_PALETTE;
  FT_REQUIRE(packed || page.bits == 8 || wide, "{} has TIFF samples of {} bits, which are not supported for its {} samples", file.name, page.bits, page.samples);
  FT_REQUIRE(sample_format == SAMPLEFORMAT_UINT || sample_format == SAMPLEFORMAT_VOID, "{} has signed or floating TIFF samples, expected unsigned integers", file.name);

  page.separate = planes == PLANARCONFIG_SEPARATE && page.samples > 1;
  page.tiled = lib().TIFFIsTiled(tiff) != 0;
  if (page.tiled) {
    uint32_t block_height = 0, block_width = 0;
    lib().TIFFGetField(tiff, TIFFTAG_TILELENGTH, &block_height);
    lib().TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &block_width);
    require_size(file, "TIFF (tile)", block_height, block_width);
    page.block_height = block_height;
    page.block_width = block_width;
    page.block_bytes = lib().TIFFTileSize(tiff);
    page.block_row_bytes = lib().TIFFTileRowSize(tiff);
  } else {
    uint32_t rows = 0;
    lib().TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    page.block_height = std::min<int64_t>(rows, page.height);
    page.block_width = page.width;
    page.block_bytes = lib().TIFFStripSize(tiff);
    page.block_row_bytes = lib().TIFFScanlineSize(tiff);
  }
  const int64_t samples = page.separate ? 1 : page.samples;
  const bool sizes_fit = page.block_height > 0 && page.block_row_bytes == (page.block_width * samples * page.bits + 7) / 8 &&
                         page.block_bytes == page.block_height * page.block_row_bytes;
  FT_REQUIRE(sizes_fit, "{} is no valid TIFF: its strips or tiles do not fit its pixels", file.name);
  // LZW expands most, to 4096 bytes for 12 bits; fax knows no limit.
  const double one_plane = static_cast<double>(page.height) * static_cast<double>(page.width * page.bits / 8);
  if (!fax) require_bytes(file, "TIFF", std::max(one_plane, static_cast<double>(page.block_bytes)), 2731);
  FT_REQUIRE(page.reader.error.empty(), "{} is damaged or no valid TIFF: {}", file.name, page.reader.error);
}

// Grey levels or palette colours of all values of up to 8 bits, [2^bits][3].
std::vector<uint8_t> make_table(const Page& page, const ImageFile& file) {
  const int size = 1 << std::min<int>(page.bits, 8);
  std::vector<uint8_t> table(static_cast<size_t>(size) * 3);
  uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
  const bool palette = page.photometric == PHOTOMETRIC_PALETTE;
  if (palette) FT_REQUIRE(lib().TIFFGetField(page.tiff.get(), TIFFTAG_COLORMAP, &red, &green, &blue) != 0, "{} is no valid TIFF: it has no palette", file.name);
  for (int i = 0; i < size; ++i) {
    uint8_t* entry = table.data() + 3 * static_cast<size_t>(i);
    if (palette) {
      entry[0] = static_cast<uint8_t>(red[i] >> 8);
      entry[1] = static_cast<uint8_t>(green[i] >> 8);
      entry[2] = static_cast<uint8_t>(blue[i] >> 8);
    } else {
      const int level = i * 255 / (size - 1);
      entry[0] = entry[1] = entry[2] = static_cast<uint8_t>(page.photometric == PHOTOMETRIC_MINISWHITE ? 255 - level : level);
    }
  }
  return table;
}

// One strip or tile to the rows and columns of the image that it covers. `planes`: where each looked-at channel's samples begin.
void place_block(const Page& page, const std::vector<uint8_t>& table, const uint8_t* const planes[4], int64_t top, int64_t left, Image& image) {
  const int64_t rows = std::min(page.block_height, page.height - top), columns = std::min(page.block_width, page.width - left);
  const int64_t step = (page.separate ? 1 : page.samples) * (page.bits == 16 ? 2 : 1);
  for (int64_t y = 0; y < rows; ++y) {
    uint8_t* to = image.pixels.data() + 3 * ((top + y) * page.width + left);
    const int64_t row = y * page.block_row_bytes;
    for (int64_t x = 0; x < columns; ++x, to += 3) {
      uint8_t value[4] = {0, 0, 0, 0};
      for (int c = 0; c < page.channels; ++c) {
        if (page.bits < 8) {
          const int64_t bit = x * page.bits;
          value[c] = static_cast<uint8_t>(planes[c][row + bit / 8] >> (8 - page.bits - bit % 8) & ((1 << page.bits) - 1));
        } else if (page.bits == 8) {
          value[c] = planes[c][row + x * step];
        } else {
          uint16_t wide = 0;  // in this machine's order
          std::memcpy(&wide, planes[c] + row + x * step, sizeof wide);
          value[c] = static_cast<uint8_t>(wide >> 8);
        }
      }
      switch (page.channels) {
        case 1: std::copy_n(table.data() + 3 * size_t{value[0]}, 3, to); break;
        case 3: std::copy_n(value, 3, to); break;
        default: cmyk_to_rgb(value[0], value[1], value[2], value[3], to); break;
      }
    }
  }
}

}  // namespace

ImageInfo read_tiff_header(const ImageFile& file) {
  Page page;
  open_page(page, file);
  return {ImageFormat::kTiff, page.height, page.width, page.orientation};
}

void decode_tiff(const ImageFile& file, Image& image) {
  Page page;
  open_page(page, file);
  TIFF* tiff = page.tiff.get();
  const std::vector<uint8_t> table = page.channels == 1 ? make_table(page, file) : std::vector<uint8_t>();
  set_size(image, page.height, page.width);
  const int num_planes = page.separate ? page.channels : 1;
  std::vector<uint8_t> block(static_cast<size_t>(page.block_bytes * num_planes));
  const int64_t sample_bytes = page.bits == 16 ? 2 : 1;
  const uint8_t* planes[4] = {};
  for (int c = 0; c < page.channels; ++c) planes[c] = block.data() + c * (page.separate ? page.block_bytes : sample_bytes);

  for (int64_t top = 0; top < page.height; top += page.block_height) {
    // The last strip ends with the image, the last tile does not.
    const int64_t rows = page.tiled ? page.block_height : std::min(page.block_height, page.height - top);
    for (int64_t left = 0; left < page.width; left += page.block_width) {
      for (int plane = 0; plane < num_planes; ++plane) {
        const auto sample = static_cast<uint16_t>(plane);
        const tmsize_t wanted = rows * page.block_row_bytes;
        uint8_t* to = block.data() + plane * page.block_bytes;
        tmsize_t got = 0;
        if (page.tiled) {
          const uint32_t tile = lib().TIFFComputeTile(tiff, static_cast<uint32_t>(left), static_cast<uint32_t>(top), 0, sample);
          got = lib().TIFFReadEncodedTile(tiff, tile, to, wanted);
        } else {
          got = lib().TIFFReadEncodedStrip(tiff, lib().TIFFComputeStrip(tiff, static_cast<uint32_t>(top), sample), to, wanted);
        }
        FT_REQUIRE(got == wanted && page.reader.error.empty(), "{} is damaged: {}", file.name,
                   page.reader.error.empty() ? "a strip or tile is incomplete" : page.reader.error);
      }
      place_block(page, table, planes, top, left, image);
    }
  }
}

}  // namespace fettle
