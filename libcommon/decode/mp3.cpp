// MP3 by libmpg123, fed from memory: it seeks nothing and, told to be quiet, prints nothing (which libsndfile's use of it does).
#include <dlfcn.h>
#include <mpg123.h>

#include <memory>

#include "base/errors.h"
#include "decode/sound_readers.h"

namespace fettle {
namespace {

// Opened when the first MP3 comes.
struct Mpg123 {
  void* const handle = dlopen("libmpg123.so.0", RTLD_NOW | RTLD_LOCAL);
  decltype(&::mpg123_init) init = find<decltype(&::mpg123_init)>("mpg123_init");
  decltype(&::mpg123_new) make = find<decltype(&::mpg123_new)>("mpg123_new");
  decltype(&::mpg123_delete) destroy = find<decltype(&::mpg123_delete)>("mpg123_delete");
  decltype(&::mpg123_param) param = find<decltype(&::mpg123_param)>("mpg123_param");
  decltype(&::mpg123_open_feed) open_feed = find<decltype(&::mpg123_open_feed)>("mpg123_open_feed");
  decltype(&::mpg123_feed) feed = find<decltype(&::mpg123_feed)>("mpg123_feed");
  decltype(&::mpg123_read) read = find<decltype(&::mpg123_read)>("mpg123_read");
  decltype(&::mpg123_getformat) getformat = find<decltype(&::mpg123_getformat)>("mpg123_getformat");
  decltype(&::mpg123_strerror) strerror = find<decltype(&::mpg123_strerror)>("mpg123_strerror");
  const bool ready = init && make && destroy && param && open_feed && feed && read && getformat && strerror && init() == MPG123_OK;

  template <class Function>
  Function find(const char* name) {
    return handle != nullptr ? reinterpret_cast<Function>(dlsym(handle, name)) : nullptr;
  }
};

const Mpg123& lib() {
  static const Mpg123 library;
  if (!library.ready) throw Error(ExitCode::kMachine, "reading MP3 needs libmpg123 (libmpg123.so.0), which is not on this machine", "apt-get install libmpg123-0");
  return library;
}

}  // namespace

void decode_mp3(const SoundFile& file, Sound& sound) {
  const std::unique_ptr<mpg123_handle, void (*)(mpg123_handle*)> mp3(lib().make(nullptr, nullptr), lib().destroy);
  const auto set = [&](mpg123_parms what, long value) { return mp3 != nullptr && lib().param(mp3.get(), what, value, 0) == MPG123_OK; };
  // Tags are skipped, not kept; bytes that are no frames are skipped, however many.
  const bool started = set(MPG123_ADD_FLAGS, MPG123_QUIET | MPG123_FORCE_FLOAT | MPG123_SKIP_ID3V2) && set(MPG123_RESYNC_LIMIT, -1) && lib().open_feed(mp3.get()) == MPG123_OK;
  if (!started || lib().feed(mp3.get(), file.bytes.data(), file.bytes.size()) != MPG123_OK) FT_FAIL(ExitCode::kMachine, "libmpg123 does not start: out of memory?");

  sound.num_channels = 1;  // until the first frame tells
  sound.num_frames = 0;
  bool has_shape = false;
  while (true) {
    const int64_t block = next_block(sound, INT64_MAX), frame_bytes = sound.num_channels * static_cast<int64_t>(sizeof(float));
    size_t got = 0;
    const int status = lib().read(mp3.get(), reinterpret_cast<unsigned char*>(sound.samples.data() + sound.num_frames * sound.num_channels), static_cast<size_t>(has_shape ? block * frame_bytes : 0), &got);
    add_frames(file, static_cast<int64_t>(got) / frame_bytes, sound);  // in the format so far
    if (status == MPG123_NEW_FORMAT) {
      long rate = 0;
      int channels = 0, encoding = 0;
      FT_CHECK(lib().getformat(mp3.get(), &rate, &channels, &encoding) == MPG123_OK && encoding == MPG123_ENC_FLOAT_32, "encoding {:#x}", encoding);
      FT_REQUIRE(!has_shape || (channels == sound.num_channels && rate == sound.sample_rate_hz), "{} changes from {} channels at {} Hz to {} at {}", file.name, sound.num_channels,
                 sound.sample_rate_hz, channels, rate);
      if (!has_shape) set_shape(file, channels, rate, sound);
      has_shape = true;
      continue;
    }
    if (status == MPG123_NEED_MORE || status == MPG123_DONE) break;
    FT_REQUIRE(status == MPG123_OK, "{} is damaged: {}", file.name, lib().strerror(mp3.get()));
    FT_REQUIRE(has_shape, "{} holds no samples", file.name);
  }
}

}  // namespace fettle
