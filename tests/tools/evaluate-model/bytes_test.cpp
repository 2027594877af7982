// evaluate-model on networks that read bytes, trained here by byteformer-train, whose own numbers and answers are the measure.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "bytes/encodings.h"
#include "random/stream.h"
#include "tests/support/idx_files.h"
#include "tests/support/image_files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using Catch::Contains;
using nlohmann::json;
using test::ProcessResult;
using test::write_text;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

constexpr int kPerClass = 16;  // in each part

// A folder that tools run in, with data/train and data/val of the classes a and b.
struct Bench {
  test::TempDir dir;

  template <typename MakeFile>  // of (class, index)
  Bench(const std::string& extension, const MakeFile& make_file) {
    for (const char* part : {"train", "val"}) {
      for (int c = 0; c < 2; ++c) {
        const fs::path folder = dir / "data" / part / (c == 0 ? "a" : "b");
        fs::create_directories(folder);
        for (int i = 0; i < kPerClass; ++i) write_text(folder / (std::to_string(i) + extension), make_file(c, *part == 't' ? i : kPerClass + i));
      }
    }
  }

  ProcessResult run(const char* tool, Words words) const {
    words.insert(words.begin(), tool);
    words.insert(words.end(), {"--device", "cpu", "--threads", "1"});
    return test::run_process(words, {}, dir.path());
  }
  ProcessResult evaluate(const Words& words) const { return run(FETTLE_EVALUATE_MODEL, words); }
  ProcessResult train(const Words& words) const { return run(FETTLE_BYTEFORMER_TRAIN, words); }

  // The artifact "run"; two steps, unless said otherwise, leave errors to look at.
  void make_artifact(Words more) const {
    more.insert(more.begin(), {"--arch", "bf_custom", "--arch-options", R"({"width": 16, "num_layers": 2, "num_heads": 2, "kernel": 4, "windows": 8, "merges": [0]})", "--batch-size", "8",
                               "--lr", "0.01", "--seed", "3", "--precision", "fp32", "--out", "run"});
    const ProcessResult trained = train(more);
    INFO(trained.err);
    REQUIRE(trained.code == 0);
  }

  json evaluated(Words more) const {
    more.insert(more.begin(), {"--from", "run", "--json"});
    const ProcessResult result = evaluate(more);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return json::parse(result.out);
  }

  // The trainer's own --evaluate, of --data data.
  json expected(Words more = {}) const {
    more.insert(more.begin(), {"--evaluate", "--from", "run", "--data", "data", "--json", "--precision", "fp32"});
    const ProcessResult result = train(more);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return json::parse(result.out).at("metrics");
  }

  void fails(int code, const std::string& part, Words words) const {
    words.insert(words.begin(), {"--from", "run"});
    const ProcessResult result = evaluate(words);
    INFO(part << "\n" << result.err);
    CHECK(result.code == code);
    CHECK_THAT(result.err, Contains(part));
    CHECK(result.out.empty());
  }
};

// Bytes of different lengths, those of the classes from halves that overlap.
std::string stored_file(int c, int64_t index) {
  RandomStream stream(5, "files", c, index);
  std::string bytes;
  for (int64_t i = stream.below(60) + 20; i > 0; --i) bytes.push_back(static_cast<char>(stream.below(150) + 100 * c));
  return bytes;
}

std::string picture_file(int c, int64_t index) {
  Image image = test::test_picture(20, 26, static_cast<uint32_t>(100 * c + index));
  for (size_t p = static_cast<size_t>(c); p < image.pixels.size(); p += 3) image.pixels[p] = static_cast<uint8_t>(image.pixels[p] / 2 + 60);
  return test::encode_jpeg(image);
}

std::string sound_file(int c, int64_t index) {
  RandomStream stream(7, "sounds", c, index);
  std::vector<float> samples;
  for (int64_t i = stream.below(40) + 50; i > 0; --i) samples.push_back((static_cast<float>(stream.below(1000)) / 1000 - 0.5F) * (c == 0 ? 0.3F : 1));
  std::vector<uint8_t> bytes;
  byteformer::Encoder({.encoding = byteformer::Encoding::kWavInt16}).encode_sound(samples, 8000, bytes);
  return {bytes.begin(), bytes.end()};
}

void check_same_metrics(const json& metrics, const json& expected) {
  for (const char* name : {"top1_percent", "top5_percent", "nll", "ece"}) {
    INFO(name);
    CHECK(metrics.at(name) == expected.at(name));
  }
}

