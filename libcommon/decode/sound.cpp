#include "decode/sound.h"

#include <dlfcn.h>
#include <sndfile.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <string>

#include "base/errors.h"
#include "decode/sound_readers.h"

namespace fettle {
namespace {

uint32_t little32(const uint8_t* at) { return at[0] | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24; }

bool has(std::span<const uint8_t> bytes, size_t at, std::string_view text) { return bytes.size() >= at + text.size() && std::memcmp(bytes.data() + at, text.data(), text.size()) == 0; }

constexpr int64_t kMaxRate = int64_t{1} << 20;
constexpr int64_t kBlockSamples = int64_t{1} << 16;  // read at a time: memory grows with what is there

// ---- what is told by the bytes ---------------------------------------------------------------------------------------

// An MPEG audio frame, layer III: its sync, and no reserved version, bit rate or sampling rate.
bool is_mp3_frame(std::span<const uint8_t> bytes) {
  return bytes.size() >= 4 && bytes[0] == 0xFF && (bytes[1] & 0xE0) == 0xE0 && (bytes[1] & 0x18) != 0x08 && (bytes[1] & 0x06) == 0x02 && (bytes[2] & 0xF0) != 0xF0 &&
         (bytes[2] & 0xF0) != 0 && (bytes[2] & 0x0C) != 0x0C;
}

std::optional<SoundFormat> find_format(std::span<const uint8_t> bytes) {
  if ((has(bytes, 0, "RIFF") || has(bytes, 0, "RF64")) && has(bytes, 8, "WAVE")) return SoundFormat::kWav;
  if (has(bytes, 0, "fLaC")) return SoundFormat::kFlac;
  if (has(bytes, 0, "OggS")) return SoundFormat::kOgg;
  if (has(bytes, 0, "ID3") || is_mp3_frame(bytes)) return SoundFormat::kMp3;
  return std::nullopt;
}

// libsndfile takes a chunk of samples that ends early for a shorter one.
void require_whole_wav(std::span<const uint8_t> bytes, std::string_view name) {
  constexpr uint32_t kUnknown = 0xFFFFFFFF;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const uint64_t size = little32(bytes.data() + at + 4), left = bytes.size() - at - 8;
    if (has(bytes, at, "data")) {
      FT_REQUIRE(size <= left || size == kUnknown, "{} ends early: its samples take {} bytes, and {} are there", name, size, left);
      return;
    }
    FT_REQUIRE(size <= left, "{} ends early: a chunk takes {} bytes, and {} are there", name, size, left);
    at += 8 + static_cast<size_t>(size) + size % 2;
  }
  FT_FAIL(ExitCode::kInput, "{} has no chunk of samples", name);
}

// The checksum of an Ogg page, in which its own four bytes count as zeros: CRC-32 with polynomial 0x04C11DB7, highest bit first, from 0.
uint32_t ogg_checksum(std::span<const uint8_t> page) {
  static constexpr std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i << 24;
      for (int bit = 0; bit < 8; ++bit) value = value << 1 ^ (value >> 31 != 0 ? 0x04C11DB7 : 0);
      table[i] = value;
    }
    return table;
  }();
  uint32_t sum = 0;
  for (size_t i = 0; i < page.size(); ++i) sum = sum << 8 ^ kTable[sum >> 24 ^ (i >= 22 && i < 26 ? 0 : page[i])];
  return sum;
}

// Pages one after the other from the first byte to the last, each with its checksum: libogg skips what is none without a word.
void require_whole_ogg(std::span<const uint8_t> bytes, std::string_view name) {
  constexpr size_t kHeader = 27;
  for (size_t at = 0; at < bytes.size();) {
    FT_REQUIRE(has(bytes, at, "OggS") || bytes.size() - at < 4, "{} is damaged: no page at byte {}", name, at);
    const std::span<const uint8_t> rest = bytes.subspan(at);
    const bool has_header = rest.size() >= kHeader && rest.size() >= kHeader + rest[26];
    size_t size = kHeader;
    if (has_header) size = std::accumulate(rest.begin() + kHeader, rest.begin() + kHeader + rest[26], kHeader + rest[26]);
    FT_REQUIRE(has_header && rest.size() >= size, "{} ends early: inside a page", name);
    FT_REQUIRE(ogg_checksum(rest.first(size)) == little32(rest.data() + 22), "{} is damaged: the page at byte {} has a wrong checksum", name, at);
    at += size;
  }
}

// ---- libsndfile ------------------------------------------------------------------------------------------------------

