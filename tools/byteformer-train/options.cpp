#include "byteformer-train/options.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/text.h"

namespace fettle::byteformer {
namespace {

constexpr int64_t kPhotographSize = 224;  // where pictures have no size of their own

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

// The paper's settings (arXiv 2306.00238; its public code's projects/byteformer), for one of its GPUs: it ran eight for pictures, four for sounds.
Json paper_settings() {
  return {{"epochs", 300},      {"opt", "adamw"},           {"lr", 1e-3},          {"lr_min", 2e-5},   {"lr_warmup_init", 1e-6},   {"lr_scheduler", "cosine"}, {"lr_update", "epoch"},
          {"batch_size", 48},   {"grad_accum_steps", 2},    {"weight_decay", 0.05}, {"model_ema", true}, {"model_ema_decay", 0.9999}, {"label_smoothing", 0.1}};
}

Json imagenet_settings() {
  Json settings = paper_settings();
  settings.update({{"lr_warmup_steps", 7500}, {"size", 224}, {"crop_scale", "0.08:1"}, {"hflip", 0.5}, {"interpolation", "bicubic"}, {"crop_pct", 0.875}, {"auto_augment", "ra"}, {"random_erase", 0.25}});
  return settings;
}

Json speech_commands_settings() {
  Json settings = paper_settings();
  settings.update({{"lr_warmup_steps", 500}, {"num_samples", 16000}, {"sound_roll", 0.1}, {"mixup_alpha", 1.0}});
  return settings;
}

}  // namespace

Json arch_options(const Options& options) {
  Json overrides = options.arch_options.empty() ? Json::object() : Json::parse(options.arch_options);
  for (const auto& [member, flag] : {std::pair("masks", "--masks"), std::pair("max_tokens", "--max-tokens"), std::pair("positions", "--longer-files")}) {
    FT_REQUIRE_USAGE(!overrides.contains(member), "--arch-options: {} has a flag of its own, {}", member, flag);
  }
  overrides["masks"] = options.masks;
  if (options.longer_files != "auto") overrides["positions"] = positions_of(options.longer_files);
  if (options.max_tokens) overrides["max_tokens"] = *options.max_tokens;
  return overrides;
}

std::string positions_of(const std::string& longer_files) {
  if (longer_files == "auto") return "";
  return longer_files == "truncate" ? "truncated" : longer_files == "interpolate" ? "interpolated" : "table";
}

bool encodes_images(const Options& options) {
  const auto encoding = find_encoding(options.encoding);
  return encoding && is_of_images(*encoding);
}

bool augments_sounds(const Options& options) { return !options.background.empty() || options.sound_roll > 0 || options.data.mixup_alpha > 0; }

bool trains(const Options& options) { return options.predict.empty() && !options.evaluate && options.explain.empty(); }

void bind(FlagTable& table, Options& options) {
  bind(table, options.data);

  table.group("Recipe");
  table.flag("recipe", options.recipe, "the paper's settings for pictures that are encoded, or for sounds; further flags change them. --print-config shows them")
      .choices({"none", "imagenet", "speech-commands"})
      .preset("imagenet", imagenet_settings())
      .preset("speech-commands", speech_commands_settings())
      .common();

  table.group("Bytes");
  table.flag("encoding", options.encoding, "what the network reads: files as they are stored, or what pictures or sounds are written as before")
      .choices({"as-stored", "fhwc", "fchw", "tiff", "png", "jpeg", "wav-float32", "wav-int32", "wav-int16", "wav-uint8", "mp3"})
      .common();
  table.flag("jpeg-quality", options.jpeg_quality, "jpeg: quality, with 4:2:0 chroma").range(1, 100);
  table.flag("png-level", options.png_level, "png: compression; 0 stores").range(0, 9);
  table.flag("num-samples", options.num_samples, "sounds: cut or filled up with zeros to so many; 0 leaves them").range(0, 1 << 28);
  table.flag("background", options.background, "sounds, in training: laid over each, from a random place: a folder of sounds, or one").metavar("PATH").input("background");
  table.flag("background-db", options.background_db, "how loud, of full scale").range(-200, 20).unit("dB");
  table.flag("sound-roll", options.sound_roll, "sounds, in training: moved by up to so much of their length either way, and what leaves at one end comes back at the other").range(0, 0.5);
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
  table.flag("longer-files", options.longer_files, "files of more tokens than that: refused, cut, or given interpolated positions; auto refuses, but cuts where contents decide how long files get; later it does as the artifact's network")
      .choices({"auto", "refuse", "truncate", "interpolate"});
  table.flag("init", options.init, "start from these weights: an artifact, .safetensors, or what torch.save wrote").metavar("PATH").input("init");
  table.flag("init-partial", options.init_partial, "take what fits of --init, where names are missing or unexpected");
  table.flag("label-smoothing", options.label_smoothing, "probability spread over all classes").range(0, 1);

  bind(table, options.sampling);

  bind(table, options.train);
  table.flag("batch-tokens", options.batch_tokens, "instead of --batch-size: as many files as have so many tokens, of similar length").range(1, 1e9);

  table.group("Other modes");
  table.flag("from", options.from, "--predict, --evaluate, --explain: an artifact of this tool").metavar("DIR").input("from").common();
  table.flag("predict", options.predict, "classify files and folders of files; - is standard input. One line of JSON each").metavar("PATH").many().not_recorded().common();
  table.flag("evaluate", options.evaluate, "accuracy and calibration on --data").not_recorded();
  table.flag("sweep", options.sweep, "--evaluate: also with each of 15 reorderings, masks, noises and permutations of the bytes by itself").not_recorded();
  table.flag("explain", options.explain, "which bytes of a file its answer hangs on, by the parts of its format; - is standard input").metavar("FILE").not_recorded().common();
  table.flag("report", options.report, "--explain: write a page that shows it").metavar("FILE").not_recorded();
}

void validate(const Options& options) {
  FT_REQUIRE_USAGE(!options.predict.empty() + options.evaluate + !options.explain.empty() <= 1, "--predict, --evaluate and --explain exclude each other");
  FT_REQUIRE_USAGE(!options.sweep || options.evaluate, "--sweep goes with --evaluate");
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
  FT_REQUIRE_USAGE(options.recipe != "imagenet" || encodes_images(options), "--recipe imagenet is for pictures that --encoding writes, not {}", options.encoding);
  FT_REQUIRE_USAGE(options.recipe != "speech-commands" || (find_encoding(options.encoding) && !encodes_images(options)), "--recipe speech-commands is for sounds that --encoding writes, not {}",
                   options.encoding);
  validate(options.data);
  validate(options.train);
  validate(options.sampling);
  if (!encodes_images(options)) {
    FT_REQUIRE_USAGE(options.sampling.sampler == "ssc-fbs" && !options.sampling.size, "--size, --sampler: only pictures that --encoding writes have sizes");
    FT_REQUIRE_USAGE(options.data.ra_reps == 1, "--ra-reps: only pictures that --encoding writes are augmented");
    FT_REQUIRE_USAGE(options.data.cache_bytes == "0", "--cache-bytes: files are read as they are, and the system keeps them");
  }
  FT_REQUIRE_USAGE(!options.batch_tokens || options.sampling.sampler == "ssc-fbs", "--batch-tokens and --sampler {} exclude each other", options.sampling.sampler);
  FT_REQUIRE_USAGE(options.from.empty(), "--from goes with --predict, --evaluate and --explain; training starts from --init");
  FT_REQUIRE_USAGE(!options.init_partial || !options.init.empty(), "--init-partial goes with --init");
  transforms_of(options);
  byteformer_description(options.arch, 2, arch_options(options));
  FT_REQUIRE_USAGE(options.data.mixup_alpha == 0 || options.num_samples > 0, "--mixup-alpha: sounds are mixed that --num-samples makes of one length");
  FT_REQUIRE_USAGE(options.data.cutmix_alpha == 0, "--cutmix-alpha: bytes cannot be mixed");
  FT_REQUIRE_USAGE(!augments_sounds(options) || (find_encoding(options.encoding) && !encodes_images(options)),
                   "--background, --sound-roll, --mixup-alpha: sounds that --encoding writes are augmented so, and {} is none", options.encoding);
}

Input input_of(const Options& options, std::optional<int64_t> image_side) {
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
    input.size = options.sampling.size.value_or(image_side.value_or(kPhotographSize));
  } else if (input.encoding) {
    input.num_samples = options.num_samples;
  } else {
    input.max_bytes = options.max_bytes;
  }
  return input;
}

std::optional<multiscale::SamplerOptions> sampler_of(const Options& options, const Input& input, int64_t num_samples, uint64_t seed) {
  if (!input.of_images() || options.batch_tokens) return std::nullopt;
  return multiscale::sampler_options(options.sampling, {.num_samples = num_samples,
                                                        .image_size = input.size,
                                                        .batch_size = options.train.batch_size,
                                                        .epochs = options.train.epochs,
                                                        .repeats = options.data.ra_reps,
                                                        .seed = seed});
}

}  // namespace fettle::byteformer
