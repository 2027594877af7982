// evaluate-model as a user runs it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "artifact/manifest.h"
#include "io/safetensors.h"
#include "tests/support/idx_files.h"
#include "tests/support/image_files.h"
#include "tests/support/process.h"
#include "tests/support/shared_files.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using fettle::test::ProcessResult;
namespace fs = std::filesystem;

namespace {

ProcessResult evaluate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), FETTLE_EVALUATE_MODEL);
  arguments.insert(arguments.end(), {"--device", "cpu", "--threads", "1"});
  return test::run_process(arguments);
}

// A small network, trained for two epochs on made-up photographs of three classes.
struct Trained {
  test::TempDir dir;
  Trained() {
    for (const char* part : {"train", "val"}) {
      for (int c = 0; c < 3; ++c) {
        for (int i = 0; i < 20; ++i) {
          Image image = test::test_picture(24, 30, static_cast<uint32_t>(100 * c + i + (*part == 'v' ? 50 : 0)));
          for (size_t p = static_cast<size_t>(c); p < image.pixels.size(); p += 3) image.pixels[p] = static_cast<uint8_t>(image.pixels[p] / 2 + (i % 4 == 0 ? 20 : 100));
          fs::create_directories(dir / "photos" / part / std::string(1, static_cast<char>('a' + c)));
          test::write_text(dir / "photos" / part / std::string(1, static_cast<char>('a' + c)) / (std::to_string(i) + ".jpg"), test::encode_jpeg(image));
        }
      }
    }
    const ProcessResult result = test::run_process({FETTLE_MULTISCALE_TRAIN, "--data", photos(), "--arch", "resnet20", "--sampler", "msc-vbs", "--size", "16", "--sizes", "8:24:3",
                                                    "--size-multiple", "4", "--batch-size", "10", "--epochs", "2", "--seed", "1", "--device", "cpu", "--threads", "1", "--precision",
                                                    "fp32", "--interpolation", "bicubic", "--crop-pct", "0.8", "--model-ema", "-q", "--out", run()});
    INFO(result.err);
    REQUIRE(result.code == 0);
  }
  std::string photos() const { return (dir / "photos").string(); }
  std::string run() const { return (dir / "run").string(); }
};

std::vector<Json> json_lines(const fs::path& file) {
  std::vector<Json> lines;
  std::istringstream text(test::read_text(file));
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

}  // namespace

TEST_CASE("evaluate-model: an artifact brings its preprocessing; the numbers are those of its training run") {
  const Trained trained;
  const Manifest manifest = read_manifest(trained.run());
  const ProcessResult result = evaluate({"--from", trained.run(), "--data", trained.photos(), "--eval-sizes", "16,8,24", "--json", "--report", (trained.dir / "r.html").string(),
                                         "--predictions", (trained.dir / "p.jsonl").string()});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const Json object = Json::parse(result.out);
  const Json& metrics = object.at("metrics");
  for (const char* size : {"16", "8", "24"}) {
    CHECK(metrics.at("top1_percent_at_" + std::string(size)) == manifest.metrics.at("val_top1_percent_at_" + std::string(size)));
    CHECK(metrics.at("ece_at_" + std::string(size)).get<double>() == Approx(manifest.metrics.at("val_ece_at_" + std::string(size)).get<double>()).margin(1e-6));
  }
  CHECK(metrics.at("nll").get<double>() == Approx(manifest.metrics.at("val_nll").get<double>()).epsilon(1e-5));
  CHECK(object.at("model_id") == manifest_id(manifest));
  CHECK(object.at("class_names") == Json({"a", "b", "c"}));

  // What adds up to the accuracy: the confusion's diagonal, the classes, the bins, the lines.
  const Json& first = object.at("sizes").at(0);
  int64_t right = 0, all = 0, in_bins = 0;
  for (const Json& entry : first.at("confusion")) {
    all += entry[2].get<int64_t>();
    if (entry[0] == entry[1]) right += entry[2].get<int64_t>();
  }
  for (const Json& bin : first.at("calibration")) in_bins += bin.at("images").get<int64_t>();
  CHECK(all == 60);
  CHECK(in_bins == 60);
  CHECK(100.0 * static_cast<double>(right) / 60 == Approx(metrics.at("top1_percent").get<double>()));
  double of_classes = 0;
  for (const Json& percent : first.at("class_top1_percent")) of_classes += percent.get<double>() / 3;
  CHECK(of_classes == Approx(metrics.at("top1_percent").get<double>()));
  const std::vector<Json> lines = json_lines(trained.dir / "p.jsonl");
  REQUIRE(lines.size() == 60);
  CHECK(lines[0].at("image") == "a/0.jpg");
  CHECK(std::count_if(lines.begin(), lines.end(), [](const Json& line) { return line.at("label") == line.at("top").at(0).at("class"); }) == right);
  for (const Json& line : lines) {
    double sum = 0, before = 1;
    for (const Json& entry : line.at("top")) {
      const double p = entry.at("probability").get<double>();
      CHECK(p <= before);
      before = p;
      sum += p;
    }
    CHECK(sum == Approx(1).margin(1e-5));  // three classes are all there are
  }

  const std::string page = test::read_text(trained.dir / "r.html");
  CHECK_THAT(page, Catch::StartsWith("<!doctype html>") && Catch::Contains("Reliability at 24 px") && Catch::EndsWith("</html>\n"));
  size_t pictures = 0;
  for (size_t at = page.find("data:image/bmp;base64,"); at != std::string::npos; at = page.find("data:image/bmp;base64,", at + 1)) ++pictures;
  CHECK(pictures == std::min<size_t>(24, static_cast<size_t>(60 - right)));
}