// Opened when the first sound comes: most tools never read one.
struct SndFile {
  void* const handle = dlopen("libsndfile.so.1", RTLD_NOW | RTLD_LOCAL);
  decltype(&::sf_open_virtual) open_virtual = find<decltype(&::sf_open_virtual)>("sf_open_virtual");
  decltype(&::sf_readf_float) readf_float = find<decltype(&::sf_readf_float)>("sf_readf_float");
  decltype(&::sf_error) error = find<decltype(&::sf_error)>("sf_error");
  decltype(&::sf_strerror) strerror = find<decltype(&::sf_strerror)>("sf_strerror");
  decltype(&::sf_close) close = find<decltype(&::sf_close)>("sf_close");

  template <class Function>
  Function find(const char* name) {
    return handle != nullptr ? reinterpret_cast<Function>(dlsym(handle, name)) : nullptr;
  }
};

const SndFile& lib() {
  static const SndFile library;
  if (!library.open_virtual || !library.readf_float || !library.error || !library.strerror || !library.close) {
    throw Error(ExitCode::kMachine, "sound files need libsndfile (libsndfile.so.1), which is not on this machine", "apt-get install libsndfile1");
  }
  return library;
}

struct Memory {
  std::span<const uint8_t> bytes;
  int64_t at = 0;

  int64_t size() const { return static_cast<int64_t>(bytes.size()); }
};

Memory& memory_of(void* user) { return *static_cast<Memory*>(user); }

sf_count_t on_size(void* user) { return memory_of(user).size(); }
sf_count_t on_tell(void* user) { return memory_of(user).at; }
sf_count_t on_write(const void*, sf_count_t, void*) { return 0; }

sf_count_t on_seek(sf_count_t offset, int whence, void* user) {
  Memory& memory = memory_of(user);
  const int64_t base = whence == SEEK_CUR ? memory.at : whence == SEEK_END ? memory.size() : 0;
  if (offset < -base || offset > memory.size() - base) return -1;
  return memory.at = base + offset;
}

sf_count_t on_read(void* to, sf_count_t size, void* user) {
  Memory& memory = memory_of(user);
  const int64_t count = std::clamp<int64_t>(size, 0, memory.size() - memory.at);
  std::memcpy(to, memory.bytes.data() + memory.at, static_cast<size_t>(count));
  memory.at += count;
  return count;
}

// Some of it may come out of the file.
std::string plain(const char* text) {
  std::string out(text != nullptr ? text : "");
  std::replace_if(out.begin(), out.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }, ' ');
  return out;
}

using Handle = std::unique_ptr<SNDFILE, int (*)(SNDFILE*)>;

Handle open(Memory& memory, std::string_view name, SoundFormat format, SF_INFO& info) {
  // What a failure leaves behind is the process's: one at a time.
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  SF_VIRTUAL_IO io{on_size, on_seek, on_read, on_write, on_tell};
  Handle file(lib().open_virtual(&io, SFM_READ, &info, &memory), lib().close);
  FT_REQUIRE(file != nullptr, "{} is damaged or no {} that can be read: {}", name, sound_format_name(format), plain(lib().strerror(nullptr)));
  return file;
}

bool is_wanted(SoundFormat format, int type, int encoding) {
  switch (format) {
    case SoundFormat::kWav:
      switch (encoding) {
        case SF_FORMAT_PCM_U8:
        case SF_FORMAT_PCM_16:
        case SF_FORMAT_PCM_24:
        case SF_FORMAT_PCM_32:
        case SF_FORMAT_FLOAT:
        case SF_FORMAT_DOUBLE:
        case SF_FORMAT_ULAW:
        case SF_FORMAT_ALAW: return type == SF_FORMAT_WAV || type == SF_FORMAT_WAVEX || type == SF_FORMAT_RF64;
        default: return false;
      }
    case SoundFormat::kFlac: return type == SF_FORMAT_FLAC;
    case SoundFormat::kOgg: return type == SF_FORMAT_OGG && (encoding == SF_FORMAT_VORBIS || encoding == SF_FORMAT_OPUS);
    case SoundFormat::kMp3: break;
  }
  return false;
}