// Confusion, classes and bins each add up to all samples and to the accuracy.
void check_adds_up(const json& result, int64_t samples) {
  const json& first = result.at("sizes").at(0);
  int64_t all = 0, right = 0, in_bins = 0, right_of_classes = 0;
  for (const json& entry : first.at("confusion")) {
    all += entry[2].get<int64_t>();
    if (entry[0] == entry[1]) right += entry[2].get<int64_t>();
  }
  for (const json& bin : first.at("calibration")) in_bins += bin.at("images").get<int64_t>();
  for (size_t c = 0; c < first.at("class_images").size(); ++c) {
    const json& percent = first.at("class_top1_percent")[c];
    if (!percent.is_null()) right_of_classes += static_cast<int64_t>(std::lround(percent.get<double>() / 100 * first.at("class_images")[c].get<double>()));
  }
  CHECK(all == samples);
  CHECK(in_bins == samples);
  CHECK(right == right_of_classes);
  CHECK(100.0 * static_cast<double>(right) / static_cast<double>(samples) == result.at("metrics").at("top1_percent").get<double>());
}

size_t count_of(const std::string& part, const std::string& text) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// --predict PATH of both tools.
void check_same_answers(const Bench& bench, const std::string& path, size_t files) {
  const ProcessResult theirs = bench.train({"--predict", path, "--from", "run", "--precision", "fp32"});
  INFO(theirs.err);
  REQUIRE(theirs.code == 0);
  const json answers = bench.evaluated({"--predict", path, "--predictions", "p.jsonl"}).at("predictions");
  REQUIRE(answers.size() == files);
  std::istringstream lines(theirs.out), written(test::read_text(bench.dir / "p.jsonl"));
  std::string line;
  for (const json& answer : answers) {
    REQUIRE(std::getline(written, line));
    CHECK(json::parse(line) == answer);
    REQUIRE(std::getline(lines, line));
    const json their = json::parse(line);
    CHECK(answer.at("image") == their.at("file"));
    REQUIRE(answer.at("top").size() == their.at("top").size());
    for (size_t k = 0; k < answer.at("top").size(); ++k) {
      CHECK(answer.at("top")[k].at("class") == their.at("top")[k].at("class"));
      CHECK(answer.at("top")[k].at("probability").get<double>() == Approx(their.at("top")[k].at("probability").get<double>()).epsilon(1e-6));
    }
  }
}

}  // namespace

TEST_CASE("evaluate-model: of a network of stored files, the numbers and answers that its trainer gives") {
  const Bench bench(".bin", stored_file);
  bench.make_artifact({"--data", "data", "--epochs", "2"});
  const json expected = bench.expected();
  const json result = bench.evaluated({"--data", "data", "--report", "r.html", "--predictions", "p.jsonl"});
  check_same_metrics(result.at("metrics"), expected);
  CHECK_FALSE(result.at("metrics").contains("top1_percent_at_0"));
  CHECK(result.at("sizes").at(0).at("size").is_null());
  CHECK(result.at("class_names") == json({"a", "b"}));
  CHECK(result.at("model_id") == bench.evaluated({"--export", "w.safetensors"}).at("model_id"));
  check_adds_up(result, 2 * kPerClass);
  for (const char* batch : {"1", "5", "1000"}) {
    INFO(batch);
    const json metrics = bench.evaluated({"--data", "data", "--batch-size", batch, "--workers", "0"}).at("metrics");
    CHECK(metrics.at("top1_percent") == expected.at("top1_percent"));
    CHECK(metrics.at("nll").get<double>() == Approx(expected.at("nll").get<double>()).epsilon(1e-6));  // matrix products of other sizes round otherwise
  }
  CHECK(bench.evaluated({"--data", "data", "--ece-bins", "1"}).at("sizes").at(0).at("calibration").size() == 1);
  check_same_answers(bench, "data/val/b", kPerClass);

  const std::string page = test::read_text(bench.dir / "r.html");
  const double wrong = 2 * kPerClass * (1 - expected.at("top1_percent").get<double>() / 100);
  REQUIRE(wrong > 0.5);
  CHECK(count_of("<figure>", page) == static_cast<size_t>(std::min(24L, std::lround(wrong))));
  CHECK_THAT(page, Contains("<th>files</th>") && Contains(".bin</span>") && !Contains("<img") && !Contains("0 px") && Catch::EndsWith("</html>\n"));

  // Every file of weights in the artifact, and what --export writes.
  CHECK(test::read_text(bench.dir / "w.safetensors") == test::read_text(bench.dir / "run/model.safetensors"));
  const json manifest = json::parse(test::read_text(bench.dir / "run/manifest.json"));
  const ProcessResult best = bench.evaluate({"--from", "run/model_best.safetensors", "--data", "data", "--json"});
  INFO(best.err);
  REQUIRE(best.code == 0);
  CHECK(json::parse(best.out).at("metrics").at("top1_percent") == manifest.at("metrics").at("best_val_top1_percent"));

  const ProcessResult bf16 = bench.evaluate({"--from", "run", "--data", "data", "--json", "--precision", "bf16"});
  REQUIRE(bf16.code == 0);
  CHECK(json::parse(bf16.out).at("metrics").at("nll") != expected.at("nll"));
  CHECK(json::parse(bf16.out).at("metrics").at("nll").get<double>() == Approx(expected.at("nll").get<double>()).epsilon(0.02));
}

