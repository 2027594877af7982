#include "evaluate-model/options.h"

#include <algorithm>

#include "augment/corruptions.h"
#include "base/errors.h"
#include "base/text.h"
#include "dataset/image_files.h"

namespace fettle::evaluate {

void bind(FlagTable& table, Options& options) {
  bind(table, options.model);
  table.flag("phi-file", options.phi_file, "of a network that reads bytes: the permutation that it was trained with, which its artifact does not hold").metavar("FILE").input("phi");

  table.group("Images or files");
  table.flag("data", options.data, "labelled images, or files for a network that reads them: a folder of class folders, a .tar of one, shards, a CSV or JSONL list, or IDX; the part "
             "'val' or 'test' where there is one")
      .metavar("PATH")
      .input("data")
      .common();
  std::vector<std::string> formats = data_format_names();
  formats.insert(formats.begin(), "auto");
  table.flag("data-format", options.data_format, "what --data is; auto looks").choices(formats);
  table.flag("predict", options.predict, "image or file, or folder of them, to classify without labels").many().metavar("PATH").common();
  table.flag("workers", options.workers, "loader threads; 0 makes batches in the computing thread").range(0, 256).default_text("1, on a GPU --threads").not_recorded();
  table.flag("bad-images", options.bad_images, "images and files that cannot be used: stop, or leave them out and say so").choices({"fail", "skip"});
  table.flag("max-bad-percent", options.max_bad_percent, "skip: stop beyond this share of them").range(0, 100).unit("%");
  table.flag("max-pixels", options.max_pixels, "an image that claims more is refused").range(1, 1e12).unit("pixels");
  table.flag("exif-orientation", options.exif_orientation, "turn photographs upright; the reference recipes do not");

  table.group("Evaluation");
  table.flag("eval-sizes", options.eval_sizes, "sizes to evaluate at; the first is that of predictions and report").range(1, 1e5).unit("px").default_text("--size").common();
  table.flag("batch-size", options.batch_size, "images a batch at --size; at other sizes as many as hold its pixels. Networks that read bytes: files a batch").range(1, 1e6);
  table.flag("precision", options.precision, "of matrix products; auto is a fixed rule by device and network").choices({"fp32", "bf16", "auto"});
  table.flag("ece-bins", options.ece_bins, "bins of equal width for the calibration error").range(1, 1000);
  table.flag("corruptions", options.corruptions, "corrupt the images as well, at the first size; 'all', or one of gaussian_noise, shot_noise, defocus_blur, contrast, brightness, pixelate, "
             "jpeg_compression").metavar("NAME");
  table.flag("severities", options.severities, "of the corruptions, 1 to 5").range(1, kSeverities);

  table.group("Output");
  table.flag("predictions", options.predictions, "write a line an image or file: path, label, the five likeliest classes with their probabilities").metavar("FILE").not_recorded().common();
  table.flag("report", options.report, "write a page with everything, and pictures of the most confident errors").metavar("FILE").not_recorded().common();
  table.flag("export", options.export_file, "write the weights as .safetensors under the names of --names").metavar("FILE").not_recorded();
  table.flag("names", options.names, "whose names: torchvision, timm or huggingface").metavar("LIBRARY").default_text("the network's own").not_recorded();
}

void validate(const Options& options) {
  validate(options.model);
  FT_REQUIRE_USAGE(!options.data.empty() || !options.predict.empty() || !options.export_file.empty(), "nothing to do: --data measures, --predict classifies, --export writes weights");
  FT_REQUIRE_USAGE(options.data.empty() || options.predict.empty(), "--data and --predict exclude each other: one has labels, the other has none");
  const std::vector<std::string>& known = corruption_names();
  for (const std::string& name : options.corruptions) {
    const std::string nearest = nearest_word(name, known);
    FT_REQUIRE_USAGE(name == "all" || std::find(known.begin(), known.end(), name) != known.end(), "--corruptions: no corruption '{}'{}", name,
                     nearest.empty() ? "; there are " + join(known, ", ") : fmt::format("; the nearest is '{}'", nearest));
  }
  FT_REQUIRE_USAGE(options.corruptions.empty() || !options.data.empty(), "--corruptions goes with --data");
  FT_REQUIRE_USAGE(!options.severities.empty(), "--severities: at least one of 1 to 5");
  FT_REQUIRE_USAGE(options.report.empty() || !options.data.empty(), "--report goes with --data");
  FT_REQUIRE_USAGE(options.predictions.empty() || !options.data.empty() || !options.predict.empty(), "--predictions goes with --data or --predict");
  FT_REQUIRE_USAGE(options.names.empty() || !options.export_file.empty(), "--names goes with --export");
  FT_REQUIRE_USAGE(options.predict.empty() || options.eval_sizes.size() <= 1, "--predict classifies at one size, but --eval-sizes has {}", options.eval_sizes.size());
}

}  // namespace fettle::evaluate
