#include "bytes/sound_writers.h"

#include <dlfcn.h>
#include <lame/lame.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>

#include "base/errors.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kMaxSamples = int64_t{1} << 28, kMaxRate = int64_t{1} << 20;

struct WavFormat {
  int tag;               // 1 integers, 3 floats, 0xFFFE told by an identifier in an extension
  int bytes;             // a sample
  int64_t format_bytes;  // of the chunk "fmt "
  bool fact;             // a chunk with the number of samples
};

WavFormat wav_format(Encoding encoding) {
  switch (encoding) {
    case Encoding::kWavFloat32: return {3, 4, 18, true};
    case Encoding::kWavInt32: return {0xFFFE, 4, 40, true};
    case Encoding::kWavInt16: return {1, 2, 16, false};
    case Encoding::kWavUint8: return {1, 1, 16, false};
    default: FT_CHECK(false, "{} is no WAV", encoding_name(encoding));
  }
  return {};
}

int64_t header_bytes(const WavFormat& format) { return 12 + 8 + format.format_bytes + (format.fact ? 12 : 0) + 8; }

class Writer {
 public:
  explicit Writer(uint8_t* to) : to_(to) {}
  void text(const char* four) {
    std::memcpy(to_, four, 4);
    to_ += 4;
  }
  void number(int64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) *to_++ = static_cast<uint8_t>(value >> (8 * i));
  }

 private:
  uint8_t* to_;
};

// Towards zero, clamped to what the type holds.
template <class Integer>
Integer truncate(float value, float lowest, float beyond) {
  if (value >= beyond) return std::numeric_limits<Integer>::max();
  return value <= lowest ? std::numeric_limits<Integer>::lowest() : static_cast<Integer>(value);
}

constexpr float kTwo31 = 2147483648.0f;

// Through sox's 32-bit integers to a float: a multiple of 2^-24.
float round_sample(float value) {
  const auto whole = static_cast<int64_t>(truncate<int32_t>(value * kTwo31, -kTwo31, kTwo31));
  return static_cast<float>((whole + 64) & ~int64_t{127}) * (1 / kTwo31);
}

template <class Stored, class Convert>
void store(std::span<const float> mono, uint8_t* to, Convert convert) {
  static_assert(std::endian::native == std::endian::little);
  for (size_t i = 0; i < mono.size(); ++i) {
    const Stored value = convert(mono[i]);
    std::memcpy(to + i * sizeof value, &value, sizeof value);
  }
}

// ---- LAME ------------------------------------------------------------------------------------------------------------

// Opened when the first MP3 is asked for: hardly anybody needs it.
struct Lame {
  void* const handle = dlopen("libmp3lame.so.0", RTLD_NOW | RTLD_LOCAL);
  decltype(&::lame_init) init = find<decltype(&::lame_init)>("lame_init");
  decltype(&::lame_close) close = find<decltype(&::lame_close)>("lame_close");
  decltype(&::lame_init_params) init_params = find<decltype(&::lame_init_params)>("lame_init_params");
  decltype(&::lame_set_num_channels) set_num_channels = find<decltype(&::lame_set_num_channels)>("lame_set_num_channels");
  decltype(&::lame_set_in_samplerate) set_in_samplerate = find<decltype(&::lame_set_in_samplerate)>("lame_set_in_samplerate");
  decltype(&::lame_set_bWriteVbrTag) set_bWriteVbrTag = find<decltype(&::lame_set_bWriteVbrTag)>("lame_set_bWriteVbrTag");
  decltype(&::lame_set_errorf) set_errorf = find<decltype(&::lame_set_errorf)>("lame_set_errorf");
  decltype(&::lame_set_debugf) set_debugf = find<decltype(&::lame_set_debugf)>("lame_set_debugf");
  decltype(&::lame_set_msgf) set_msgf = find<decltype(&::lame_set_msgf)>("lame_set_msgf");
  decltype(&::lame_encode_buffer_float) encode_buffer_float = find<decltype(&::lame_encode_buffer_float)>("lame_encode_buffer_float");
  decltype(&::lame_encode_flush) encode_flush = find<decltype(&::lame_encode_flush)>("lame_encode_flush");

  // LAME fills tables of the process when the first encoder starts: here, before a second thread can.
  Lame() {
    if (complete()) start(16000);
  }

  bool complete() const {
    return init && close && init_params && set_num_channels && set_in_samplerate && set_bWriteVbrTag && set_errorf && set_debugf && set_msgf && encode_buffer_float && encode_flush;
  }

  using Handle = std::unique_ptr<lame_global_flags, int (*)(lame_global_flags*)>;

  // Null where LAME does not take the rate.
  Handle start(int64_t sample_rate_hz) const {
    Handle lame(init(), close);
    if (lame == nullptr) FT_FAIL(ExitCode::kMachine, "LAME does not start: out of memory?");
    const auto say_nothing = [](const char*, va_list) {};
    set_errorf(lame.get(), say_nothing);
    set_debugf(lame.get(), say_nothing);
    set_msgf(lame.get(), say_nothing);
    set_num_channels(lame.get(), 1);
    set_in_samplerate(lame.get(), static_cast<int>(sample_rate_hz));
    set_bWriteVbrTag(lame.get(), 0);
    if (init_params(lame.get()) < 0) lame.reset();
    return lame;
  }

