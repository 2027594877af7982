// The tool as its users run it, on files of which each class has bytes of its own.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <set>

#include "data/byte_loader.h"
#include "byteformer-train/classifier.h"
#include "random/stream.h"
#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::byteformer;
using Catch::Contains;
using test::run_process;
using test::write_text;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

// Bytes below 128 and from there on, of different lengths.
std::string file_of(int label, int64_t index) {
  RandomStream stream(5, "files", label, index);
  std::string bytes;
  for (int64_t i = stream.below(60) + 20; i > 0; --i) bytes.push_back(static_cast<char>(stream.below(128) + 128 * label));
  return bytes;
}

struct Bench {
  test::TempDir dir;

  Bench() {
    for (int label : {0, 1}) {
      for (int64_t i = 0; i < 24; ++i) {
        const fs::path folder = dir / (i < 16 ? "data/train" : "data/val") / (label == 0 ? "low" : "high");
        fs::create_directories(folder);
        write_text(folder / (std::to_string(i) + ".bin"), file_of(label, i));
      }
    }
  }

  test::ProcessResult run(Words arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), FETTLE_BYTEFORMER_TRAIN);
    if (input.empty()) return run_process(arguments, {}, dir.path());
    std::string line;
    for (const std::string& word : arguments) line += "'" + word + "' ";
    return run_process({"/bin/sh", "-c", line + "< " + input}, {}, dir.path());
  }

  test::ProcessResult train(const std::string& out, const Words& more = {}) const {
    Words words = {"--data", "data", "--arch", "bf_custom", "--arch-options", R"({"width": 16, "num_layers": 2, "num_heads": 2, "kernel": 4, "windows": 8, "merges": [0]})",
                   "--batch-size", "8", "--epochs", "12", "--lr", "0.01", "--label-smoothing", "0", "--seed", "3", "--device", "cpu", "--threads", "1", "--precision", "fp32", "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
};

std::vector<json> lines_of(const std::string& text) {
  std::vector<json> lines;
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) lines.push_back(json::parse(text.substr(at, text.find('\n', at) - at)));
  return lines;
}

}  // namespace

TEST_CASE("byteformer-train: learns stored files and classifies them from a folder, by name and from a pipe") {
  const Bench bench;
  const test::ProcessResult trained = bench.train("run", {"--require", "val_top1_percent>=95"});
  INFO(trained.err);
  REQUIRE(trained.code == 0);

  const test::ProcessResult folder = bench.run({"--predict", "data/val/high", "data/val/low/20.bin", "-", "--from", "run"}, "data/val/low/20.bin");
  INFO(folder.err);
  REQUIRE(folder.code == 0);
  const std::vector<json> answers = lines_of(folder.out);
  REQUIRE(answers.size() == 10);
  for (size_t i = 0; i < 8; ++i) CHECK(answers[i].at("top").at(0).at("class") == "high");
  CHECK(answers[8].at("file") == "data/val/low/20.bin");
  CHECK(answers[8].at("top").at(0).at("class") == "low");
  CHECK(answers[9].at("file") == "-");
  CHECK(answers[9].at("top") == answers[8].at("top"));  // alone or with others, from a file or a pipe

  const test::ProcessResult evaluated = bench.run({"--evaluate", "--data", "data", "--from", "run", "--json", "--precision", "fp32"});
  INFO(evaluated.err);
  REQUIRE(evaluated.code == 0);
  const json metrics = json::parse(evaluated.out).at("metrics");
  const json manifest = json::parse(test::read_text(bench.dir / "run/manifest.json"));
  CHECK(metrics.at("top1_percent") == manifest.at("metrics").at("val_top1_percent"));
  CHECK(metrics.at("nll").get<double>() == Approx(manifest.at("metrics").at("val_nll").get<double>()).epsilon(1e-5));
}

TEST_CASE("byteformer-train: the same seed gives the same artifact, batches by tokens included") {
  const Bench bench;
  for (const char* out : {"a", "b"}) {
    const test::ProcessResult trained = bench.run({"--data", "data", "--arch", "bf_custom", "--arch-options", R"({"width": 8, "num_layers": 1, "num_heads": 1, "kernel": 4})", "--batch-tokens", "200",
                                                   "--epochs", "2", "--seed", "3", "--device", "cpu", "--threads", "1", "--out", out});
    INFO(trained.err);
    REQUIRE(trained.code == 0);
  }
  CHECK(test::read_text(bench.dir / "a/model.safetensors") == test::read_text(bench.dir / "b/model.safetensors"));
}

TEST_CASE("byteformer-train: a permutation from a file stays out of the artifact, and is needed to use it") {
  const Bench bench;
  std::string phi;
  for (int v = 0; v < 256; ++v) phi.push_back(static_cast<char>((v * 5 + 17) % 256));
  write_text(bench.dir / "secret", phi);
  REQUIRE(bench.train("run", {"--phi-file", "secret", "--max-steps", "2"}).code == 0);
  const json input = json::parse(test::read_text(bench.dir / "run/manifest.json")).at("model").at("input");
  CHECK(input.at("transforms").at("phi") == "secret");
  const test::ProcessResult without = bench.run({"--predict", "data/val/low/20.bin", "--from", "run"});
  CHECK(without.code == 2);
  CHECK_THAT(without.err, Contains("--phi-file is needed"));
  CHECK(bench.run({"--predict", "data/val/low/20.bin", "--from", "run", "--phi-file", "secret"}).code == 0);
  write_text(bench.dir / "wrong", phi.substr(1) + phi[5]);
  const test::ProcessResult wrong = bench.run({"--predict", "data/val/low/20.bin", "--from", "run", "--phi-file", "wrong"});
  CHECK(wrong.code == 3);
  CHECK_THAT(wrong.err, Contains("wrong"));
}

