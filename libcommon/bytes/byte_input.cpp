#include "bytes/byte_input.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/human.h"

namespace fettle::byteformer {

Json to_json(const Input& input) {
  Json json = input.encoding ? to_json(*input.encoding) : Json{{"encoding", "as-stored"}};
  json["transforms"] = to_json(input.transforms);
  if (input.secret_phi) json["transforms"]["phi"] = "secret";
  if (input.of_images()) {
    json.update({{"size", input.size}, {"crop_pct", input.crop_pct}, {"interpolation", input.interpolation}});
  } else if (input.encoding) {
    json["num_samples"] = input.num_samples;
  } else {
    json["max_bytes"] = input.max_bytes;
  }
  return json;
}

Input input_from_json(const Json& json, const std::string& where) {
  Input input;
  try {
    Json rest = json;
    const auto take = [&](const char* key) {
      Json value = rest.at(key);
      rest.erase(key);
      return value;
    };
    const auto whole = [&](const char* key, int64_t least, int64_t most) {
      const auto value = take(key).get<int64_t>();
      FT_REQUIRE(value >= least && value <= most, "{}: {} is {}, expected {} to {}", where, key, value, least, most);
      return value;
    };
    Json transforms = take("transforms");
    if (transforms.is_object() && transforms.contains("phi") && transforms["phi"] == "secret") {
      input.secret_phi = true;
      transforms.erase("phi");
    }
    input.transforms = transforms_from_json(transforms, where);
    const bool stored = rest.at("encoding") == "as-stored";
    if (stored) {
      rest.erase("encoding");
      input.max_bytes = whole("max_bytes", 0, INT64_MAX);
      FT_REQUIRE(rest.empty(), "{}: unknown keys such as '{}'", where, rest.begin().key());
      return input;
    }
    const auto encoding = find_encoding(rest.at("encoding").get<std::string>());
    FT_REQUIRE(encoding, "{}: no encoding '{}'", where, rest.at("encoding").get<std::string>());
    if (is_of_images(*encoding)) {
      input.size = whole("size", 1, 65535);
      input.crop_pct = take("crop_pct").get<double>();
      input.interpolation = take("interpolation").get<std::string>();
      FT_REQUIRE(input.crop_pct > 0 && input.crop_pct <= 1, "{}: crop_pct is {}", where, input.crop_pct);
      FT_REQUIRE(input.interpolation == "bilinear" || input.interpolation == "bicubic", "{}: no interpolation '{}'", where, input.interpolation);
    } else {
      input.num_samples = whole("num_samples", 0, int64_t{1} << 28);
    }
    input.encoding = encoding_from_json(rest, where);
  } catch (const Json::exception& error) {
    FT_FAIL(ExitCode::kInput, "{}: the input's description is damaged: {}", where, error.what());
  }
  return input;
}

void require_bytes(const Input& input, size_t num_bytes, const std::string& name) {
  FT_REQUIRE(num_bytes > 0, "{}: its transforms leave no bytes of it", name);
  FT_REQUIRE(input.most_bytes == 0 || num_bytes <= static_cast<size_t>(input.most_bytes), "{} has {} bytes for the network, whose position table ends at {}", name, with_thousands(num_bytes),
             with_thousands(input.most_bytes));
}

FileEncoder::FileEncoder(const Input& input) : input_(input), transformer_(input.transforms) {
  FT_CHECK(!input.of_images(), "pictures are encoded after they are decoded");
  if (input.encoding) encoder_.emplace(*input.encoding);
}

void FileEncoder::encode(std::span<const uint8_t> file, const std::string& name, const SampleKey& key, std::vector<uint8_t>& bytes) {
  if (encoder_) return encode(decode(file, name), name, key, bytes);
  FT_REQUIRE(!file.empty(), "{} is empty", name);
  if (input_.max_bytes > 0 && file.size() > static_cast<size_t>(input_.max_bytes)) file = file.first(static_cast<size_t>(input_.max_bytes));
  bytes.assign(file.begin(), file.end());
  transformer_.apply(bytes, key, name);
  require_bytes(input_, bytes.size(), name);
}

FileEncoder::Waveform FileEncoder::decode(std::span<const uint8_t> file, const std::string& name) {
  FT_REQUIRE(!file.empty(), "{} is empty", name);
  decode_sound(file, name, {}, sound_);
  mix_to_mono(sound_, mono_);
  if (input_.num_samples > 0) mono_.resize(static_cast<size_t>(input_.num_samples));
  return {mono_, sound_.sample_rate_hz};
}

void FileEncoder::encode(const Waveform& sound, const std::string& name, const SampleKey& key, std::vector<uint8_t>& bytes) {
  encoder_->encode_sound(sound.mono, sound.sample_rate_hz, bytes);
  transformer_.apply(bytes, key, name);
  require_bytes(input_, bytes.size(), name);
}

}  // namespace fettle::byteformer