TEST_CASE("evaluate-model: batches, threads and the best or averaged weights") {
  const Trained trained;
  const auto metrics = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--data", trained.photos(), "--json"});
    const ProcessResult result = evaluate(more);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return Json::parse(result.out).at("metrics");
  };
  const Json expected = metrics({"--from", trained.run()});
  for (const char* batch : {"1", "7", "1000"}) CHECK(metrics({"--from", trained.run(), "--batch-size", batch, "--workers", "0"}).at("top1_percent") == expected.at("top1_percent"));
  const Manifest manifest = read_manifest(trained.run());
  CHECK(metrics({"--from", trained.run() + "/model_best.safetensors"}).at("top1_percent") == manifest.metrics.at("best_val_top1_percent"));
  CHECK(metrics({"--from", trained.run() + "/model_ema.safetensors"}).at("nll").get<double>() == Approx(manifest.metrics.at("ema_val_nll").get<double>()).epsilon(1e-5));
  CHECK(metrics({"--from", trained.run(), "--mean", "0", "--std", "1"}).at("nll") != expected.at("nll"));
  CHECK(metrics({"--from", trained.run(), "--size", "8", "--resize", "10"}).at("top1_percent") == manifest.metrics.at("val_top1_percent_at_8"));
  CHECK(evaluate({"--from", trained.run(), "--data", trained.photos(), "--require", "top1_percent>=101"}).code == 1);
}

TEST_CASE("evaluate-model: corrupted images, the same for every run, worse with severity") {
  const Trained trained;
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--from", trained.run(), "--data", trained.photos(), "--json"});
    const ProcessResult result = evaluate(more);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return Json::parse(result.out);
  };
  const Json all = run({"--corruptions", "all", "--report", (trained.dir / "r.html").string()});
  CHECK(all.at("corrupted").size() == 35);
  CHECK(run({"--corruptions", "all", "--workers", "0"}).at("corrupted") == all.at("corrupted"));
  CHECK(all.at("metrics").contains("top1_percent_jpeg_compression"));
  CHECK_THAT(test::read_text(trained.dir / "r.html"), Catch::Contains("<td>defocus_blur</td><td>5</td>"));
  // Contrast 0.05 leaves less to see than noise of 0.08: the answers move away from those of the clean images.
  const Json some = run({"--corruptions", "contrast", "--corruptions", "gaussian_noise", "--severities", "1,5"});
  REQUIRE(some.at("corrupted").size() == 4);
  CHECK(some.at("corrupted").at(0).at("corruption") == "gaussian_noise");
  CHECK(some.at("corrupted").at(3).at("severity") == 5);
  CHECK(some.at("metrics").at("nll") == all.at("metrics").at("nll"));
  CHECK(some.at("corrupted").at(3).at("nll") != some.at("metrics").at("nll"));
  const ProcessResult wrong = evaluate({"--from", trained.run(), "--data", trained.photos(), "--corruptions", "contrasts"});
  CHECK(wrong.code == 2);
  CHECK_THAT(wrong.err, Catch::Contains("the nearest is 'contrast'"));
}