TEST_CASE("evaluate-model: of a network of encoded pictures, also over sizes, on corrupted pictures and on IDX files") {
  const Bench bench(".jpg", picture_file);
  bench.make_artifact({"--data", "data", "--encoding", "tiff", "--size", "12", "--interpolation", "bicubic", "--crop-pct", "0.8", "--epochs", "2"});
  write_text(bench.dir / "data/val/a/notes.txt", "no picture, and not called one");
  const json expected = bench.expected();
  const json result = bench.evaluated({"--data", "data", "--eval-sizes", "12,8", "--report", "r.html", "--corruptions", "all", "--severities", "1,5"});
  const json& metrics = result.at("metrics");
  check_same_metrics(metrics, expected);
  check_adds_up(result, 2 * kPerClass);
  CHECK(metrics.at("top1_percent_at_12") == metrics.at("top1_percent"));
  CHECK(result.at("sizes").at(1).at("size") == 8);
  CHECK(result.at("sizes").at(1).at("nll") != result.at("sizes").at(0).at("nll"));
  check_same_answers(bench, "data/val", 2 * kPerClass);

  REQUIRE(result.at("corrupted").size() == 14);
  for (const json& corrupted : result.at("corrupted")) {
    INFO(corrupted);
    CHECK(corrupted.at("nll") != metrics.at("nll"));
  }
  CHECK(bench.evaluated({"--data", "data", "--corruptions", "all", "--severities", "1,5", "--workers", "0", "--seed", "9"}).at("corrupted") == result.at("corrupted"));
  const std::string page = test::read_text(bench.dir / "r.html");
  const double wrong = 2 * kPerClass * (1 - metrics.at("top1_percent").get<double>() / 100);
  REQUIRE(wrong > 0.5);
  CHECK(count_of("data:image/bmp;base64,", page) == static_cast<size_t>(std::min(24L, std::lround(wrong))));
  CHECK_THAT(page, Contains("Reliability at 8 px") && Contains("<th>images</th>"));

  bench.fails(3, "whose position table ends at", {"--data", "data", "--eval-sizes", "12,64"});
  bench.fails(2, "--size: 'run' reads bytes", {"--data", "data", "--size", "8"});

  fs::rename(bench.dir / "run", bench.dir / "photographs");
  test::write_small_idx_dataset(bench.dir / "idx");
  bench.make_artifact({"--data", "idx", "--encoding", "fhwc", "--size", "12", "--max-steps", "4"});
  const json idx = bench.evaluated({"--data", "idx", "--report", "idx.html"});
  CHECK_THAT(test::read_text(bench.dir / "idx.html"), Contains("test image") && Contains("data:image/bmp;base64,"));
  check_adds_up(idx, 60);
  CHECK(idx.at("metrics").at("top1_percent") == json::parse(test::read_text(bench.dir / "run/manifest.json")).at("metrics").at("val_top1_percent"));
}

