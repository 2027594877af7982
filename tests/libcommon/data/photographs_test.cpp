// The loader and its options on image files.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "data/aligned_buffer.h"
#include "data/bad_images.h"
#include "data/options.h"
#include "tests/support/expect_error.h"
#include "tests/support/idx_files.h"
#include "tests/support/image_files.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tensor_compare.h"

using namespace fettle;
using fettle::test::check_tensors;
using fettle::test::expect_error;

namespace {

// Two classes of photographs of several sizes and forms, some to be shrunk a lot.
void write_photographs(const std::filesystem::path& folder) {
  for (int i = 0; i < 12; ++i) {
    const std::filesystem::path path = folder / (i % 2 == 0 ? "cat" : "dog") / fmt::format("{:02d}.jpg", i);
    std::filesystem::create_directories(path.parent_path());
    test::JpegOptions options;
    options.progressive = i % 5 == 0;
    options.vertical = i % 3 == 0 ? 1 : 2;
    options.orientation = i == 3 ? 6 : 0;
    test::write_text(path, test::encode_jpeg(test::test_picture(90 + 40 * i, 300 - 10 * i, static_cast<uint32_t>(i)), options));
  }
}

DataOptions options_for(const std::filesystem::path& folder) {
  DataOptions options;
  options.data = folder.string();
  options.val_fraction = 0.4;
  return options;
}

LoaderOptions training(const DataOptions& options, const ImageData& data) {
  LoaderOptions loader = loader_options(options, data, at::kCPU, 1);
  loader.seed = 7;
  loader.augment = true;
  return loader;
}

std::vector<Batch> batches_of(const ImageData& data, const std::vector<BatchPlan>& plans, const LoaderOptions& options, int64_t epoch = 0, int64_t first = 0) {
  ImageLoader loader(data.train, data.normalization, plans, epoch, first, options);
  std::vector<Batch> batches;
  for (Batch batch; loader.next(batch);) batches.push_back({batch.images.clone(), batch.labels.clone(), batch.plan, batch.bad});
  return batches;
}

Image decoded(const ImageData& data, int64_t index) {
  std::vector<uint8_t> buffer;
  const ImageFiles& files = std::get<ImageFiles>(data.train);
  return decode_image(files.read(index, buffer), files.name(index));
}

// [1, 3, H, W] of an image, normalised as these data are.
at::Tensor finished(const ImageData& data, const std::vector<uint8_t>& pixels, int64_t height, int64_t width) {
  const at::Tensor mean = at::tensor(at::ArrayRef<float>(data.normalization.mean)).view({1, 3, 1, 1}), std = at::tensor(at::ArrayRef<float>(data.normalization.std)).view({1, 3, 1, 1});
  return (at::tensor(at::ArrayRef<uint8_t>(pixels)).view({1, height, width, 3}).permute({0, 3, 1, 2}).to(at::kFloat) / 255 - mean) / std;
}

// A crop as an image of its own, resized.
std::vector<uint8_t> cropped(const Image& image, const Geometry& crop, int64_t size) {
  kernels::ResizeArgs args;
  args.in = image.pixels.data() + (crop.top * image.width + crop.left) * 3;
  args.in_height = crop.height, args.in_width = crop.width, args.in_stride = image.width * 3, args.channels = 3;
  args.height = static_cast<double>(crop.height), args.width = static_cast<double>(crop.width);
  std::vector<uint8_t> out(static_cast<size_t>(size * size * 3));
  args.out = out.data(), args.out_height = args.out_width = size;
  args.order = kernels::resize_order(crop.height, crop.width, size, size);
  AlignedBuffer workspace;
  args.workspace = workspace.reserve(kernels::resize_workspace_bytes(args));
  REQUIRE(kernels::resize(args) == kernels::Status::kOk);
  return out;
}

Geometry drawn(const LoaderOptions& options, const Image& image, int64_t index, int64_t epoch = 0) {
  RandomStream stream(options.seed, "geometry", epoch, index);
  return draw_geometry(stream, image.height, image.width, options.crop);
}

}  // namespace