TEST_CASE("byteformer-train: files that cannot be read are refused by name, or answered for where that is asked for") {
  const Bench bench;
  REQUIRE(bench.train("run", {"--max-steps", "2"}).code == 0);
  fs::create_directories(bench.dir / "mixed");
  write_text(bench.dir / "mixed/empty", "");
  for (int i = 0; i < 20; ++i) write_text(bench.dir / "mixed" / ("f" + std::to_string(i)), file_of(1, i));
  const test::ProcessResult refused = bench.run({"--predict", "mixed", "--from", "run"});
  CHECK(refused.code == 3);
  CHECK_THAT(refused.err, Contains("empty"));
  const test::ProcessResult skipped = bench.run({"--predict", "mixed", "--from", "run", "--bad-images", "skip"});
  INFO(skipped.err);
  REQUIRE(skipped.code == 0);
  const std::vector<json> answers = lines_of(skipped.out);
  REQUIRE(answers.size() == 21);
  CHECK(std::count_if(answers.begin(), answers.end(), [](const json& line) { return line.contains("error"); }) == 1);
  CHECK(answers[0].at("file") == "mixed/empty");

  write_text(bench.dir / "long", std::string(1000, 'x'));
  const test::ProcessResult longer = bench.run({"--predict", "long", "--from", "run"});
  CHECK(longer.code == 3);
  CHECK_THAT(longer.err, Contains("the position table has"));
  CHECK(bench.run({"--predict", "absent", "--from", "run"}).code == 3);
  CHECK(bench.run({"--predict", "long", "--from", "data"}).code == 3);
  CHECK(bench.run({"--predict", "long", "--from", "run", "--out", "x"}).code == 2);
}

TEST_CASE("byteformer-train: an epoch has every sample once, lengths together and within the budget") {
  RandomStream stream(2, "lengths");
  std::vector<int64_t> tokens;
  for (int i = 0; i < 1000; ++i) tokens.push_back(stream.below(200) + 1);
  const std::vector<BatchPlan> plans = plan_epoch(1000, tokens, 48, 2000, 0, 7, 3);
  std::multiset<int64_t> seen;
  int64_t padded = 0, all = 0;
  for (const BatchPlan& plan : plans) {
    int64_t sum = 0, longest = 0;
    for (const int64_t index : plan.indices) {
      seen.insert(index);
      sum += tokens[static_cast<size_t>(index)];
      longest = std::max(longest, tokens[static_cast<size_t>(index)]);
    }
    CHECK(sum <= 2000);
    all += sum;
    padded += longest * static_cast<int64_t>(plan.indices.size());
  }
  CHECK(seen.size() == 1000);
  CHECK(std::set<int64_t>(seen.begin(), seen.end()).size() == 1000);
  CHECK(static_cast<double>(padded) < 1.25 * static_cast<double>(all));
  const auto same = [](const std::vector<BatchPlan>& a, const std::vector<BatchPlan>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const BatchPlan& x, const BatchPlan& y) { return x.indices == y.indices; });
  };
  CHECK(same(plans, plan_epoch(1000, tokens, 48, 2000, 0, 7, 3)));
  CHECK_FALSE(same(plans, plan_epoch(1000, tokens, 48, 2000, 0, 7, 4)));
  CHECK(plan_epoch(100, {}, 48, 0, 32, 7, 0).size() == 3);
  CHECK(plan_evaluation(100, {}, 48, 0, 32)[2].indices.size() == 4);
}

TEST_CASE("byteformer-train: an input's description comes back, and damage is refused") {
  Input stored{.max_bytes = 4000};
  stored.transforms.reorder = Reorder{Order::kStride, 64};
  Input pictures{.encoding = EncodingOptions{.encoding = Encoding::kJpeg, .jpeg_quality = 60}, .size = 32, .crop_pct = 0.875};
  pictures.transforms.keep = Keep{.fraction = 0.25};
  const Input sounds{.encoding = EncodingOptions{.encoding = Encoding::kWavInt16}, .num_samples = 16000};
  for (const Input& input : {stored, pictures, sounds}) CHECK(input_from_json(to_json(input), "m") == input);
  for (const auto& [key, value] : std::vector<std::pair<std::string, json>>{{"size", 0}, {"crop_pct", 2}, {"encoding", "gif"}, {"interpolation", "best"}, {"colour", 1}, {"transforms", 3}}) {
    json damaged = to_json(pictures);
    damaged[key] = value;
    INFO(key);
    test::expect_error(ExitCode::kInput, "m:", [&] { input_from_json(damaged, "m"); });
  }
}
