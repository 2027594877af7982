// Golden cases of ByteFormer's bytes: encodings of pictures and sounds, byte transforms, the whole collate order. No LibTorch.
#include <catch2/catch.hpp>
#include <fmt/format.h>

#include <algorithm>

#include "bytes/byte_transforms.h"
#include "bytes/encodings.h"
#include "decode/image.h"
#include "decode/sound.h"
#include "tests/golden/golden.h"
#include "tests/support/temp_dir.h"

namespace fettle::golden {
namespace {

using namespace byteformer;
using nlohmann::json;

using Bytes = std::vector<uint8_t>;

// Says where two lists part instead of printing both.
template <class Found, class Expected>
void check_equal(const std::string& what, const Found& found, const Expected& expected) {
  const auto [a, b] = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
  INFO(what << ": " << found.size() << " against " << expected.size() << ", the first that differs is at " << a - found.begin());
  CHECK((a == found.end() && b == expected.end()));
}

Bytes read_bytes(const Case& test, const std::string& tensor) {
  const std::vector<int64_t> values = read_integers(test, tensor);
  return {values.begin(), values.end()};
}

Bytes file_bytes(const std::filesystem::path& path) {
  const std::string text = test::read_text(path);
  return {text.begin(), text.end()};
}

std::vector<float> read_floats(const Case& test, const std::string& tensor) {
  const std::vector<double> values = read_doubles(test, tensor);
  return {values.begin(), values.end()};
}

struct Pixels {
  Bytes bytes;
  int64_t height = 0, width = 0;
  ImageView view() const { return {bytes.data(), height, width, 3}; }
};

Pixels read_pixels(const Case& test, const std::string& tensor) {
  const TensorInfo* info = test.tensors.find(tensor);
  REQUIRE(info != nullptr);
  REQUIRE(info->shape.size() == 3);
  REQUIRE(info->shape[2] == 3);
  return {read_bytes(test, tensor), info->shape[0], info->shape[1]};
}

Bytes encode(const EncodingOptions& options, const ImageView& image) {
  Bytes bytes;
  Encoder(options).encode_image(image, bytes);
  return bytes;
}

void run_encodings_tiny(const Case& test) {
  const std::vector<int64_t>& shape = test.tensors.find("image")->shape;
  const std::vector<float> image = read_floats(test, "image");
  Bytes chw(image.size());
  quantize(image, chw);
  check_equal("fchw", chw, read_integers(test, "bytes.fCHW"));

  Pixels hwc{Bytes(chw.size()), shape[1], shape[2]};
  const size_t plane = static_cast<size_t>(hwc.height * hwc.width);
  for (size_t i = 0; i < chw.size(); ++i) hwc.bytes[i] = chw[i % 3 * plane + i / 3];
  check_equal("fhwc", encode({.encoding = Encoding::kFhwc}, hwc.view()), read_integers(test, "bytes.fHWC"));
  check_equal("fchw of the bytes", encode({.encoding = Encoding::kFchw}, hwc.view()), chw);

  std::vector<float> all(256);
  for (size_t i = 0; i < 256; ++i) all[i] = static_cast<float>(i) / 255.0f;
  Bytes back(256);
  quantize(all, back);
  check_equal("all 256", back, read_integers(test, "bytes_of_all_256_over_255"));
}

void run_encodings_photo(const Case& test) {
  const json& arguments = test.json.at("arguments");
  require_known(arguments, "arguments.", {"kind", "file", "box", "height", "width", "qualities"});
  const Pixels pixels = read_pixels(test, "pixels_hwc");
  check_equal("fchw", encode({.encoding = Encoding::kFchw}, pixels.view()), read_bytes(test, "bytes.fCHW"));
  check_equal("fhwc", encode({.encoding = Encoding::kFhwc}, pixels.view()), read_bytes(test, "bytes.fHWC"));

  const auto check_file = [&](const EncodingOptions& options, const std::string& file, const std::string& tensor) {
    INFO(file);
    const Bytes bytes = encode(options, pixels.view());
    check_equal(file, bytes, file_bytes(test.directory / file));
    const Image image = decode_image(bytes, file);
    CHECK(image.height == pixels.height);
    CHECK(image.width == pixels.width);
    check_equal("decoded " + file, image.pixels, read_bytes(test, tensor));
  };
  check_file({.encoding = Encoding::kTiff}, "image.tiff", "decoded.tiff");
  check_file({.encoding = Encoding::kPng, .png_level = 0}, "image.png", "decoded.png");
  for (const int quality : arguments.at("qualities").get<std::vector<int>>()) {
    check_file({.encoding = Encoding::kJpeg, .jpeg_quality = quality}, fmt::format("image_q{}.jpg", quality), fmt::format("decoded.jpeg_q{}", quality));
  }
}

std::vector<int32_t> read_permutation(const Case& test, const std::string& tensor) {
  const std::vector<int64_t> values = read_integers(test, tensor);
  return {values.begin(), values.end()};
}

std::vector<int16_t> read_noise(const std::vector<int64_t>& values) { return {values.begin(), values.end()}; }

void run_byte_transforms(const Case& test) {
  const json& arguments = test.json.at("arguments");
  require_known(arguments, "arguments.", {"kind", "length", "stride", "window", "noise", "masks"});
  check_equal("phi", reference_phi(), read_integers(test, "phi"));

  const Bytes x = read_bytes(test, "x");
  Bytes out(x.size());
  const auto check = [&](const std::string& name) { check_equal(name, out, read_integers(test, "out." + name)); };
  out = x;
  substitute(out, reference_phi());
  check("byte_permutation");
  reverse_bytes(x, out.data());
  check("reverse");
  rotate_by_half(x, out.data());
  check("cyclic_half_length");
  order_by_stride(x, arguments.at("stride"), out.data());
  check("stride");
  shuffle_windows(x, read_permutation(test, "permutation.window_shuffle"), out.data());
  check("window_shuffle");
  shuffle_windows(x, read_permutation(test, "permutation.random_shuffle"), out.data());
  check("random_shuffle");
  out = x;
  add_noise(out, read_noise(read_integers(test, "noise")));
  check("uniform_noise");

  for (const json& mask : arguments.at("masks")) {
    const int64_t length = mask.at(0);
    const Keep keep{.fraction = mask.at(1)};
    check_equal("mask " + mask.dump(), kept_positions(keep, length), read_integers(test, fmt::format("kept_positions.n{}.keep{}", length, mask.at(1).dump())));
  }
  // The last mask through the whole, as options.
  const json& last = arguments.at("masks").back();
  Bytes iota(last.at(0).get<size_t>());
  for (size_t i = 0; i < iota.size(); ++i) iota[i] = static_cast<uint8_t>(i);
  ByteTransformer({.keep = Keep{.fraction = last.at(1)}}).apply(iota, {}, "iota");
  check_equal("mask of iota", iota, read_integers(test, "out.mask_positions_of_iota_mod_256"));
}

// Padded with -1 to the longest, as the network takes them.
std::vector<int64_t> pad(const std::vector<Bytes>& samples) {
  size_t longest = 0;
  for (const Bytes& sample : samples) longest = std::max(longest, sample.size());
  std::vector<int64_t> tokens;
  for (const Bytes& sample : samples) {
    tokens.insert(tokens.end(), sample.begin(), sample.end());
    tokens.insert(tokens.end(), longest - sample.size(), -1);
  }
  return tokens;
}

void run_collate(const Case& test) {
  const json& arguments = test.json.at("arguments");
  require_known(arguments, "arguments.", {"kind", "files", "box", "height", "width", "keep"});
  const Pixels pictures[] = {read_pixels(test, "pixels_hwc_0"), read_pixels(test, "pixels_hwc_1")};

  ByteTransformer jpeg({.reorder = Reorder{.order = Order::kCyclicHalfLength}, .phi = reference_phi()});
  std::vector<Bytes> samples;
  for (const Pixels& picture : pictures) {
    samples.push_back(encode({.encoding = Encoding::kJpeg, .jpeg_quality = 100}, picture.view()));
    jpeg.apply(samples.back(), {}, "picture");
  }
  check_equal("jpeg", pad(samples), read_integers(test, "jpeg.tokens"));

  // The noise is given, so the parts before and after it are two transformers. Both pictures have the first one's height.
  ByteTransformer camera({.keep = Keep{.fraction = arguments.at("keep"), .length = 3 * pictures[0].height * pictures[0].width}});
  ByteTransformer phi({.phi = reference_phi()});
  const std::vector<int64_t> noise = read_integers(test, "camera.noise");
  samples.clear();
  for (const Pixels& picture : pictures) {
    Bytes sample = encode({.encoding = Encoding::kFhwc}, {picture.bytes.data(), pictures[0].height, picture.width, 3});
    camera.apply(sample, {}, "picture");
    const auto first = noise.begin() + static_cast<int64_t>(samples.size() * sample.size());
    add_noise(sample, read_noise({first, first + static_cast<int64_t>(sample.size())}));
    phi.apply(sample, {}, "picture");
    samples.push_back(sample);
  }
  check_equal("camera", pad(samples), read_integers(test, "camera.tokens"));
}

void run_audio_bytes(const Case& test) {
  const json& arguments = test.json.at("arguments");
  require_known(arguments, "arguments.", {"file", "samples", "start", "formats", "stereo", "sample_rate_hz"});
  const std::vector<int64_t>& shape = test.tensors.find("audio")->shape;
  REQUIRE(shape.size() == 2);
  const std::vector<float> audio = read_floats(test, "audio");
  Sound sound{.num_frames = shape[1], .num_channels = shape[0], .sample_rate_hz = arguments.at("sample_rate_hz")};
  sound.samples.resize(audio.size());
  for (size_t i = 0; i < audio.size(); ++i) {
    const size_t channels = static_cast<size_t>(shape[0]), frames = static_cast<size_t>(shape[1]);
    sound.samples[i % frames * channels + i / frames] = audio[i];
  }
  std::vector<float> mono;
  mix_to_mono(sound, mono);
  for (const std::string format : arguments.at("formats")) {
    const bool mp3 = format == "mp3";
    const auto encoding = find_encoding(mp3 ? format : "wav-" + format);
    if (!encoding) throw Skip{fmt::format("format '{}' is not known", format)};
    Bytes bytes;
    Encoder({.encoding = *encoding}).encode_sound(mono, sound.sample_rate_hz, bytes);
    const std::string file = mp3 ? "clip.mp3" : "clip_" + format + ".wav";
    check_equal(file, bytes, file_bytes(test.directory / file));
  }
}

}  // namespace

std::vector<Kind> byteformer_kinds() {
  return {{"byteformer/encodings_tiny", run_encodings_tiny},
          {"byteformer/encodings_photo", run_encodings_photo},
          {"byteformer/byte_transforms", run_byte_transforms},
          {"byteformer/collate", run_collate},
          {"byteformer/audio_bytes", run_audio_bytes}};
}

}  // namespace fettle::golden