TEST_CASE("photographs: the same batches with 0, 1, 2 and 7 threads, from any position") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  DataOptions options = options_for(dir / "photos");
  options.auto_augment = "ta_wide";
  options.random_erase = 0.5;
  const ImageData data = open_image_data(options);
  const int64_t count = num_images(data.train);
  REQUIRE(count >= 5);
  std::vector<BatchPlan> plans;
  for (const int64_t size : {32, 48, 16, 64, 32, 48}) plans.push_back({size, size, {0, count - 1, 2, 1, 2, 3}});
  LoaderOptions loader = training(options, data);
  loader.threads = 0;
  const std::vector<Batch> expected = batches_of(data, plans, loader, 3);
  for (const int threads : {1, 2, 7}) {
    for (const int64_t first : {0, 4}) {
      loader.threads = threads;
      const std::vector<Batch> found = batches_of(data, plans, loader, 3, first);
      REQUIRE(found.size() == plans.size() - static_cast<size_t>(first));
      for (size_t i = 0; i < found.size(); ++i) {
        check_tensors("images", found[i].images, expected[i + static_cast<size_t>(first)].images);
        check_tensors("labels", found[i].labels, expected[i + static_cast<size_t>(first)].labels);
      }
    }
  }
}

TEST_CASE("photographs: training with exact decoding crops, resizes, flips and normalises the whole picture") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  DataOptions options = options_for(dir / "photos");
  options.exact_decode = true;
  const ImageData data = open_image_data(options);
  LoaderOptions loader = training(options, data);
  loader.crop.flip_probability = 1;
  const std::vector<Batch> batches = batches_of(data, {{40, 40, {4, 0}}}, loader);
  for (const int64_t row : {0, 1}) {
    const int64_t index = row == 0 ? 4 : 0;
    const Image image = decoded(data, index);
    const at::Tensor expected = finished(data, cropped(image, drawn(loader, image, index), 40), 40, 40).flip({3});
    check_tensors("image", batches[0].images.slice(0, row, row + 1), expected, {2e-6, 0});
  }
}

TEST_CASE("photographs: scaled decoding is close to exact decoding, and the same where nothing is to be shrunk") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  const DataOptions options = options_for(dir / "photos");
  const ImageData data = open_image_data(options);
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < num_images(data.train); ++i) indices.push_back(i);
  LoaderOptions scaled = training(options, data), exact = scaled;
  exact.exact_decode = true;
  CHECK(pipeline_id(scaled) == "libjpeg-turbo/scaled; resize/bilinear/antialias/u8; pillow/bilinear/fill=0,0,0");
  CHECK(pipeline_id(exact) == "libjpeg-turbo/exact; resize/bilinear/antialias/u8; pillow/bilinear/fill=0,0,0");
  for (const int64_t size : {16, 32}) {
    const at::Tensor a = batches_of(data, {{size, size, indices}}, scaled)[0].images, b = batches_of(data, {{size, size, indices}}, exact)[0].images;
    CHECK_FALSE(at::equal(a, b));
    // In units of the deviation, 0.23 of the range: about 2 of 255.
    CHECK((a - b).abs().mean().item<double>() < 0.035);
  }
  scaled.crop = exact.crop = {.scale_min = 0.05, .scale_max = 0.1};
  const std::vector<BatchPlan> large = {{200, 200, indices}};
  check_tensors("enlarged", batches_of(data, large, scaled)[0].images, batches_of(data, large, exact)[0].images);
}

