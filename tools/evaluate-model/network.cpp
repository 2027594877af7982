#include "evaluate-model/network.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "artifact/manifest.h"
#include "base/errors.h"
#include "base/text.h"
#include "checkpoint/byte_classifier.h"
#include "checkpoint/classifier.h"
#include "checkpoint/weights.h"
#include "data/byte_loader.h"
#include "train/autocast.h"

namespace fettle::evaluate {
namespace {

using byteformer::ByteClassifier;

Network network_of_images(const Options& options, const Classifier& classifier) {
  FT_REQUIRE_USAGE(options.phi_file.empty(), "--phi-file: {} does not read bytes", quote_path(options.model.from));
  const std::shared_ptr<ImageClassifier> model = classifier.model;
  const Preprocessing& preprocessing = classifier.preprocessing;
  Network network{.module = model, .num_classes = model->num_classes(), .class_names = classifier.class_names, .id = classifier.id, .description = classifier.description};
  network.tensors = options.names.empty() ? named_tensors(*model) : tensors_for_library(*model, options.names);
  convert_memory_format(*model, at::MemoryFormat::ChannelsLast);
  network.family = precision_family(*model, preprocessing.size);
  network.sizes = options.eval_sizes;
  if (network.sizes.empty()) network.sizes.push_back(preprocessing.size);
  for (const int64_t size : network.sizes) model->require_input(1, model->in_channels(), size, size, /*training=*/false);
  network.channels = model->in_channels();
  network.crop_share = preprocessing.crop_pct;
  network.filter = resize_filter_named(preprocessing.interpolation);

  Normalization normalization;
  for (const double mean : preprocessing.mean) normalization.mean.push_back(static_cast<float>(mean));
  for (const double std : preprocessing.std) normalization.std.push_back(static_cast<float>(std));
  network.answer = [model, normalization, base_size = preprocessing.size](const LabelledImages& images, int64_t size, const Settings& settings, const Network::Take& take) {
    const std::vector<BatchPlan> plans = sequential_plans(num_images(images), std::max<int64_t>(1, settings.batch_size * base_size * base_size / (size * size)), size, size);
    LoaderOptions finished = settings.loader;
    finished.device = settings.device;
    finished.dtype = settings.precision;
    ImageLoader loader(images, normalization, plans, 0, 0, finished);
    for (Batch batch; loader.next(batch);) {
      AnsweredBatch answered{{}, batch.labels, kept_indices(*batch.plan, batch.bad), batch.bad};
      {
        const AutocastGuard autocast(settings.device, settings.precision);
        answered.logits = model->forward(batch.images).to(at::kFloat);
      }
      take(answered);
    }
  };
  return network;
}

// What describes a bare file of weights: an artifact that reads bytes says all of it itself, and nothing of it can be otherwise.
void refuse_flags_of_files(const ClassifierSource& source) {
  const std::vector<std::pair<const char*, bool>> flags = {{"--arch", !source.arch.empty()}, {"--arch-options", !source.arch_options.empty()}, {"--size", source.size.has_value()},
                                                           {"--resize", source.resize.has_value()}, {"--mean", !source.mean.empty()}, {"--std", !source.std.empty()},
                                                           {"--interpolation", !source.interpolation.empty()}, {"--labels", !source.labels.empty()}};
  for (const auto& [flag, given] : flags) {
    FT_REQUIRE_USAGE(!given, "{}: {} reads bytes, and says itself how they come about and what its classes are called", flag, quote_path(source.from));
  }
}

std::string what_it_reads(const byteformer::Input& input) {
  if (!input.encoding) return "files as they are stored";
  const std::string_view encoding = byteformer::encoding_name(input.encoding->encoding);
  return input.of_images() ? fmt::format("pictures of {} px as {}", input.size, encoding) : fmt::format("sounds as {}", encoding);
}

Network network_of_bytes(const Options& options, const ByteClassifier& classifier) {
  const std::shared_ptr<ByteFormer> model = classifier.model;
  const byteformer::Input& input = classifier.input;
  const std::string from = quote_path(options.model.from);
  FT_REQUIRE_USAGE(options.names.empty(), "--names: the weights of {} have their own names alone", from);
  if (!input.of_images()) {
    FT_REQUIRE_USAGE(options.eval_sizes.empty(), "--eval-sizes: {} reads {}, which have no size in pixels", from, what_it_reads(input));
    FT_REQUIRE_USAGE(options.corruptions.empty(), "--corruptions: {} reads {}; what is corrupted are pictures, before they are encoded", from, what_it_reads(input));
  }
  const ByteFormerDescription& description = model->description();
  Network network{.module = model, .num_classes = description.num_classes, .class_names = classifier.class_names, .id = classifier.id};
  network.description = fmt::format("{}: {}, {} classes, {}", from, description.arch, network.num_classes, what_it_reads(input));
  network.tensors = named_tensors(*model);
  network.family = ArchFamily::kTransformer;
  network.sizes = options.eval_sizes;
  if (network.sizes.empty()) network.sizes.push_back(input.of_images() ? input.size : 0);
  network.crop_share = input.crop_pct;
  network.filter = resize_filter_named(input.interpolation);

  network.answer = [model, input](const LabelledImages& files, int64_t size, const Settings& settings, const Network::Take& take) {
    const std::vector<BatchPlan> plans = sequential_plans(num_images(files), settings.batch_size, size, size);
    byteformer::ByteLoader loader(files, input, plans, 0, 0, settings.loader);
    for (byteformer::ByteBatch batch; loader.next(batch);) {
      AnsweredBatch answered{{}, batch.labels, kept_indices(*batch.plan, batch.bad), batch.bad};
      {
        const AutocastGuard autocast(settings.device, settings.precision);
        answered.logits = model->forward(batch.files).to(at::kFloat);
      }
      take(answered);
    }
  };
  return network;
}

}  // namespace

Network open_network(const Options& options, bool all_names) {
  const std::optional<std::filesystem::path> artifact = artifact_of(options.model.from);
  const std::string kind = artifact ? read_manifest(*artifact).kind : kClassifierKind;
  if (kind == byteformer::kByteClassifierKind) {
    refuse_flags_of_files(options.model);
    return network_of_bytes(options, byteformer::open_byte_classifier(options.model.from, options.phi_file));
  }
  FT_REQUIRE(kind == kClassifierKind, "{}: an artifact of kind '{}'; those of '{}' and '{}' can be evaluated", quote_path(options.model.from), kind, kClassifierKind,
             byteformer::kByteClassifierKind);
  return network_of_images(options, open_classifier(options.model, all_names));
}

}  // namespace fettle::evaluate