  template <class Function>
  Function find(const char* name) {
    return handle != nullptr ? reinterpret_cast<Function>(dlsym(handle, name)) : nullptr;
  }
};

const Lame& lame_library() {
  static const Lame library;
  if (!library.complete()) throw Error(ExitCode::kMachine, "writing MP3 needs LAME (libmp3lame.so.0), which is not on this machine", "apt-get install libmp3lame0");
  return library;
}

}  // namespace

void require_sound(std::span<const float> mono, int64_t sample_rate_hz) {
  const auto count = static_cast<int64_t>(mono.size());
  FT_REQUIRE(count >= 1 && count <= kMaxSamples, "cannot write a sound of {} samples: expected 1 to {}", count, kMaxSamples);
  FT_REQUIRE(sample_rate_hz >= 1 && sample_rate_hz <= kMaxRate, "cannot write a sound of {} samples a second: expected 1 to {}", sample_rate_hz, kMaxRate);
  const auto bad = std::find_if(mono.begin(), mono.end(), [](float value) { return !std::isfinite(value); });
  FT_REQUIRE(bad == mono.end(), "cannot write a sound whose sample {} is {}", bad - mono.begin(), *bad);
}

int64_t wav_bytes(Encoding encoding, int64_t num_samples) {
  const WavFormat format = wav_format(encoding);
  const int64_t data = num_samples * format.bytes;
  return header_bytes(format) + data + data % 2;
}

void write_wav(Encoding encoding, std::span<const float> mono, int64_t sample_rate_hz, std::vector<uint8_t>& bytes) {
  const WavFormat format = wav_format(encoding);
  const auto count = static_cast<int64_t>(mono.size());
  bytes.resize(static_cast<size_t>(wav_bytes(encoding, count)));
  bytes.back() = 0;
  Writer out(bytes.data());
  out.text("RIFF");
  out.number(static_cast<int64_t>(bytes.size()) - 8, 4);
  out.text("WAVE");
  out.text("fmt ");
  out.number(format.format_bytes, 4);
  out.number(format.tag, 2);
  out.number(1, 2);  // channels
  out.number(sample_rate_hz, 4);
  out.number(sample_rate_hz * format.bytes, 4);
  out.number(format.bytes, 2);  // a frame
  out.number(8 * format.bytes, 2);
  if (format.format_bytes > 16) out.number(format.format_bytes - 18, 2);
  if (format.format_bytes > 18) {
    out.number(8 * format.bytes, 2);
    out.number(4, 4);  // the speaker: centre
    out.number(0x0000'0000'0001, 4);  // {00000001-0000-0010-8000-00AA00389B71}: integers
    out.number(0x0010'0000, 4);
    out.number(int64_t{0x719B'3800} << 32 | 0xAA00'0080, 8);
  }
  if (format.fact) {
    out.text("fact");
    out.number(4, 4);
    out.number(count, 4);
  }
  out.text("data");
  out.number(count * format.bytes, 4);

  uint8_t* const data = bytes.data() + header_bytes(format);
  switch (encoding) {
    case Encoding::kWavFloat32: return store<float>(mono, data, round_sample);
    case Encoding::kWavInt32: return store<int32_t>(mono, data, [](float x) { return truncate<int32_t>(x * kTwo31, -kTwo31, kTwo31); });
    case Encoding::kWavInt16: return store<int16_t>(mono, data, [](float x) { return truncate<int16_t>(x * 32767.0f, -32768.0f, 32768.0f); });
    default: return store<uint8_t>(mono, data, [](float x) { return truncate<uint8_t>((x + 1.0f) * 255.0f / 2.0f, 0.0f, 255.0f); });
  }
}

void Mp3Writer::write(std::span<const float> mono, int64_t sample_rate_hz, std::vector<uint8_t>& bytes) {
  const Lame& library = lame_library();
  scaled_.resize(mono.size());
  std::transform(mono.begin(), mono.end(), scaled_.begin(), [](float x) { return round_sample(x) * 32768.0f; });
  const Lame::Handle lame = library.start(sample_rate_hz);
  FT_REQUIRE(lame != nullptr, "cannot write a sound of {} samples a second as MP3", sample_rate_hz);
  // LAME's own bound, for each of the two calls. Low rates are raised to 8 kHz: up to 8000 times as many samples.
  const int64_t count = static_cast<int64_t>(mono.size()), expansion = std::max<int64_t>(1, (8000 + sample_rate_hz - 1) / sample_rate_hz);
  FT_REQUIRE(count * expansion <= kMaxSamples, "cannot write {} samples at {} a second as MP3: too long", count, sample_rate_hz);
  bytes.resize(static_cast<size_t>(2 * (count * expansion * 5 / 4 + 7200)));
  const auto room = [&](int64_t used) { return static_cast<int>(static_cast<int64_t>(bytes.size()) - used); };
  const int written = library.encode_buffer_float(lame.get(), scaled_.data(), scaled_.data(), static_cast<int>(count), bytes.data(), room(0));
  FT_CHECK(written >= 0, "LAME's encode returns {}", written);
  const int flushed = library.encode_flush(lame.get(), bytes.data() + written, room(written));
  FT_CHECK(flushed >= 0, "LAME's flush returns {}", flushed);
  bytes.resize(static_cast<size_t>(written + flushed));
}

}  // namespace fettle::byteformer