TEST_CASE("photographs: a cache changes neither with threads nor with what fits, and saves later epochs the files") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  DataOptions options = options_for(dir / "photos");
  options.exif_orientation = GENERATE(false, true);
  options.exact_decode = GENERATE(false, true);
  const ImageData data = open_image_data(options);
  const int64_t count = num_images(data.train);
  std::vector<BatchPlan> plans;
  for (const int64_t size : {24, 32, 16}) {
    plans.push_back({size, size, {}});
    for (int64_t i = 0; i < count; ++i) plans.back().indices.push_back(i);
  }
  LoaderOptions loader = training(options, data);
  loader.crop.scale_min = 0.3;
  // Two epochs with a cache.
  const auto epochs = [&](int64_t max_bytes, int threads, int64_t& kept) {
    loader.threads = threads;
    loader.cache = std::make_shared<ImageCache>(count, max_bytes, 32, 32);
    std::vector<Batch> batches = batches_of(data, plans, loader, 0);
    for (Batch& batch : batches_of(data, plans, loader, 1)) batches.push_back(batch);
    kept = loader.cache->bytes();
    return batches;
  };
  int64_t all = 0, some = 0, none = 0;
  const std::vector<Batch> expected = epochs(int64_t{1} << 30, 0, all);
  REQUIRE(expected.size() == 6);
  REQUIRE(all > 0);
  for (const int threads : {0, 1, 7}) {
    for (const auto& [max_bytes, kept] : {std::pair{all / 2, &some}, std::pair{int64_t{0}, &none}, std::pair{all, &all}}) {
      const std::vector<Batch> found = epochs(max_bytes, threads, *kept);
      REQUIRE(found.size() == expected.size());
      for (size_t i = 0; i < found.size(); ++i) check_tensors("images", found[i].images, expected[i].images);
    }
    CHECK(none == 0);
    CHECK((some > 0 && some <= all / 2));
  }
  // As without a cache where all is decoded exactly; at the run's largest size or where the picture is small, nothing is lost.
  LoaderOptions without = loader;
  without.cache = nullptr;
  if (options.exact_decode) check_tensors("exact", batches_of(data, plans, without)[1].images, expected[1].images);
  CHECK((batches_of(data, plans, without)[1].images - expected[1].images).abs().mean().item<double>() < 0.035);
  CHECK((pipeline_id(loader) == pipeline_id(without)) == options.exact_decode);
  // The plan foresees what is taken.
  options.cache_bytes = "1GiB";
  const CachePlan plan = plan_cache(options, data, loader, 32, 32);
  CHECK(plan.bytes == all);
  CHECK(plan.description.starts_with("all training images (of about "));
  options.cache_bytes = "1K";
  CHECK(plan_cache(options, data, loader, 32, 32).bytes == 1024);

  epochs(all, 2, all);
  std::filesystem::remove_all(dir / "photos");
  const std::vector<Batch> later = batches_of(data, plans, loader, 1);
  for (size_t i = 0; i < later.size(); ++i) check_tensors("images", later[i].images, expected[3 + i].images);
}

TEST_CASE("photographs: policies and erasing come after the flip") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  DataOptions options = options_for(dir / "photos");
  options.exact_decode = true;
  options.auto_augment = "ra";
  options.random_erase = 1;
  options.hflip = 1;
  const ImageData data = open_image_data(options);
  const LoaderOptions loader = training(options, data);
  for (int64_t epoch = 0; epoch < 8; ++epoch) {
    const Image image = decoded(data, 1);
    std::vector<uint8_t> pixels = cropped(image, drawn(loader, image, 1, epoch), 24), scratch;
    for (size_t y = 0; y < 24; ++y) {
      for (size_t x = 0; x < 12; ++x) std::swap_ranges(&pixels[(y * 24 + x) * 3], &pixels[(y * 24 + x) * 3] + 3, &pixels[(y * 24 + 23 - x) * 3]);
    }
    RandomStream stream(loader.seed, "photometric", epoch, 1);
    const Photometric photometric = draw_photometric(stream, loader.photometric, 24, 24);
    REQUIRE(photometric.ops.size() == 2);
    apply_ops(photometric, loader.pixel_ops, {24, 24, 3}, pixels.data(), scratch);
    at::Tensor expected = finished(data, pixels, 24, 24);
    REQUIRE(photometric.erase);
    const PixelBox& box = *photometric.erase;
    expected.narrow(2, box.top, box.height).narrow(3, box.left, box.width).zero_();
    for (const bool channels_last : {true, false}) {
      LoaderOptions own = loader;
      own.channels_last = channels_last;
      check_tensors("image", batches_of(data, {{24, 24, {1}}}, own, epoch)[0].images, expected, {2e-6, 0});
    }
  }
}