TEST_CASE("evaluate-model: --predict needs no labels, --export comes back") {
  const Trained trained;
  const ProcessResult predicted = evaluate({"--from", trained.run(), "--predict", trained.photos() + "/val/b", "--predict", trained.photos() + "/val/a/3.jpg"});
  INFO(predicted.err);
  REQUIRE(predicted.code == 0);
  CHECK(std::count(predicted.out.begin(), predicted.out.end(), '\n') == 21);
  CHECK_THAT(predicted.out, Catch::Contains(trained.photos() + "/val/b/0.jpg: "));
  const fs::path file = trained.dir / "w.safetensors";
  const ProcessResult exported = evaluate({"--from", trained.run(), "--export", file.string()});
  CHECK(exported.code == 0);
  CHECK(exported.out == file.string() + "\n");
  // The bare file needs to be told what the artifact knows.
  const auto top1 = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--data", trained.photos(), "--json"});
    return Json::parse(evaluate(more).out).at("metrics");
  };
  CHECK(top1({"--from", file.string(), "--arch", "resnet20", "--size", "16", "--resize", "20", "--interpolation", "bicubic"}) == top1({"--from", trained.run()}));
  CHECK(evaluate({"--from", trained.run(), "--export", file.string(), "--names", "timm"}).code == 2);
}

TEST_CASE("evaluate-model: bad input ends with its exit code, and nothing is written") {
  const Trained trained;
  const fs::path page = trained.dir / "r.html";
  const auto fails = [&](int code, const std::string& part, std::vector<std::string> arguments) {
    if (std::find(arguments.begin(), arguments.end(), "--data") != arguments.end()) arguments.insert(arguments.end(), {"--report", page.string()});
    const ProcessResult result = evaluate(arguments);
    INFO(part << "\n" << result.err);
    CHECK(result.code == code);
    CHECK_THAT(result.err, Catch::Contains(part));
    CHECK(result.out.empty());
    CHECK_FALSE(fs::exists(page));
  };
  fails(2, "nothing to do", {"--from", trained.run()});
  fails(2, "--arch: ", {"--from", trained.run(), "--arch", "resnet20", "--data", trained.photos()});
  fails(2, "exclude each other", {"--from", trained.run(), "--data", trained.photos(), "--predict", trained.photos()});
  fails(3, "does not exist", {"--from", trained.run(), "--predict", trained.photos() + "/none.jpg"});
  fs::rename(trained.dir / "photos/val/c", trained.dir / "photos/val/cc");
  fails(3, "the class 'cc', which the network does not know", {"--from", trained.run(), "--data", trained.photos()});
  fs::rename(trained.dir / "photos/val/cc", trained.dir / "photos/val/c");
  test::write_text(trained.dir / "photos/val/c/0.jpg", "no picture");
  fails(3, "c/0.jpg", {"--from", trained.run(), "--data", trained.photos()});
  fails(3, "more than --max-bad-percent 1", {"--from", trained.run(), "--data", trained.photos(), "--bad-images", "skip"});
  const ProcessResult skipped = evaluate({"--from", trained.run(), "--data", trained.photos(), "--bad-images", "skip", "--max-bad-percent", "5", "--json"});
  INFO(skipped.err);
  REQUIRE(skipped.code == 0);
  CHECK(Json::parse(skipped.out).at("images") == 59);
  CHECK(Json::parse(skipped.out).at("bad_images") == 1);
  test::write_text(trained.dir / "names.txt", "a\nb\nother\n");
  fails(3, "has the class 'c', which the network does not know", {"--from", trained.run(), "--data", trained.photos(), "--labels", (trained.dir / "names.txt").string()});
  test::write_text(trained.dir / "names.txt", "a\nb\n");
  fails(3, "2 lines, but the network has 3 classes", {"--from", trained.run(), "--data", trained.photos(), "--labels", (trained.dir / "names.txt").string()});
  const fs::path files = test::source_folder() / "tests/libcommon/io/torch_files";
  fails(3, "no tensor 'linear.weight'", {"--from", (files / "state_dict.pt").string(), "--arch", "resnet20", "--data", trained.photos()});
  fails(3, "asks for 'argparse.Namespace', and nothing is called on a file's behalf", {"--from", (files / "namespace.pt").string(), "--arch", "resnet20", "--data", trained.photos()});
  fails(3, "is a TorchScript program", {"--from", (files / "script.pt").string(), "--arch", "resnet20", "--data", trained.photos()});
  // A weight that is no number: wherever it shows, no answer is made up of it.
  {
    const SafetensorsFile weights(trained.dir / "run/model.safetensors");
    std::vector<TensorSpec> specs;
    for (const TensorInfo& tensor : weights.tensors()) specs.push_back({tensor.name, tensor.dtype, tensor.shape});
    SafetensorsWriter writer(trained.dir / "nan.safetensors", specs, {});
    for (const TensorInfo& tensor : weights.tensors()) {
      const auto bytes = weights.bytes(tensor);
      writer.write(tensor.name == "linear.bias" ? std::vector<uint8_t>(bytes.size(), 0xff) : std::vector<uint8_t>(bytes.begin(), bytes.end()));
    }
    writer.commit();
  }
  const std::vector<std::string> broken = {"--from", (trained.dir / "nan.safetensors").string(), "--arch", "resnet20"};
  fails(5, "are not finite numbers", {broken[0], broken[1], broken[2], broken[3], "--data", trained.photos(), "--bad-images", "skip", "--max-bad-percent", "5"});
  fails(5, "are not finite numbers", {broken[0], broken[1], broken[2], broken[3], "--predict", trained.photos() + "/val/a", "--predictions", (trained.dir / "none.jsonl").string()});
  CHECK_FALSE(fs::exists(trained.dir / "none.jsonl"));
  Json manifest = Json::parse(test::read_text(trained.dir / "run/manifest.json"));
  manifest["model"]["preprocessing"]["size"] = "big";
  test::write_text(trained.dir / "run/manifest.json", manifest.dump());
  fails(3, "size", {"--from", trained.run(), "--data", trained.photos()});
}