void decode_others(const SoundFile& source, Sound& sound) {
  const std::string_view name = source.name;
  if (sound.format == SoundFormat::kWav) require_whole_wav(source.bytes, name);
  if (sound.format == SoundFormat::kOgg) require_whole_ogg(source.bytes, name);

  Memory memory{source.bytes};
  SF_INFO info{};
  const Handle file = open(memory, name, sound.format, info);
  FT_REQUIRE(is_wanted(sound.format, info.format & SF_FORMAT_TYPEMASK, info.format & SF_FORMAT_SUBMASK), "{}: {} with encoding {:#x} is not read", name, sound_format_name(sound.format), info.format);
  set_shape(source, info.channels, info.samplerate, sound);
  const int64_t claimed = info.frames;
  const bool is_exact = sound.format != SoundFormat::kOgg && claimed != SF_COUNT_MAX;
  FT_REQUIRE(!is_exact || claimed <= source.limits.max_frames, "{} has {} frames of samples, expected at most {}", name, claimed, source.limits.max_frames);
  while (true) {
    const int64_t block = next_block(sound, claimed - sound.num_frames);
    const int64_t got = lib().readf_float(file.get(), sound.samples.data() + sound.num_frames * info.channels, block);
    const int error = lib().error(file.get());
    FT_REQUIRE(error == SF_ERR_NO_ERROR, "{} is damaged: {}", name, plain(lib().strerror(file.get())));
    if (got <= 0) break;
    add_frames(source, got, sound);
  }
  FT_REQUIRE(!is_exact || sound.num_frames == claimed, "{} is damaged: its header tells of {} frames of samples, and {} are there", name, claimed, sound.num_frames);
}

}  // namespace

void set_shape(const SoundFile& file, int64_t num_channels, int64_t sample_rate_hz, Sound& sound) {
  FT_REQUIRE(num_channels >= 1 && num_channels <= file.limits.max_channels, "{} has {} channels, expected 1 to {}", file.name, num_channels, file.limits.max_channels);
  FT_REQUIRE(sample_rate_hz >= 1 && sample_rate_hz <= kMaxRate, "{} has {} samples a second, expected 1 to {}", file.name, sample_rate_hz, kMaxRate);
  sound.num_channels = num_channels;
  sound.sample_rate_hz = sample_rate_hz;
  sound.num_frames = 0;
}

int64_t next_block(Sound& sound, int64_t expected) {
  const int64_t largest = std::max<int64_t>(1, kBlockSamples / sound.num_channels), block = std::min(expected > 0 ? expected : 256, largest);
  const auto needed = static_cast<size_t>((sound.num_frames + block) * sound.num_channels);
  if (sound.samples.size() < needed) sound.samples.resize(needed);
  return block;
}

void add_frames(const SoundFile& file, int64_t num_frames, Sound& sound) {
  sound.num_frames += num_frames;
  FT_REQUIRE(sound.num_frames <= file.limits.max_frames, "{} has more than {} frames of samples", file.name, file.limits.max_frames);
}

std::string_view sound_format_name(SoundFormat format) {
  constexpr std::string_view kNames[] = {"WAV", "FLAC", "Ogg", "MP3"};
  return kNames[static_cast<size_t>(format)];
}

void decode_sound(std::span<const uint8_t> bytes, std::string_view name, const SoundLimits& limits, Sound& sound) {
  const std::optional<SoundFormat> format = find_format(bytes);
  FT_REQUIRE(format, "{} is no WAV, FLAC, Ogg or MP3 file", name);
  sound.format = *format;
  const SoundFile file{bytes, name, limits};
  if (*format == SoundFormat::kMp3) {
    decode_mp3(file, sound);
  } else {
    decode_others(file, sound);
  }
  FT_REQUIRE(sound.num_frames > 0, "{} holds no samples", name);
  sound.samples.resize(static_cast<size_t>(sound.num_frames * sound.num_channels));
  const auto bad = std::find_if(sound.samples.begin(), sound.samples.end(), [](float value) { return !std::isfinite(value); });
  FT_REQUIRE(bad == sound.samples.end(), "{}: sample {} is {}", name, (bad - sound.samples.begin()) / sound.num_channels, *bad);
}

Sound decode_sound(std::span<const uint8_t> bytes, std::string_view name, const SoundLimits& limits) {
  Sound sound;
  decode_sound(bytes, name, limits, sound);
  return sound;
}

void mix_to_mono(const Sound& sound, std::vector<float>& mono) {
  FT_CHECK(sound.num_channels >= 1 && sound.samples.size() == static_cast<size_t>(sound.num_frames * sound.num_channels), "{} samples of {} x {}", sound.samples.size(), sound.num_frames,
           sound.num_channels);
  if (sound.num_channels == 1) {
    mono = sound.samples;
    return;
  }
  const auto channels = static_cast<size_t>(sound.num_channels);
  mono.resize(static_cast<size_t>(sound.num_frames));
  for (size_t i = 0; i < mono.size(); ++i) {
    float sum = 0;
    for (size_t c = 0; c < channels; ++c) sum += sound.samples[i * channels + c];
    mono[i] = sum / static_cast<float>(channels);
  }
}

}  // namespace fettle