TEST_CASE("photographs: evaluation shows the centre, upright where that is asked for") {
  const test::TempDir dir;
  std::filesystem::create_directories(dir / "photos/only");
  const Image picture = test::test_picture(60, 80);
  test::JpegOptions turned;
  turned.orientation = 6;
  test::write_text(dir / "photos/only/a.jpg", test::encode_jpeg(picture, turned));
  test::write_text(dir / "photos/only/b.jpg", test::encode_jpeg(picture));
  DataOptions options = options_for(dir / "photos");
  options.val_fraction.reset();
  options.val_data = options.data;
  options.crop_pct = 0.75;
  ImageData data = open_image_data(options);
  LoaderOptions loader = loader_options(options, data, at::kCPU, 1);
  // 48 / 0.75 = 64 of 60 x 80 would be 64 x 85; at 45 the resize is to the size that it has.
  const std::vector<BatchPlan> plans = {{45, 45, {0, 1}}};
  const auto centre = [&](const Image& image) {
    std::vector<uint8_t> pixels;
    const int64_t top = image.height == 60 ? 8 : 18, left = image.height == 60 ? 18 : 8;  // 7.5 and 17.5 round to even
    for (int64_t y = top; y < top + 45; ++y) pixels.insert(pixels.end(), image.pixels.begin() + (y * image.width + left) * 3, image.pixels.begin() + (y * image.width + left + 45) * 3);
    return finished(data, pixels, 45, 45);
  };
  const Image stored = decoded(data, 0);
  Image upright = stored;
  apply_orientation(upright, 6);
  check_tensors("as stored", batches_of(data, plans, loader)[0].images, at::cat({centre(stored), centre(stored)}), {2e-6, 0});
  loader.exif_orientation = true;
  check_tensors("upright", batches_of(data, plans, loader)[0].images, at::cat({centre(upright), centre(stored)}), {2e-6, 0});
}

TEST_CASE("photographs: a file that cannot be decoded stops the loader by name, or is left out and listed") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  DataOptions options = options_for(dir / "photos");
  const ImageData data = open_image_data(options);
  const ImageFiles& files = std::get<ImageFiles>(data.train);
  const std::string cut(files.relative_path(2));
  std::filesystem::resize_file(dir / "photos" / cut, std::filesystem::file_size(dir / "photos" / cut) / 2);
  // Its size was recorded when the data were opened; opened again, it is what it is.
  expect_error(ExitCode::kInput, cut, [&] { batches_of(data, {{16, 16, {0, 2}}}, training(options, data)); });
  const ImageData again = open_image_data(options);
  expect_error(ExitCode::kInput, cut, [&] { batches_of(again, {{16, 16, {0, 2}}}, training(options, again)); });

  options.bad_images = "skip";
  const LoaderOptions skip = training(options, again);
  const std::vector<Batch> batches = batches_of(again, {{16, 16, {0, 2, 1}}, {16, 16, {3}}}, skip);
  REQUIRE(batches.size() == 2);
  check_tensors("what is left", batches[0].images, batches_of(again, {{16, 16, {0, 1}}}, skip)[0].images);
  CHECK(batches[0].labels.size(0) == 2);
  REQUIRE(batches[0].bad.size() == 1);
  CHECK(batches[0].bad[0].index == 2);
  CHECK(batches[1].bad.empty());
  expect_error(ExitCode::kInput, "none of the 2 images", [&] { batches_of(again, {{16, 16, {2, 2}}}, skip); });

  Log log(stderr, LogLevel::kQuiet, false, false);
  std::filesystem::create_directory(dir / "run");
  {
    BadImageList list(dir / "run", 50, log);
    list.add("train", again.train, batches[0].bad);
    list.add("train", again.train, batches[0].bad);
    CHECK(list.count("train") == 1);
    CHECK(list.count("validation") == 0);
  }
  const std::string expected = fmt::format("{{\"image\":\"{}\",\"part\":\"train\"}}\n", cut);
  CHECK(test::read_text(dir / "run/bad_images.jsonl") == expected);
  // Another process goes on, after one that was killed while it wrote.
  test::write_text(dir / "run/bad_images.jsonl", expected + "{\"image\":\"x");
  BadImageList list(dir / "run", 50, log);
  list.add("validation", again.validation, {{0, "why"}});
  list.add("train", again.train, batches[0].bad);
  CHECK(list.finish());
  CHECK(test::read_text(dir / "run/bad_images.jsonl") ==
        expected + fmt::format("{{\"image\":\"{}\",\"part\":\"validation\"}}\n", std::get<ImageFiles>(again.validation).relative_path(0)));
  BadImageList strict(dir / "run", 1, log);
  expect_error(ExitCode::kInput, "--max-bad-percent 1", [&] { strict.add("train", again.train, {{3, "why"}}); });
  std::filesystem::create_directory(dir / "clean");
  CHECK_FALSE(BadImageList(dir / "clean", 1, log).finish());
}

