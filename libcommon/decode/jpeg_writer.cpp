#include "decode/jpeg_writer.h"

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include "base/errors.h"

namespace fettle {
namespace {

struct Compression {
  jpeg_compress_struct compress;
  jpeg_error_mgr errors;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void give_up(j_common_ptr common) {
  auto& state = *static_cast<Compression*>(common->client_data);
  state.errors.format_message(common, state.message);
  std::longjmp(state.jump, 1);
}

// Errors leave by longjmp, which may not skip destructors: plain values only. `memory` is the library's malloc.
bool attempt(Compression& state, const uint8_t* pixels, int64_t height, int64_t width, int channels, int quality, unsigned char** memory, unsigned long* size) {
  jpeg_compress_struct& jpeg = state.compress;
  jpeg.err = jpeg_std_error(&state.errors);
  jpeg.client_data = &state;
  state.errors.error_exit = give_up;
  if (setjmp(state.jump) != 0) {
    jpeg_destroy_compress(&jpeg);
    return false;
  }
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, memory, size);
  jpeg.image_height = static_cast<JDIMENSION>(height);
  jpeg.image_width = static_cast<JDIMENSION>(width);
  jpeg.input_components = channels;
  jpeg.in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(pixels + static_cast<int64_t>(jpeg.next_scanline) * width * channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  return true;
}

}  // namespace

std::vector<uint8_t> encode_jpeg(const uint8_t* pixels, int64_t height, int64_t width, int quality) {
  std::vector<uint8_t> bytes;
  encode_jpeg(pixels, height, width, 3, quality, bytes);
  return bytes;
}

void encode_jpeg(const uint8_t* pixels, int64_t height, int64_t width, int channels, int quality, std::vector<uint8_t>& bytes) {
  FT_CHECK(height >= 1 && width >= 1 && height <= JPEG_MAX_DIMENSION && width <= JPEG_MAX_DIMENSION && (channels == 1 || channels == 3), "a JPEG of {} x {} x {}", height, width, channels);
  Compression state{};
  // The library writes into `bytes` as far as they go, then into memory of its own.
  if (bytes.capacity() < 4096) bytes.reserve(4096);
  bytes.resize(bytes.capacity());
  unsigned char* memory = bytes.data();
  unsigned long size = bytes.size();
  const bool done = attempt(state, pixels, height, width, channels, quality, &memory, &size);
  if (memory == bytes.data()) {
    bytes.resize(done ? size : 0);
  } else {
    if (done) bytes.assign(memory, memory + size);
    std::free(memory);
  }
  if (!done) FT_FAIL(ExitCode::kMachine, "cannot encode a JPEG: {}", state.message);
}

}  // namespace fettle
