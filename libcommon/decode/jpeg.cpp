// JPEG by libjpeg-turbo. Its errors leave by longjmp, which may not skip destructors: every call of the library runs inside attempt(),
// whose frames hold plain values only, and what went wrong becomes an exception outside.
#include <csetjmp>
#include <cstddef>
#include <cstdio>

#include <jpeglib.h>

#include <jerror.h>  // after the macros that decide which messages there are

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/errors.h"
#include "decode/image_readers.h"

namespace fettle {
namespace {

constexpr int kMaxScans = 100;          // encoders write about ten; a file of scans without content would cost time without end
constexpr size_t kEndMarkerBytes = 64;  // cameras and editors append a few bytes to the end marker
constexpr JDIMENSION kRowsPerCall = 16;
// Triangle upsampling treats the first and last column of what it is given as the picture's edge, and thus the outermost pixel otherwise
// than inside: cuts are made a few pixels outside the box.
constexpr int64_t kMarginColumns = 4;

const JOCTET kEndOfImage[] = {0xff, JPEG_EOI};

struct Jpeg {
  jpeg_decompress_struct decompress;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
  bool created;
  bool ran_out;      // the data source was asked for more than the file has
  bool may_run_out;  // an end marker is made up then, once
  int orientation;
};

Jpeg& self(j_common_ptr common) { return *static_cast<Jpeg*>(common->client_data); }
Jpeg& self(j_decompress_ptr decompress) { return *static_cast<Jpeg*>(decompress->client_data); }

[[noreturn]] void give_up(j_common_ptr common) {
  Jpeg& jpeg = self(common);
  jpeg.errors.format_message(common, jpeg.message);
  std::longjmp(jpeg.jump, 1);
}

[[noreturn]] void give_up(Jpeg& jpeg, const char* message) {
  std::snprintf(jpeg.message, sizeof jpeg.message, "%s", message);
  std::longjmp(jpeg.jump, 1);
}

// Level -1 is a warning; the library would go on with made-up coefficients.
void on_message(j_common_ptr common, int level) {
  if (level >= 0) return;
  switch (common->err->msg_code) {
    case JWRN_HIT_MARKER:
      if (self(common).ran_out) give_up(self(common), "the file ends inside the pixels");
      give_up(common);
    case JWRN_ARITH_BAD_CODE:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_JPEG_EOF:
    case JWRN_MUST_RESYNC: give_up(common);
    default: break;
  }
}

void on_output(j_common_ptr) {}

void on_progress(j_common_ptr common) {
  Jpeg& jpeg = self(common);
  if (jpeg.decompress.input_scan_number > kMaxScans) give_up(jpeg, "it has more than 100 scans");
}

void on_source(j_decompress_ptr) {}

boolean on_empty(j_decompress_ptr decompress) {
  Jpeg& jpeg = self(decompress);
  if (!jpeg.may_run_out) give_up(jpeg, "the file ends before its end marker");
  jpeg.ran_out = true;
  jpeg.source.next_input_byte = kEndOfImage;
  jpeg.source.bytes_in_buffer = sizeof kEndOfImage;
  return TRUE;
}

void on_skip(j_decompress_ptr decompress, long count) {
  if (count <= 0) return;
  Jpeg& jpeg = self(decompress);
  if (static_cast<size_t>(count) > jpeg.source.bytes_in_buffer) give_up(jpeg, "the file ends inside a segment");
  jpeg.source.next_input_byte += count;
  jpeg.source.bytes_in_buffer -= static_cast<size_t>(count);
}

// APP1: the whole file is in the buffer, so the segment is read where it lies.
boolean on_app1(j_decompress_ptr decompress) {
  Jpeg& jpeg = self(decompress);
  const JOCTET* bytes = jpeg.source.next_input_byte;
  const size_t left = jpeg.source.bytes_in_buffer;
  const size_t size = left < 2 ? 0 : size_t{bytes[0]} << 8 | bytes[1];
  if (size < 2 || size > left) give_up(jpeg, "the file ends inside a segment");
  constexpr char kExif[] = {'E', 'x', 'i', 'f', 0, 0};
  if (size >= 2 + sizeof kExif && std::equal(kExif, kExif + sizeof kExif, bytes + 2, [](char a, JOCTET b) { return static_cast<JOCTET>(a) == b; })) {
    jpeg.orientation = exif_orientation({bytes + 2 + sizeof kExif, size - 2 - sizeof kExif});
  }
  jpeg.source.next_input_byte += size;
  jpeg.source.bytes_in_buffer -= size;
  return TRUE;
}

// Runs calls of libjpeg; false when it gave up, with the reason in jpeg.message. Neither `step` nor what it calls may own anything.
template <class Step>
bool attempt(Jpeg& jpeg, Step step) {
  if (setjmp(jpeg.jump) != 0) return false;
  step();
  return true;
}

// A fresh object a file: tables and parameters of the last one must not leak into the next, and making one costs a microsecond.
void create(Jpeg& jpeg, std::span<const uint8_t> bytes) {
  jpeg_decompress_struct& d = jpeg.decompress;
  if (jpeg.created) jpeg_destroy_decompress(&d);
  jpeg.created = jpeg.ran_out = jpeg.may_run_out = false;
  jpeg.orientation = 1;
  d.err = jpeg_std_error(&jpeg.errors);
  jpeg.errors.error_exit = [](j_common_ptr common) { give_up(common); };
  jpeg.errors.emit_message = on_message;
  jpeg.errors.output_message = on_output;
  d.client_data = &jpeg;
  jpeg_create_decompress(&d);
  jpeg.created = true;
  jpeg.progress.progress_monitor = on_progress;
  d.progress = &jpeg.progress;
  jpeg.source.init_source = on_source;
  jpeg.source.fill_input_buffer = on_empty;
  jpeg.source.skip_input_data = on_skip;
  jpeg.source.resync_to_restart = jpeg_resync_to_restart;
  jpeg.source.term_source = on_source;
  jpeg.source.next_input_byte = bytes.data();
  jpeg.source.bytes_in_buffer = bytes.size();
  d.src = &jpeg.source;
  jpeg_set_marker_processor(&d, JPEG_APP0 + 1, on_app1);
}

// The largest shrink at which every component keeps the target's resolution, or its own where that is less. The scaled inverse DCT makes
// chroma of 4:2:0 as large as luminance, but not chroma of 4:2:2.
int64_t choose_denominator(Jpeg& jpeg, int64_t height, int64_t width, int64_t target_height, int64_t target_width) {
  jpeg_decompress_struct& d = jpeg.decompress;
  for (unsigned denominator = 8; denominator > 1; denominator /= 2) {
    d.scale_num = 1;
    d.scale_denom = denominator;
    jpeg_calc_output_dimensions(&d);
    bool suffices = true;
    for (int c = 0; c < d.num_components; ++c) {
      const jpeg_component_info& component = d.comp_info[c];
      const auto keeps = [&](int64_t side, int64_t target, int64_t sampling, int64_t max_sampling) {
        // side * sampling / max_sampling samples are stored, DCT_scaled_size / 8 of them made.
        const int64_t stored = side * sampling, made = stored * component.DCT_scaled_size;
        return made >= DCTSIZE * std::min(target * max_sampling, stored);
      };
      suffices = suffices && keeps(height, target_height, component.v_samp_factor, d.max_v_samp_factor) &&
                 keeps(width, target_width, component.h_samp_factor, d.max_h_samp_factor);
    }
    if (suffices) return denominator;
  }
  return 1;
}

void start(Jpeg& jpeg, unsigned denominator) {
  jpeg_decompress_struct& d = jpeg.decompress;
  const bool inks = d.jpeg_color_space == JCS_CMYK || d.jpeg_color_space == JCS_YCCK;
  d.out_color_space = inks ? JCS_CMYK : JCS_RGB;
  d.dct_method = JDCT_ISLOW;
  d.scale_num = 1;
  d.scale_denom = denominator;
  // Of several scans a lost last one would go unnoticed, and arithmetic decoding reads past a scan's end without a word.
  jpeg.may_run_out = !jpeg_has_multiple_scans(&d) && !d.arith_code;
  jpeg_start_decompress(&d);
}

// Smoothing between blocks, for progressive files that lack some precision, looks at blocks beyond a cut. The upsampling of components
// that the scaled inverse DCT enlarges only in part is wrong behind jpeg_crop_scanline() before libjpeg-turbo 3.
bool can_cut(const jpeg_decompress_struct& d) {
  if (d.progressive_mode && d.coef_bits != nullptr) {
    for (int c = 0; c < d.num_components; ++c) {
      for (int k = 0; k < DCTSIZE2; ++k) {
        if (d.coef_bits[c][k] != 0) return false;
      }
    }
  }
  for (int c = 0; c < d.num_components; ++c) {
    const jpeg_component_info& component = d.comp_info[c];
    const bool unscaled = component.DCT_scaled_size == d.min_DCT_scaled_size;
    const bool full_size = component.h_samp_factor * component.DCT_scaled_size == d.max_h_samp_factor * d.min_DCT_scaled_size &&
                           component.v_samp_factor * component.DCT_scaled_size == d.max_v_samp_factor * d.min_DCT_scaled_size;
    if (!unscaled && !full_size) return false;
  }
  return true;
}

// The next `count` rows of the output. RGB goes straight to `to`; inks pass through `inks`, [kRowsPerCall, output_width, 4].
void read_rows(Jpeg& jpeg, uint8_t* to, int64_t count, uint8_t* inks) {
  jpeg_decompress_struct& d = jpeg.decompress;
  const size_t row_bytes = size_t{d.output_width} * 3;
  const size_t library_row_bytes = inks != nullptr ? size_t{d.output_width} * 4 : row_bytes;
  while (count > 0) {
    JSAMPROW rows[kRowsPerCall];
    const auto wanted = static_cast<JDIMENSION>(std::min<int64_t>(count, kRowsPerCall));
    for (JDIMENSION i = 0; i < wanted; ++i) rows[i] = (inks != nullptr ? inks : to) + i * library_row_bytes;
    const JDIMENSION got = jpeg_read_scanlines(&d, rows, wanted);
    if (got == 0) give_up(jpeg, "no more rows");
    if (inks != nullptr) {
      // Adobe's convention, which everybody follows: the file holds 255 - ink.
      const uint8_t* ink = inks;
      for (size_t i = 0; i < size_t{got} * d.output_width; ++i, ink += 4) cmyk_to_rgb(255 - ink[0], 255 - ink[1], 255 - ink[2], 255 - ink[3], to + 3 * i);
    }
    to += got * row_bytes;
    count -= got;
  }
}

bool ends_with_marker(std::span<const uint8_t> bytes) {
  const auto end = bytes.last(std::min(bytes.size(), kEndMarkerBytes));
  return std::search(end.begin(), end.end(), std::begin(kEndOfImage), std::end(kEndOfImage)) != end.end();
}

}  // namespace

struct JpegReader::State {
  Jpeg jpeg{};
  ImageFile file;
  std::vector<uint8_t> inks;  // a few rows of CMYK
  std::vector<uint8_t> rest;  // rows that are read to be checked only