TEST_CASE("photographs: a file that vanishes while training stops the loader by name") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  const DataOptions options = options_for(dir / "photos");
  const ImageData data = open_image_data(options);
  const std::string gone(std::get<ImageFiles>(data.train).relative_path(1));
  std::filesystem::remove(dir / "photos" / gone);
  const std::vector<BatchPlan> plans = {{16, 16, {0}}, {16, 16, {1}}, {16, 16, {2}}};
  ImageLoader loader(data.train, data.normalization, plans, 0, 0, training(options, data));
  Batch batch;
  CHECK(loader.next(batch));
  expect_error(ExitCode::kInput, gone, [&] { loader.next(batch); });
}

TEST_CASE("photographs: what the data are is said, and decides the defaults") {
  const test::TempDir dir;
  write_photographs(dir / "photos");
  DataOptions options = options_for(dir / "photos");
  const ImageData photos = open_image_data(options);
  CHECK(photos.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(photos.channels == 3);
  CHECK_FALSE(photos.side);
  CHECK(photos.normalization.mean == std::vector<float>{0.485f, 0.456f, 0.406f});
  CHECK(photos.description.find("2 classes") != std::string::npos);
  CHECK(photos.description.find("x") != std::string::npos);
  REQUIRE(photos.inputs.size() == 1);
  CHECK(photos.inputs[0].id.starts_with("sha256:"));
  CHECK(loader_options(options, photos, at::kCPU, 8).threads == 1);
  CHECK(loader_options(options, photos, at::kCPU, 8).crop.scale_min == 0.08);
  CHECK(loader_options(options, photos, at::kCPU, 8).crop_share == 0.875);
  options.workers = 5;
  options.crop_scale = "0.3:0.9";
  CHECK(loader_options(options, photos, at::kCPU, 8).threads == 5);
  CHECK(loader_options(options, photos, at::kCPU, 8).crop.scale_max == 0.9);

  test::write_idx_dataset(dir / "idx", {0, 1, 2}, {0, 1}, 12, 12);
  DataOptions idx;
  idx.data = (dir / "idx").string();
  const ImageData grey = open_image_data(idx);
  CHECK(grey.side == 12);
  CHECK(grey.channels == 1);
  CHECK(loader_options(idx, grey, at::kCPU, 8).crop.scale_min == 0.5);
  CHECK(loader_options(idx, grey, at::kCPU, 8).crop_share == 1);
  idx.val_fraction = 0.1;
  expect_error(ExitCode::kUsage, "test part of their own", [&] { open_image_data(idx); });
  for (const char* scale : {"0.5", "0:1", "0.5:2", "0.9:0.1", "a:1", "0.1:0.2:0.3"}) {
    options.crop_scale = scale;
    expect_error(ExitCode::kUsage, "--crop-scale", [&] { validate(options); });
  }
}