TEST_CASE("evaluate-model: of a network of encoded sounds; a file that is none is named, or left out") {
  const Bench bench(".wav", sound_file);
  bench.make_artifact({"--data", "data", "--encoding", "wav-uint8", "--num-samples", "64", "--epochs", "2"});
  const json result = bench.evaluated({"--data", "data"});
  check_same_metrics(result.at("metrics"), bench.expected());
  check_adds_up(result, 2 * kPerClass);
  check_same_answers(bench, "data/val/a", kPerClass);
  bench.fails(2, "--corruptions: 'run' reads sounds as wav-uint8", {"--data", "data", "--corruptions", "contrast"});
  write_text(bench.dir / "data/val/a/3.wav", "no sound");
  bench.fails(3, "a/3.wav", {"--data", "data"});
  bench.fails(3, "1 of 32 files cannot be used, more than --max-bad-percent 1", {"--data", "data", "--bad-images", "skip"});
  const json skipped = bench.evaluated({"--data", "data", "--bad-images", "skip", "--max-bad-percent", "5"});
  CHECK(skipped.at("images") == 31);
  CHECK(skipped.at("bad_images") == 1);
  check_same_metrics(skipped.at("metrics"), bench.expected({"--bad-images", "skip"}));
  check_adds_up(skipped, 31);
}

TEST_CASE("evaluate-model: a permutation that an artifact does not hold is asked for") {
  const Bench bench(".bin", stored_file);
  std::string phi;
  for (int v = 0; v < 256; ++v) phi.push_back(static_cast<char>((v * 5 + 17) % 256));
  write_text(bench.dir / "secret", phi);
  bench.make_artifact({"--data", "data", "--phi-file", "secret", "--epochs", "2"});
  bench.fails(2, "--phi-file is needed", {"--data", "data"});
  check_same_metrics(bench.evaluated({"--data", "data", "--phi-file", "secret"}).at("metrics"), bench.expected({"--phi-file", "secret"}));
  std::swap(phi[3], phi[200]);
  write_text(bench.dir / "other", phi);
  CHECK(bench.evaluated({"--data", "data", "--phi-file", "other"}).at("metrics").at("nll") != bench.expected({"--phi-file", "secret"}).at("nll"));
  bench.fails(3, "none", {"--data", "data", "--phi-file", "none"});
}

TEST_CASE("evaluate-model: what does not go with a network of bytes is refused") {
  const Bench bench(".bin", stored_file);
  bench.make_artifact({"--data", "data", "--max-steps", "2"});
  for (const auto& [flag, value] : std::vector<std::pair<std::string, std::string>>{{"--arch", "resnet20"}, {"--arch-options", "{}"}, {"--size", "32"}, {"--resize", "40"}, {"--mean", "0"},
                                                                                    {"--std", "1"}, {"--interpolation", "bicubic"}, {"--labels", "data/val/a/0.bin"}}) {
    bench.fails(2, flag + ": 'run' reads bytes, and says itself", {"--data", "data", flag, value});
  }
  bench.fails(2, "--corruptions: 'run' reads files as they are stored", {"--data", "data", "--corruptions", "all"});
  bench.fails(2, "--eval-sizes: 'run' reads files as they are stored", {"--data", "data", "--eval-sizes", "8,12"});
  bench.fails(2, "--names: ", {"--export", "w.safetensors", "--names", "timm"});
  bench.fails(2, "--phi-file: 'run' was trained without a permutation", {"--data", "data", "--phi-file", "data/val/a/0.bin"});
  CHECK_FALSE(fs::exists(bench.dir / "w.safetensors"));

  test::write_small_idx_dataset(bench.dir / "idx");
  bench.fails(3, "is IDX, whose images have no bytes of their own", {"--data", "idx"});
  write_text(bench.dir / "long.bin", std::string(5000, 'x'));
  bench.fails(3, "long.bin' has 5,000 bytes for the network, whose position table ends at", {"--predict", "long.bin"});
  const ProcessResult left_out = bench.evaluate({"--from", "run", "--predict", "data/val/a/0.bin", "long.bin", "--bad-images", "skip", "--max-bad-percent", "50"});
  INFO(left_out.err);
  CHECK(left_out.code == 0);
  CHECK_THAT(left_out.err, Contains("long.bin' has 5,000 bytes"));
  write_text(bench.dir / "data/val/b/1.bin", "");
  bench.fails(3, "b/1.bin", {"--data", "data"});
  fs::rename(bench.dir / "data/val/b", bench.dir / "data/val/c");
  bench.fails(3, "'c'", {"--data", "data"});

  json manifest = json::parse(test::read_text(bench.dir / "run/manifest.json"));
  manifest["kind"] = "reinforced-labels";
  write_text(bench.dir / "run/manifest.json", manifest.dump());
  bench.fails(3, "an artifact of kind 'reinforced-labels'; those of 'classifier' and 'byte-classifier' can be evaluated", {"--data", "data"});
}
