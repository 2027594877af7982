#include "data/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "base/errors.h"
#include "base/human.h"
#include "base/text.h"

namespace fettle {
namespace {

constexpr double kPhotographCropShare = 0.875;

// Shares of an image's area, MIN:MAX in (0, 1].
void parse_crop_scale(const std::string& text, CropOptions& crop) {
  const std::vector<std::string> parts = split(text, ':');
  double bounds[2] = {0, 0};
  bool fits = parts.size() == 2;
  for (size_t i = 0; fits && i < 2; ++i) fits = parse_number(parts[i], bounds[i]) && bounds[i] > 0 && bounds[i] <= 1;
  FT_REQUIRE_USAGE(fits && bounds[0] <= bounds[1], "--crop-scale: expected MIN:MAX, shares in (0, 1], found '{}'", text);
  crop.scale_min = bounds[0];
  crop.scale_max = bounds[1];
}

int64_t cache_bytes(const DataOptions& options) {
  int64_t bytes = 0;
  FT_REQUIRE_USAGE(parse_bytes(options.cache_bytes, bytes), "--cache-bytes: expected a size like 4GiB or 500MB, found '{}'", options.cache_bytes);
  return bytes;
}

PhotometricOptions photometric_options(const DataOptions& options) {
  PhotometricOptions photometric;
  photometric.policy = parse_auto_augment(options.auto_augment);
  photometric.magnitude = options.ra_magnitude;
  if (!options.color_jitter.empty()) photometric.jitter = parse_color_jitter(options.color_jitter);
  photometric.erase.probability = options.random_erase;
  validate(photometric);
  return photometric;
}

bool is_photographs(const ImageData& data) { return std::holds_alternative<ImageFiles>(data.train); }

// Opens some of the images, evenly spread.
void look_at_some(const ImageFiles& files, const DecodeOptions& decode, const std::function<void(const ImageInfo&, ImageDecoder&)>& look) {
  constexpr int64_t kMost = 64;
  ImageDecoder decoder(decode);
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < std::min(kMost, files.size()); ++i) {
    const int64_t index = i * files.size() / std::min(kMost, files.size());
    ImageInfo info;
    try {
      info = decoder.open(files.read(index, buffer), files.name(index));
    } catch (const Error&) {
      continue;  // training says what is wrong with it when its turn comes
    }
    look(info, decoder);
  }
}

// "384x512" or "320x240 to 640x480": sides of some of the images, by their headers.
std::string sizes_seen(const ImageFiles& files, const DecodeOptions& decode) {
  ImageInfo smallest, largest;
  look_at_some(files, decode, [&](const ImageInfo& info, ImageDecoder&) {
    const int64_t pixels = info.height * info.width;
    if (smallest.height == 0 || pixels < smallest.height * smallest.width) smallest = info;
    if (pixels > largest.height * largest.width) largest = info;
  });
  if (largest.height == 0) return "of unknown size";
  if (smallest.height == largest.height && smallest.width == largest.width) return fmt::format("of {}x{}", largest.width, largest.height);
  return fmt::format("of {}x{} to {}x{}", smallest.width, smallest.height, largest.width, largest.height);
}

ImageData open_idx(const DataOptions& options) {
  FT_REQUIRE_USAGE(options.val_data.empty() && !options.val_fraction, "--val-data and --val-fraction: IDX data bring a test part of their own");
  ImageDataset set = load_image_dataset(options.data, options.num_classes);
  ImageData data;
  data.channels = set.train.channels;
  data.num_classes = set.train.num_classes;
  data.class_names = set.class_names;
  if (set.train.height == set.train.width) data.side = set.train.height;
  data.normalization = channel_statistics(set.train);
  data.inputs = {{set.folder.string(), DataFormat::kIdx, ""}};
  data.description = fmt::format("{}: {} training and {} test images of {}x{}x{}, {} classes", set.folder.string(), with_thousands(set.train.num_images),
                                 with_thousands(set.test.num_images), set.train.height, set.train.width, set.train.channels, set.train.num_classes);
  data.train = std::move(set.train);
  data.validation = std::move(set.test);
  return data;
}

ImageData open_files(const DataOptions& options, std::optional<DataFormat> format) {
  DataSource source;
  source.data = options.data;
  source.val_data = options.val_data;
  source.format = format;
  source.val_fraction = options.val_fraction;
  source.num_classes = options.num_classes;
  ImageFileDataset files = open_image_files(source);
  ImageData data;
  data.channels = 3;
  data.num_classes = files.num_classes;
  data.class_names = files.class_names;
  data.normalization = {{0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};  // ImageNet's, as torchvision's references
  data.inputs = files.inputs;
  data.description = fmt::format("{}, {}", describe(files), sizes_seen(files.train, {options.max_pixels}));
  data.train = std::move(files.train);
  data.validation = std::move(files.validation);
  return data;
}

}  // namespace

void bind(FlagTable& table, DataOptions& options) {
  table.group("Data");
  table.flag("data", options.data, "fashion-mnist, a folder of class folders, a .tar of one, shards (s-{000..127}.tar), a CSV or JSONL list, or a folder of IDX files")
      .metavar("PATH")
      .input("data")
      .common();
  table.flag("val-data", options.val_data, "validation, where --data has no part for it").metavar("PATH").input("val_data");
  table.flag("val-fraction", options.val_fraction, "share of the samples set aside for validation, by a hash of their paths").range(0, 1);
  std::vector<std::string> formats = data_format_names();
  formats.insert(formats.begin(), "auto");
  table.flag("data-format", options.data_format, "what --data is; auto looks").choices(formats);
  table.flag("num-classes", options.num_classes, "classes; more than the labels show is allowed").range(1, 1e6).default_text("the distinct training labels");
  table.flag("hash-inputs", options.hash_inputs, "identify the data by its contents, not by names and sizes");
  table.flag("workers", options.workers, "loader threads; 0 makes batches in the training thread").range(0, 256).default_text("1, on a GPU --threads").not_recorded();
  table.flag("bad-images", options.bad_images, "images that cannot be decoded: stop, or leave them out and list them").choices({"fail", "skip"});
  table.flag("max-bad-percent", options.max_bad_percent, "skip: stop beyond this share of a part's images").range(0, 100).unit("%");
  table.flag("max-pixels", options.max_pixels, "an image that claims more is refused").range(1, 1e12).unit("pixels");
  table.flag("exif-orientation", options.exif_orientation, "turn photographs upright; the reference recipes do not");
  table.flag("cache-bytes", options.cache_bytes, "memory for decoded training images, so that later epochs need not decode them: 4GiB, 500MB")
      .metavar("BYTES")
      .default_text("none");
  table.flag("exact-decode", options.exact_decode, "decode whole images at full size for training, too");

  table.group("Augmentation");
  table.flag("crop-scale", options.crop_scale, "random crop: smallest and largest share of the image's area").metavar("MIN:MAX").default_text("0.08:1; IDX: 0.5:1");
  table.flag("hflip", options.hflip, "probability of mirroring a training image").range(0, 1);
  table.flag("interpolation", options.interpolation, "of resizing, with antialiasing").choices({"bilinear", "bicubic"});
  table.flag("crop-pct", options.crop_pct, "evaluation: share of the resized image's shorter side that is shown").range(0.01, 1).default_text("0.875; IDX: 1");
  table.flag("auto-augment", options.auto_augment, "policy of colour and shape: RandAugment, TrivialAugment or AutoAugment's")
      .choices(auto_augment_names());
  table.flag("ra-magnitude", options.ra_magnitude, "of RandAugment's two operations, a bin of 31").range(0, 30);
  table.flag("color-jitter", options.color_jitter, "random brightness, contrast, saturation and hue").metavar("B,C,S,H").default_text("none");
  table.flag("random-erase", options.random_erase, "probability of erasing a random box").range(0, 1);
  table.flag("mixup-alpha", options.mixup_alpha, "MixUp: weights from Beta(alpha, alpha); 0 for none").range(0, 1e3);
  table.flag("cutmix-alpha", options.cutmix_alpha, "CutMix: areas from Beta(alpha, alpha); with MixUp, one of the two a batch").range(0, 1e3);
  table.flag("ra-reps", options.ra_reps, "repeated augmentation: each image so many times in a row, in an epoch of the same length").range(1, 100);
}

void validate(const DataOptions& options) {
  FT_REQUIRE_USAGE(!options.data.empty(), "--data is needed: fashion-mnist, a folder of class folders, an archive or a list");
  FT_REQUIRE_USAGE(!options.val_fraction || (*options.val_fraction > 0 && *options.val_fraction < 1), "--val-fraction: expected a share between 0 and 1, found {}",
                   *options.val_fraction);
  FT_REQUIRE_USAGE(options.val_data.empty() || !options.val_fraction, "--val-data and --val-fraction exclude each other");
  cache_bytes(options);
  CropOptions crop;
  if (!options.crop_scale.empty()) parse_crop_scale(options.crop_scale, crop);
  photometric_options(options);
  validate(mix_options(options));
}

MixOptions mix_options(const DataOptions& options) { return {.mixup_alpha = options.mixup_alpha, .cutmix_alpha = options.cutmix_alpha}; }

ImageData open_image_data(const DataOptions& options) {
  std::optional<DataFormat> format = data_format_named(options.data_format);
  // The name of a data set that Debian packages stands for a folder that may be missing; the reader says how to get it.
  const bool named = image_dataset_folder(options.data) != options.data;
  if (!format && named) format = DataFormat::kIdx;
  if (format.value_or(named ? DataFormat::kIdx : find_data_format(options.data)) == DataFormat::kIdx) return open_idx(options);
  return open_files(options, format);
}

std::string known_data_id(const ImageData& data) {
  std::string ids;
  for (const DataInput& input : data.inputs) {
    if (input.id.empty()) return "";
    ids += (ids.empty() ? "" : " ") + input.id;
  }
  return ids;
}

std::vector<ArtifactInput> artifact_inputs(const ImageData& data, const std::filesystem::path& directory, bool hash_contents) {
  std::vector<ArtifactInput> inputs;
  for (const DataInput& input : data.inputs) {
    const std::string id = hash_contents || input.id.empty() ? image_data_id(input.path, input.format, hash_contents) : input.id;
    inputs.push_back({inputs.empty() ? "data" : "val_data", recorded_path(input.path, directory), id});
  }
  return inputs;
}

CachePlan plan_cache(const DataOptions& options, const ImageData& data, const LoaderOptions& loader, int64_t largest_height, int64_t largest_width) {
  const int64_t allowed = cache_bytes(options);
  if (allowed == 0) return {};
  FT_REQUIRE_USAGE(is_photographs(data), "--cache-bytes: IDX images are in memory as they are");
  CachePlan plan;
  plan.cache = std::make_shared<ImageCache>(num_images(data.train), allowed, largest_height, largest_width);
  int64_t bytes = 0, images = 0;
  look_at_some(std::get<ImageFiles>(data.train), loader.decode, [&](const ImageInfo& info, ImageDecoder& decoder) {
    bytes += cached_bytes(info, decoder, loader, *plan.cache);
    ++images;
  });
  if (images == 0) return plan;
  const double each = static_cast<double>(bytes) / static_cast<double>(images), all = each * static_cast<double>(num_images(data.train));
  const bool fit = all <= static_cast<double>(allowed);
  plan.bytes = fit ? static_cast<int64_t>(all) : allowed;
  const std::string share = fit ? "all" : fmt::format("about {:.0f} % of the", 100 * static_cast<double>(allowed) / all);
  plan.description = fmt::format("{} training images (of about {}) fit in {}", share, human_bytes(static_cast<uint64_t>(each)), human_bytes(static_cast<uint64_t>(allowed)));
  return plan;
}

LoaderOptions loader_options(const DataOptions& options, const ImageData& data, c10::Device device, int threads) {
  LoaderOptions loader;
  // A core that trains takes hundreds of times as long over an image as one that decodes it.
  loader.threads = static_cast<int>(options.workers.value_or(device.is_cpu() ? 1 : threads));
  loader.device = device;
  if (!options.crop_scale.empty()) {
    parse_crop_scale(options.crop_scale, loader.crop);
  } else if (!is_photographs(data)) {
    loader.crop.scale_min = 0.5;
  }
  loader.crop.flip_probability = options.hflip;
  loader.photometric = photometric_options(options);
  loader.crop_share = options.crop_pct.value_or(is_photographs(data) ? kPhotographCropShare : 1);
  loader.filter = resize_filter_named(options.interpolation);
  // As torchvision's references: policies turn and shear with the filter that resizes.
  loader.pixel_ops.interpolation = options.interpolation == "bicubic" ? Interpolation::kBicubic : Interpolation::kBilinear;
  loader.exact_decode = options.exact_decode;
  loader.exif_orientation = options.exif_orientation;
  loader.decode.max_pixels = options.max_pixels;
  loader.skip_bad_images = options.bad_images == "skip";
  return loader;
}

}  // namespace fettle
