#pragma once
// What every tool that reads labelled images lets its user choose about them. Names follow torchvision's reference scripts and
// timm's train.py.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "artifact/manifest.h"
#include "cli/flags.h"
#include "data/labelled_images.h"
#include "data/loader.h"
#include "data/mixing.h"

namespace fettle {

struct DataOptions {
  std::string data;
  std::string val_data;
  std::string data_format = "auto";
  std::optional<double> val_fraction;
  std::optional<int64_t> num_classes;
  bool hash_inputs = false;
  std::optional<int64_t> workers;

  std::string crop_scale;
  double hflip = 0.5;
  std::string interpolation = "bilinear";
  std::optional<double> crop_pct;
  std::string auto_augment = "none";
  int64_t ra_magnitude = 9;
  std::string color_jitter;
  double random_erase = 0;
  double mixup_alpha = 0;
  double cutmix_alpha = 0;
  int64_t ra_reps = 1;

  bool exact_decode = false;
  std::string cache_bytes = "0";
  bool exif_orientation = false;
  int64_t max_pixels = DecodeOptions{}.max_pixels;
  std::string bad_images = "fail";
  double max_bad_percent = 1;
};

void bind(FlagTable& table, DataOptions& options);
void validate(const DataOptions& options);

// A data set with what its kind brings along: IDX files their own size, statistics and plain evaluation, photographs ImageNet's
// mean, deviation and centre crop of 0.875.
struct ImageData {
  LabelledImages train, validation;
  int64_t channels = 0;
  int64_t num_classes = 0;
  std::vector<std::string> class_names;  // empty where nobody has named them
  std::optional<int64_t> side;           // of every image, where all are squares of one size
  Normalization normalization;
  std::vector<DataInput> inputs;         // --data, then --val-data where it was given; ids may still be empty
  std::string description;               // one line for people
};

// Finds out what lies there, or takes --data-format's word. Errors: load_image_dataset(), open_image_files(), and (kInput) IDX files
// with --val-data or --val-fraction, which bring their own test part.
ImageData open_image_data(const DataOptions& options);

// --mixup-alpha and --cutmix-alpha, for the step function: batches are mixed where they are used.
MixOptions mix_options(const DataOptions& options);

// The ids of the inputs together, "" where one of them was left out.
std::string known_data_id(const ImageData& data);

// The inputs as the manifest of an artifact in `directory` records them. Ids that were left out at the start are computed: reading an
// archive takes its time.
std::vector<ArtifactInput> artifact_inputs(const ImageData& data, const std::filesystem::path& directory, bool hash_contents);

// --cache-bytes: what it will hold, and the cache for the loaders of a run whose largest batches are of this size.
struct CachePlan {
  std::shared_ptr<ImageCache> cache;  // null without --cache-bytes
  int64_t bytes = 0;                  // expected to be used: no more than allowed
  std::string description;            // "about 31 % of the training images (of about 8.6 MiB) fit in 2.0 GiB"
};

// Sizes are taken from the headers of a few images. Error(kUsage): IDX data, which are in memory as they are.
CachePlan plan_cache(const DataOptions& options, const ImageData& data, const LoaderOptions& loader, int64_t largest_height, int64_t largest_width);

// How a loader treats these data: threads as --workers says, or by default one, and on a GPU `threads`; what is drawn for
// training and what evaluation shows. Seed, layout and element type are the caller's.
LoaderOptions loader_options(const DataOptions& options, const ImageData& data, c10::Device device, int threads);

}  // namespace fettle