// What the README of these weights reports: MobileNetV2 of ImageNet, TensorFlow's padding and normalisation.
TEST_CASE("evaluate-model: real ImageNet weights know the pictures that they are known to know") {
  const fs::path weights = test::data_folder() / "weights/mobilenet_v2_imagenet", pictures = test::data_folder() / "coral_samples";
  if (!fs::exists(weights / "model.safetensors") || !fs::exists(pictures)) return test::skip("no ImageNet weights or no pictures here");
  const test::TempDir dir;
  const Json report = Json::parse(test::read_text(weights / "report.json")).at("coral_top5");
  for (const auto& [padding, column, size] : std::vector<std::tuple<std::string, std::string, std::string>>{{"same", "float_same_224", "224"}, {"symmetric", "float_symmetric_224", "224"}}) {
    std::vector<std::string> command = {"--from", (weights / "model.safetensors").string(), "--arch", "mobilenet_v2", "--arch-options", R"({"padding": ")" + padding + R"("})",
                                        "--mean", "128/255", "--std", "128/255", "--labels", (weights / "labels.txt").string(), "--size", size,
                                        "--predictions", (dir / "p.jsonl").string()};
    for (const auto& [name, answers] : report.items()) command.insert(command.end(), {"--predict", (test::data_folder() / name).string()});
    const ProcessResult result = evaluate(command);
    INFO(result.err);
    REQUIRE(result.code == 0);
    const std::vector<Json> lines = json_lines(dir / "p.jsonl");
    REQUIRE(lines.size() == report.size());
    size_t i = 0;
    for (const auto& [name, answers] : report.items()) {
      const Json& want = answers.at(column), &top = lines[i++].at("top");
      INFO(name << ", padding " << padding);
      for (size_t k = 0; k < 2; ++k) {  // further down, probabilities are rounded to nothing
        if (want[k][1].get<double>() < 0.01) break;
        CHECK(top[k].at("class") == want[k][0]);
        CHECK(top[k].at("probability").get<double>() == Approx(want[k][1].get<double>()).margin(5e-3));
      }
      // The quantised original agrees with its conversion wherever it is at least half sure, given its own padding.
      const Json& original = answers.at("quantised")[0];
      if (padding == "same" && original[1].get<double>() >= 0.5) CHECK(top[0].at("class") == original[0]);
    }
  }
}