  ~State() {
    if (jpeg.created) jpeg_destroy_decompress(&jpeg.decompress);
  }
  void require(bool done) const { FT_REQUIRE(done, "{} is damaged or no valid JPEG: {}", file.name, jpeg.message); }
  uint8_t* ink_rows() {
    if (jpeg.decompress.out_color_space != JCS_CMYK) return nullptr;
    inks.resize(size_t{kRowsPerCall} * jpeg.decompress.output_width * 4);
    return inks.data();
  }
};

JpegReader::JpegReader() : state_(std::make_unique<State>()) {}
JpegReader::~JpegReader() = default;

ImageInfo JpegReader::open(const ImageFile& file) {
  State& s = *state_;
  jpeg_decompress_struct& d = s.jpeg.decompress;
  s.file = file;
  s.require(attempt(s.jpeg, [&] {
    create(s.jpeg, file.bytes);
    jpeg_read_header(&d, TRUE);
  }));
  require_size(file, "JPEG", d.image_height, d.image_width);
  FT_REQUIRE(d.num_components == 1 || d.num_components == 3 || d.num_components == 4,
             "{} has {} colour components, expected a JPEG of 1, 3 or 4", file.name, d.num_components);
  // Huffman codes take at least one bit a block, of 64 samples; arithmetic codes less, by far not a hundred times.
  const double blocks = static_cast<double>(d.comp_info[0].width_in_blocks) * d.comp_info[0].height_in_blocks;
  require_bytes(file, "JPEG", blocks, d.arith_code ? 800 : 8);
  return {ImageFormat::kJpeg, d.image_height, d.image_width, s.jpeg.orientation};
}

void JpegReader::decode(Image& image) {
  State& s = *state_;
  jpeg_decompress_struct& d = s.jpeg.decompress;
  s.require(attempt(s.jpeg, [&] { start(s.jpeg, 1); }));
  set_size(image, d.output_height, d.output_width);
  uint8_t* inks = s.ink_rows();
  s.require(attempt(s.jpeg, [&] { read_rows(s.jpeg, image.pixels.data(), d.output_height, inks); }));
}

int64_t JpegReader::denominator(int64_t height, int64_t width, int64_t target_height, int64_t target_width) {
  State& s = *state_;
  int64_t chosen = 1;
  s.require(attempt(s.jpeg, [&] { chosen = choose_denominator(s.jpeg, height, width, target_height, target_width); }));
  return chosen;
}

PlacedBox JpegReader::decode_box(const Box& box, int64_t denominator, Image& image) {
  State& s = *state_;
  jpeg_decompress_struct& d = s.jpeg.decompress;
  const bool whole_is_checked = jpeg_has_multiple_scans(&d) || ends_with_marker(s.file.bytes);  // several scans are read when it starts

  // Rows and columns that the box touches, in pixels of the output, with margins.
  int64_t top = 0, bottom = 0;
  JDIMENSION left = 0;
  s.require(attempt(s.jpeg, [&] {
    start(s.jpeg, static_cast<unsigned>(denominator));
    bottom = std::min<int64_t>((box.top + box.height + denominator - 1) / denominator, d.output_height);
    if (!can_cut(d)) return;
    top = box.top / denominator;
    const int64_t first = std::max<int64_t>(box.left / denominator - kMarginColumns, 0);
    const int64_t last = std::min<int64_t>((box.left + box.width + denominator - 1) / denominator + kMarginColumns, d.output_width);
    left = static_cast<JDIMENSION>(first);
    auto width = static_cast<JDIMENSION>(last - first);
    jpeg_crop_scanline(&d, &left, &width);  // moves `left` back to a multiple of the block's width
  }));

  set_size(image, bottom - top, d.output_width);
  uint8_t* inks = s.ink_rows();
  const int64_t rest_rows = d.output_height - bottom;
  if (!whole_is_checked) s.rest.resize(size_t{kRowsPerCall} * d.output_width * 3);
  s.require(attempt(s.jpeg, [&] {
    if (top > 0) jpeg_skip_scanlines(&d, static_cast<JDIMENSION>(top));
    read_rows(s.jpeg, image.pixels.data(), bottom - top, inks);
    for (int64_t done = 0; !whole_is_checked && done < rest_rows; done += kRowsPerCall) {
      read_rows(s.jpeg, s.rest.data(), std::min<int64_t>(kRowsPerCall, rest_rows - done), inks);
    }
  }));
  const auto scaled = [denominator](int64_t pixels) { return static_cast<double>(pixels) / static_cast<double>(denominator); };
  return {scaled(box.top) - static_cast<double>(top), scaled(box.left) - left, scaled(box.height), scaled(box.width)};
}

}  // namespace fettle
