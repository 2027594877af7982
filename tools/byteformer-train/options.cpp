#include "byteformer-train/options.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"

namespace fettle::byteformer {
namespace {

Noise parse_noise(const std::string& text) {
  const std::vector<std::string> parts = split(text, ':');
  double lo = 0, hi = 0;
  const bool two = parts.size() == 2 && parse_number(parts[0], lo) && parse_number(parts[1], hi);
  FT_REQUIRE_USAGE(two && lo == static_cast<int>(lo) && hi == static_cast<int>(hi), "--noise: expected LO:HI, two whole numbers (-5:5), found '{}'", text);
  return {static_cast<int>(lo), static_cast<int>(hi)};
}

ByteTransforms transforms_of(const Options& options) {
  ByteTransforms transforms;
  if (options.reorder != "none") {
    transforms.reorder = Reorder{*find_order(options.reorder), options.reorder_stride, options.reorder_window, options.redraw_windows};
  }
  if (options.keep) transforms.keep = Keep{.fraction = *options.keep};
  if (!options.noise.empty()) transforms.noise = parse_noise(options.noise);
  if (options.phi) transforms.phi = reference_phi();
  validate(transforms);
  return transforms;
}

}  // namespace

Json arch_options(const Options& options) {
  Json overrides = options.arch_options.empty() ? Json::object() : Json::parse(options.arch_options);
  FT_REQUIRE_USAGE(!overrides.contains("masks") && !overrides.contains("max_tokens"), "--arch-options: masks and max_tokens have flags of their own");
  overrides["masks"] = options.masks;
  if (options.max_tokens) overrides["max_tokens"] = *options.max_tokens;
  return overrides;
}

bool trains(const Options& options) { return options.predict.empty() && !options.evaluate && options.explain.empty(); }

void bind(FlagTable& table, Options& options) {
  bind(table, options.data);

  table.group("Bytes");
  table.flag("encoding", options.encoding, "what the network reads: files as they are stored, or what pictures or sounds are written as before")
      .choices({"as-stored", "fhwc", "fchw", "tiff", "png", "jpeg", "wav-float32", "wav-int32", "wav-int16", "wav-uint8", "mp3"})
      .common();
  table.flag("size", options.size, "pictures: height and width before they are encoded").range(1, 65535).unit("px").common();
  table.flag("jpeg-quality", options.jpeg_quality, "jpeg: quality, with 4:2:0 chroma").range(1, 100);
  table.flag("png-level", options.png_level, "png: compression; 0 stores").range(0, 9);
  table.flag("num-samples", options.num_samples, "sounds: cut or filled up with zeros to so many; 0 leaves them").range(0, 1 << 28);
  table.flag("max-bytes", options.max_bytes, "as-stored: the rest of longer files is left out; 0 takes all").range(0, 1e15);
  table.flag("reorder", options.reorder, "order of the bytes").choices({"none", "reverse", "cyclic-half-length", "stride", "window-shuffle", "random-shuffle"});
  table.flag("reorder-stride", options.reorder_stride, "stride: distance of bytes that come together").range(1, 1e12);
  table.flag("reorder-window", options.reorder_window, "window-shuffle: bytes a window").range(1, 1 << 24);
  table.flag("redraw-windows", options.redraw_windows, "window-shuffle: a new permutation for every batch");
  table.flag("keep", options.keep, "share of the positions whose bytes are kept: a camera that reads no more").range(1e-9, 1);
  table.flag("noise", options.noise, "added to each byte, uniform from LO to HI: -5:5").metavar("LO:HI");
  table.flag("phi", options.phi, "substitute bytes by the public code's permutation");
  table.flag("phi-file", options.phi_file, "substitute bytes by a permutation of your own, which the artifact does not hold: 256 bytes or numbers").metavar("FILE").input("phi");

  table.group("Model");
  table.flag("arch", options.arch, "bf_tiny, bf_small, bf_base, bf_huge, or bf_custom with --arch-options").metavar("NAME").common();
  table.flag("arch-options", options.arch_options, "members of the architecture, JSON text or a .json file: '{\"kernel\": 32, \"windows\": 128}'").metavar("JSON").json_object();
  table.flag("masks", options.masks, "padding is left out, or acts as tokens as in the public code").choices({"correct", "reference"});
  table.flag("max-tokens", options.max_tokens, "rows of the position table").range(1, 1e8).default_text("as many as the longest file needs");
  table.flag("init", options.init, "start from these weights: an artifact, .safetensors, or what torch.save wrote").metavar("PATH").input("init");
  table.flag("init-partial", options.init_partial, "take what fits of --init, where names are missing or unexpected");
  table.flag("label-smoothing", options.label_smoothing, "probability spread over all classes").range(0, 1);

  bind(table, options.train);
  table.flag("batch-tokens", options.batch_tokens, "instead of --batch-size: as many files as have so many tokens, of similar length").range(1, 1e9);

  table.group("Other modes");
  table.flag("from", options.from, "--predict, --evaluate, --explain: an artifact of this tool").metavar("DIR").input("from").common();
  table.flag("predict", options.predict, "classify files and folders of files; - is standard input. One line of JSON each").metavar("PATH").many().not_recorded().common();
  table.flag("evaluate", options.evaluate, "accuracy and calibration on --data").not_recorded();
  table.flag("explain", options.explain, "which bytes of a file its answer hangs on, by the parts of its format; - is standard input").metavar("FILE").not_recorded().common();
  table.flag("report", options.report, "--explain: write a page that shows it").metavar("FILE").not_recorded();
}

void validate(const Options& options) {
  FT_REQUIRE_USAGE(!options.predict.empty() + options.evaluate + !options.explain.empty() <= 1, "--predict, --evaluate and --explain exclude each other");
  FT_REQUIRE_USAGE(options.report.empty() || !options.explain.empty(), "--report goes with --explain");
  FT_REQUIRE_USAGE(options.phi_file.empty() || !options.phi, "--phi and --phi-file exclude each other");
  if (!trains(options)) {
    FT_REQUIRE_USAGE(!options.from.empty(), "--from is needed: the artifact to {} with", options.evaluate ? "evaluate" : options.predict.empty() ? "explain" : "predict");
    FT_REQUIRE_USAGE(options.predict.empty() || options.data.data.empty(), "--predict takes files, not --data");
    FT_REQUIRE_USAGE(options.explain.empty() || options.data.data.empty(), "--explain takes a file, not --data");
    FT_REQUIRE_USAGE(options.explain.empty() || options.train.precision != "bf16", "--explain computes in fp32, not with --precision bf16");
    FT_REQUIRE_USAGE(!options.evaluate || !options.data.data.empty(), "--data is needed by --evaluate");
    return;
  }
  validate(options.data);
  validate(options.train);
  FT_REQUIRE_USAGE(options.from.empty(), "--from goes with --predict, --evaluate and --explain; training starts from --init");
  FT_REQUIRE_USAGE(!options.init_partial || !options.init.empty(), "--init-partial goes with --init");
  transforms_of(options);
  byteformer_description(options.arch, 2, arch_options(options));
  FT_REQUIRE_USAGE(options.data.mixup_alpha == 0 && options.data.cutmix_alpha == 0, "--mixup-alpha, --cutmix-alpha: bytes cannot be mixed");
}

Input input_of(const Options& options) {
  Input input;
  if (options.encoding != "as-stored") {
    input.encoding = EncodingOptions{.encoding = *find_encoding(options.encoding)};
    if (input.encoding->encoding == Encoding::kJpeg) input.encoding->jpeg_quality = static_cast<int>(options.jpeg_quality);
    if (input.encoding->encoding == Encoding::kPng) input.encoding->png_level = static_cast<int>(options.png_level);
  }
  input.transforms = transforms_of(options);
  if (!options.phi_file.empty()) {
    input.transforms.phi = read_phi(options.phi_file);
    input.secret_phi = true;
  }
  if (input.of_images()) {
    input.size = options.size;
  } else if (input.encoding) {
    input.num_samples = options.num_samples;
  } else {
    input.max_bytes = options.max_bytes;
  }
  return input;
}

}  // namespace fettle::byteformer
