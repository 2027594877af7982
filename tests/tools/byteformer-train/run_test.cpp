// The tool as its users run it, on files of which each class has bytes of its own.
#include <ATen/ATen.h>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <numeric>
#include <set>

#include "byteformer-train/classifier.h"
#include "bytes/encodings.h"
#include "checkpoint/tensors.h"
#include "data/byte_loader.h"
#include "io/safetensors.h"
#include "random/stream.h"
#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"
#include "tests/support/process.h"
#include "tests/support/ranks.h"
#include "tests/support/skip.h"
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
    return run_process({"/bin/sh", "-c", line + "<" + input}, {}, dir.path());
  }

  Words line_of(const std::string& out, const Words& more) const {
    const Words usual = {"--data", "data", "--arch", "bf_custom", "--arch-options", R"({"width": 16, "num_layers": 2, "num_heads": 2, "kernel": 4, "windows": 8, "merges": [0]})",
                         "--batch-size", "8", "--epochs", "12", "--lr", "0.01", "--label-smoothing", "0", "--seed", "3", "--device", "cpu", "--threads", "1", "--precision", "fp32", "--out", out};
    Words words;
    for (size_t i = 0; i < usual.size(); i += 2) {
      if (std::find(more.begin(), more.end(), usual[i]) == more.end()) words.insert(words.end(), {usual[i], usual[i + 1]});
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  test::ProcessResult train(const std::string& out, const Words& more = {}) const { return run(line_of(out, more)); }
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

  const test::ProcessResult object = bench.run({"--predict", "data/val/low/20.bin", "--from", "run", "--json"});
  REQUIRE(object.code == 0);
  CHECK(json::parse(object.out).at("predictions").size() == 1);
  // What was answered before a file that is none stays.
  const test::ProcessResult partly = bench.run({"--predict", "data/val/low/20.bin", "absent", "--from", "run"});
  CHECK(partly.code == 3);
  CHECK(lines_of(partly.out) == std::vector<json>{json::parse(object.out).at("predictions").at(0)});

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
  write_text(bench.dir / "mixed/f3long", std::string(1000, 'x'));
  const test::ProcessResult refused = bench.run({"--predict", "mixed", "--from", "run"});
  CHECK(refused.code == 3);
  CHECK_THAT(refused.err, Contains("empty"));
  const test::ProcessResult skipped = bench.run({"--predict", "mixed", "--from", "run", "--bad-images", "skip"});
  INFO(skipped.err);
  REQUIRE(skipped.code == 0);
  const std::vector<json> answers = lines_of(skipped.out);
  REQUIRE(answers.size() == 22);
  CHECK(std::count_if(answers.begin(), answers.end(), [](const json& line) { return line.contains("error"); }) == 2);
  CHECK(answers[0].at("file") == "mixed/empty");
  for (const json& line : answers) {
    if (line.at("file") == "mixed/f3long") CHECK_THAT(line.at("error").get<std::string>(), Contains("mixed/f3long' has 1,000 bytes for the network, whose position table ends at"));
  }

  const test::ProcessResult longer = bench.run({"--predict", "mixed/f3long", "--from", "run"});
  CHECK(longer.code == 3);
  CHECK_THAT(longer.err, Contains("whose position table ends at"));
  const auto fails = [&](const std::string& part, const Words& what, const std::string& input = "") {
    Words words = what;
    words.insert(words.end(), {"--from", "run"});
    const test::ProcessResult result = bench.run(words, input);
    INFO(part << "\n" << result.err);
    CHECK(result.code == 3);
    CHECK_THAT(result.err, Contains(part));
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') <= 3);  // the device, one sentence, perhaps a hint
  };
  fails("'absent' does not exist", {"--predict", "absent"});
  write_text(bench.dir / "huge", "");
  fs::resize_file(bench.dir / "huge", uintmax_t{4} << 30);  // of no blocks
  fails("'huge' has 4294967296 bytes, a file may have 268435456", {"--predict", "huge"});
  fails("'huge' has 4294967296 bytes, a file may have 268435456", {"--explain", "huge"});
  fails("standard input has more than 256 MiB", {"--predict", "-"}, "huge");
  fails("standard input is empty", {"--predict", "-"}, "/dev/null");
  fails("standard input cannot be read: Is a directory", {"--predict", "-"}, "mixed");
  fails("standard input cannot be read", {"--predict", "-"}, "&-");
  fails("'/dev/null' is a pipe or a device, expected a file or a folder", {"--predict", "/dev/null"});
  fs::create_directories(bench.dir / "bare");
  fails("'bare' holds no files", {"--predict", "bare"});
  const test::ProcessResult some = bench.run({"--predict", "huge", "absent", "mixed/f1", "-", "--from", "run", "--bad-images", "skip"}, "/dev/null");
  INFO(some.err);
  REQUIRE(some.code == 0);
  const std::vector<json> of_some = lines_of(some.out);
  REQUIRE(of_some.size() == 4);
  for (size_t i = 0; i < 4; ++i) CHECK(of_some[i].contains("error") == (i != 2));
  CHECK(bench.run({"--predict", "mixed", "--from", "data"}).code == 3);
  CHECK(bench.run({"--predict", "mixed", "--from", "run", "--out", "x"}).code == 2);
}

TEST_CASE("byteformer-train: longer files than the position table has rows for are refused, cut or given interpolated positions") {
  const Bench bench;
  REQUIRE(bench.train("run", {"--epochs", "1"}).code == 0);
  const std::string beginning = file_of(0, 77) + file_of(0, 78) + file_of(0, 79);
  write_text(bench.dir / "long", beginning + std::string(900, '\xff'));
  write_text(bench.dir / "longer", beginning + std::string(900, '\xff') + std::string(5000, '\x01'));
  const auto answer = [&](const std::string& file, const std::string& longer) {
    const test::ProcessResult result = bench.run({"--predict", file, "--from", "run", "--longer-files", longer});
    INFO(result.err);
    REQUIRE(result.code == 0);
    return lines_of(result.out)[0].at("top");
  };
  CHECK(answer("long", "truncate") == answer("longer", "truncate"));
  CHECK(answer("long", "interpolate") != answer("longer", "interpolate"));
  CHECK(bench.run({"--predict", "long", "--from", "run", "--longer-files", "refuse"}).code == 3);

  // In training: a table of fewer rows than files need, by option.
  const test::ProcessResult refused = bench.train("short", {"--epochs", "1", "--max-tokens", "10"});
  CHECK(refused.code == 3);
  CHECK_THAT(refused.err, Contains("whose position table ends at 20"));
  REQUIRE(bench.train("short", {"--epochs", "1", "--max-tokens", "10", "--longer-files", "truncate", "--overwrite"}).code == 0);
  CHECK(bench.run({"--predict", "long", "--from", "short"}).code == 0);
  CHECK_THAT(bench.train("x", {"--arch-options", R"({"kernel": 4, "positions": "truncated"})"}).err, Contains("positions has a flag of its own, --longer-files"));
}

TEST_CASE("byteformer-train: a run that was stopped goes on to the same weights, without the weights it began with") {
  const Bench bench;
  REQUIRE(bench.train("first", {"--epochs", "2"}).code == 0);
  const Words from_first = {"--init", "first", "--epochs", "3", "--batch-tokens", "150"};
  REQUIRE(bench.train("whole", from_first).code == 0);

  Words stopped = from_first;
  stopped.insert(stopped.end(), {"--save-every", "2"});
  std::string line = "'" + std::string(FETTLE_BYTEFORMER_TRAIN) + "'";
  for (const std::string& word : bench.line_of("parts", stopped)) line += " '" + word + "'";
  // Ended for good as soon as there is a state.
  const test::ProcessResult killed = run_process({"/bin/bash", "-c", line + " & process=$!; until ls parts/state/*/state.json >/dev/null 2>&1 || ! kill -0 $process 2>/dev/null; do sleep 0.01; done; kill -KILL $process; wait $process"}, {}, bench.dir.path());
  if (killed.code == 0) WARN("the run ended before it could be stopped");
  fs::rename(bench.dir / "first", bench.dir / "gone");
  stopped.emplace_back("--resume");
  if (killed.code != 0) {
    write_text(bench.dir / "data/train/low/another.bin", file_of(0, 99));
    const test::ProcessResult changed = bench.train("parts", stopped);
    CHECK(changed.code == 2);
    CHECK_THAT(changed.err, Contains("the data have changed"));
    fs::remove(bench.dir / "data/train/low/another.bin");
  }
  const test::ProcessResult resumed = bench.train("parts", stopped);
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(test::read_text(bench.dir / "parts/model.safetensors") == test::read_text(bench.dir / "whole/model.safetensors"));
}

TEST_CASE("byteformer-train: two processes train what one does, to rounding") {
  const Bench bench;
  const Words more = {"--epochs", "2", "--val-every", "2epochs", "--opt", "sgd_nesterov"};  // Adam makes steps of the noise where a gradient is zero
  REQUIRE(bench.train("one", more).code == 0);
  for (const test::ProcessResult& result : test::run_ranks(2, [&](int) {
         Words line = bench.line_of((bench.dir / "two").string(), [&] { Words all = more; all.insert(all.end(), {"--data", (bench.dir / "data").string()}); return all; }());
         line.insert(line.begin(), FETTLE_BYTEFORMER_TRAIN);
         return line;
       })) {
    INFO(result.err);
    REQUIRE(result.code == 0);
  }
  const SafetensorsFile one(bench.dir / "one/model.safetensors"), two(bench.dir / "two/model.safetensors");
  REQUIRE(one.tensors().size() == two.tensors().size());
  for (const TensorInfo& info : one.tensors()) {
    INFO(info.name);
    CHECK(at::allclose(to_tensor(one, info), to_tensor(two, info.name), 1e-3, 1e-4));
  }
  const auto metrics = [&](const std::string& run) { return json::parse(test::read_text(bench.dir / run / "manifest.json")).at("metrics"); };
  CHECK(metrics("one").at("val_nll").get<double>() == Approx(metrics("two").at("val_nll").get<double>()).epsilon(1e-3));
}

TEST_CASE("byteformer-train: pictures that are encoded take the multi-scale samplers") {
  const Bench bench;
  for (const char* part : {"train", "val"}) {
    for (int label : {0, 1}) {
      const fs::path folder = bench.dir / "pictures" / part / std::to_string(label);
      fs::create_directories(folder);
      for (int64_t i = 0; i < 12; ++i) write_text(folder / (std::to_string(i) + ".png"), test::encode_png(20, 20, std::vector<uint16_t>(20 * 20 * 3, static_cast<uint16_t>(60 + 120 * label + i)), {}));
    }
  }
  const auto run = [&](const std::string& out, const Words& more) {
    Words words = {"--data", "pictures", "--encoding", "tiff", "--size", "16", "--epochs", "2"};
    words.insert(words.end(), more.begin(), more.end());
    return bench.train(out, words);
  };
  const Words varied = {"--sampler", "msc-vbs", "--sizes", "8:24:3"};
  const test::ProcessResult trained = run("varied", varied);
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  const json manifest = json::parse(test::read_text(bench.dir / "varied/manifest.json"));
  CHECK(manifest.at("model").at("max_tokens") == (140 + 3 * 24 * 24 + 1) / 2);
  CHECK(manifest.at("model").at("input").at("size") == 16);

  std::set<std::pair<int64_t, int64_t>> seen;
  for (const json& event : lines_of(test::read_text(bench.dir / "varied/metrics.jsonl"))) {
    if (event.at("event") == "train") seen.emplace(event.at("height").get<int64_t>(), event.at("batch_size").get<int64_t>());
  }
  for (const auto& [size, batch] : seen) CHECK((size == 8 ? batch <= 32 : size == 16 ? batch <= 8 : batch <= 3));

  Words dry = varied;
  dry.push_back("--dry-run");
  dry.push_back("--json");
  const test::ProcessResult planned = run("x", dry);
  CHECK(json::parse(planned.out).at("train_multiply_adds").get<double>() == manifest.at("metrics").at("train_multiply_adds").get<double>());
  CHECK_THAT(bench.train("x", {"--sampler", "msc-vbs", "--sizes", "8:24:3"}).err, Contains("only pictures that --encoding writes have sizes"));
  CHECK_THAT(run("x", {"--sampler", "msc-vbs", "--sizes", "8:24:3", "--batch-tokens", "900"}).err, Contains("--batch-tokens and --sampler msc-vbs exclude each other"));
}

TEST_CASE("byteformer-train: a sweep shows which transforms of the bytes a network stands") {
  const Bench bench;  // classes lie above and below 128
  REQUIRE(bench.train("run", {"--require", "val_top1_percent>=95"}).code == 0);
  const test::ProcessResult swept = bench.run({"--evaluate", "--sweep", "--data", "data", "--from", "run", "--json"});
  INFO(swept.err);
  REQUIRE(swept.code == 0);
  const json report = json::parse(swept.out);
  REQUIRE(report.at("sweep").size() == 15);
  std::map<std::string, double> top1;
  for (const json& row : report.at("sweep")) top1[row.at("transform").get<std::string>()] = row.at("top1_percent").get<double>();
  CHECK(top1.at("reorder reverse") >= 90);
  CHECK(top1.at("noise -1:1") >= 90);
  CHECK(top1.at("phi") < 90);  // values are what its classes are told by
  CHECK(bench.run({"--predict", "data", "--from", "run", "--sweep"}).code == 2);

  // What it was trained with is no change.
  REQUIRE(bench.train("reversed", {"--epochs", "1", "--reorder", "reverse"}).code == 0);
  CHECK(json::parse(bench.run({"--evaluate", "--sweep", "--data", "data", "--from", "reversed", "--json"}).out).at("sweep").size() == 14);
}

TEST_CASE("byteformer-train: shuffled windows are the same when the artifact classifies, whatever its seed") {
  const Bench bench;
  REQUIRE(bench.train("run", {"--epochs", "1", "--reorder", "window-shuffle", "--reorder-window", "16"}).code == 0);
  const test::ProcessResult first = bench.run({"--predict", "data/val", "--from", "run", "--seed", "1"}), second = bench.run({"--predict", "data/val", "--from", "run", "--seed", "2"});
  REQUIRE(first.code == 0);
  CHECK(first.out == second.out);
}

TEST_CASE("byteformer-train: a recipe sets what is not said otherwise, and fits its kind of files") {
  const Bench bench;
  const test::ProcessResult shown = bench.run({"--recipe", "imagenet", "--encoding", "tiff", "--epochs", "7", "--data", "data", "--print-config"});
  INFO(shown.err);
  REQUIRE(shown.code == 0);
  const json config = json::parse(shown.out);
  CHECK(config.at("epochs") == 7);
  CHECK(config.at("lr_warmup_steps") == 7500);
  CHECK(config.at("auto_augment") == "ra");
  CHECK_THAT(bench.train("x", {"--recipe", "imagenet"}).err, Contains("--recipe imagenet is for pictures"));
  CHECK_THAT(bench.train("x", {"--recipe", "speech-commands", "--encoding", "tiff"}).err, Contains("--recipe speech-commands is for sounds"));
}

TEST_CASE("byteformer-train: sounds are rolled, mixed and laid over others in training alone") {
  const Bench bench;
  Encoder encoder({.encoding = Encoding::kWavInt16});
  const auto write_sound = [&](const fs::path& path, int label, int64_t index) {
    RandomStream stream(6, "sounds", label, index);
    std::vector<float> samples;
    for (int64_t i = 0; i < 80; ++i) samples.push_back(static_cast<float>(stream.uniform(-1, 1)) * (label == 0 ? 0.1F : 0.9F));
    std::vector<uint8_t> bytes;
    encoder.encode_sound(samples, 8000, bytes);
    fs::create_directories(path.parent_path());
    write_text(path, std::string(bytes.begin(), bytes.end()));
  };
  for (int label : {0, 1}) {
    for (int64_t i = 0; i < 24; ++i) write_sound(bench.dir / (i < 16 ? "sounds/train" : "sounds/val") / (label == 0 ? "soft" : "loud") / (std::to_string(i) + ".wav"), label, i);
  }
  write_sound(bench.dir / "noise/1.wav", 1, 99);
  const Words usual = {"--data", "sounds", "--encoding", "wav-int16", "--num-samples", "80", "--epochs", "2"};
  const auto trained = [&](const std::string& out, const Words& more) {
    Words words = usual;
    words.insert(words.end(), more.begin(), more.end());
    const test::ProcessResult result = bench.train(out, words);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return test::read_text(bench.dir / out / "model.safetensors");
  };
  const Words all = {"--sound-roll", "0.1", "--mixup-alpha", "1", "--background", "noise", "--background-db", "-20"};
  const std::string plain = trained("plain", {}), drawn = trained("drawn", all);
  CHECK(drawn != plain);
  Words threaded = all;
  threaded.insert(threaded.end(), {"--workers", "2"});
  CHECK(trained("threaded", threaded) == drawn);
  for (const Words& one : std::vector<Words>{{"--sound-roll", "0.1"}, {"--mixup-alpha", "1"}, {"--background", "noise", "--background-db", "-20"}}) {
    CHECK(trained("one", {one[0], one[1], "--overwrite"}) != plain);
  }
  const json manifest = json::parse(test::read_text(bench.dir / "drawn/manifest.json"));
  const auto& inputs = manifest.at("inputs");
  CHECK(std::any_of(inputs.begin(), inputs.end(), [](const json& input) { return input.at("role") == "background"; }));
  const test::ProcessResult evaluated = bench.run({"--evaluate", "--data", "sounds", "--from", "drawn", "--json", "--precision", "fp32"});
  REQUIRE(evaluated.code == 0);
  CHECK(json::parse(evaluated.out).at("metrics").at("nll").get<double>() == Approx(manifest.at("metrics").at("val_nll").get<double>()).epsilon(1e-5));

  CHECK_THAT(bench.train("x", {"--sound-roll", "0.1"}).err, Contains("sounds that --encoding writes are augmented so, and as-stored is none"));
  CHECK_THAT(bench.train("x", {"--mixup-alpha", "0.2", "--num-samples", "9", "--encoding", "tiff"}).err, Contains("and tiff is none"));
  CHECK_THAT(bench.train("x", {"--mixup-alpha", "0.2", "--encoding", "wav-int16"}).err, Contains("that --num-samples makes of one length"));
  Words missing = usual;
  missing.insert(missing.end(), {"--background", "nowhere"});
  CHECK(bench.train("x", missing).code == 3);
  const test::ProcessResult shown = bench.run({"--recipe", "speech-commands", "--encoding", "wav-float32", "--data", "sounds", "--print-config"});
  REQUIRE(shown.code == 0);
  CHECK(json::parse(shown.out).at("sound_roll") == 0.1);
  CHECK(json::parse(shown.out).at("mixup_alpha") == 1);
}

TEST_CASE("byteformer-train: an epoch has every sample once, lengths together and within the budget") {
  RandomStream stream(2, "lengths");
  std::vector<int64_t> tokens;
  for (int i = 0; i < 1000; ++i) tokens.push_back(stream.below(200) + 1);
  const ByteBatches budget{.batch_size = 48, .batch_tokens = 2000};
  const std::vector<BatchPlan> plans = plan_epoch(1000, tokens, budget, 7, 3);
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
  CHECK(same(plans, plan_epoch(1000, tokens, budget, 7, 3)));
  CHECK_FALSE(same(plans, plan_epoch(1000, tokens, budget, 7, 4)));
  CHECK(plan_epoch(100, {}, {.batch_size = 48}, 7, 0).size() == 3);
  // One for each of several processes, whatever that makes of the budget.
  const std::vector<BatchPlan> few = plan_epoch(11, {900, 1, 1, 1, 800, 1, 1, 1, 1, 1, 700}, {.batch_size = 4, .batch_tokens = 100, .least = 3}, 7, 0);
  CHECK(std::all_of(few.begin(), few.end(), [](const BatchPlan& plan) { return plan.indices.size() >= 3; }));
  CHECK(std::accumulate(few.begin(), few.end(), size_t{0}, [](size_t sum, const BatchPlan& plan) { return sum + plan.indices.size(); }) == 11);
  CHECK(plan_evaluation(100, {}, {.batch_size = 48})[2].indices.size() == 4);
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

TEST_CASE("byteformer-train: sounds of all lengths fit, wherever the longest lies, and files whose length contents decide are cut") {
  const Bench bench;
  Encoder encoder({.encoding = Encoding::kWavInt16});
  const auto write_sound = [&](const fs::path& path, int64_t count, int64_t rate = 8000) {
    RandomStream stream(8, "sounds", 0, count);
    std::vector<float> samples;
    for (int64_t i = 0; i < count; ++i) samples.push_back(static_cast<float>(stream.uniform(-0.5, 0.5)));
    std::vector<uint8_t> bytes;
    encoder.encode_sound(samples, rate, bytes);
    fs::create_directories(path.parent_path());
    write_text(path, std::string(bytes.begin(), bytes.end()));
  };
  // 202 files, of which every third is tried where contents decide, and not the one that is 300 times as long.
  for (int64_t i = 0; i < 100; ++i) {
    for (const char* name : {"a", "b"}) write_sound(bench.dir / (i < 90 ? "sounds/train" : "sounds/val") / name / (std::to_string(100 + i) + ".wav"), 60 + i % 7);
  }
  write_sound(bench.dir / "sounds/train/a/102x.wav", 20000);
  const Words usual = {"--data", "sounds", "--epochs", "1", "--batch-size", "16"};
  const auto trained = [&](Words more) {
    more.insert(more.begin(), usual.begin(), usual.end());
    more.push_back("--overwrite");
    return bench.train("run", more);
  };
  const test::ProcessResult exact = trained({"--encoding", "wav-int16", "--batch-tokens", "600"});
  INFO(exact.err);
  REQUIRE(exact.code == 0);
  const json manifest = json::parse(test::read_text(bench.dir / "run/manifest.json"));
  CHECK(manifest.at("model").at("max_tokens") == (20000 * 2 + 44 + 1) / 2);  // kernel 4
  CHECK(manifest.at("model").at("positions") == "table");
  CHECK(manifest.at("metrics").at("train_multiply_adds").get<double>() > 0);

  // Of a sound that is none: what it is in training, left out where that is asked for.
  write_text(bench.dir / "sounds/train/b/none.wav", "no sound");
  const test::ProcessResult refused = trained({"--encoding", "wav-int16"});
  CHECK(refused.code == 3);
  CHECK_THAT(refused.err, Contains("cannot be read") && Contains("--bad-images skip"));
  const test::ProcessResult skipped = trained({"--encoding", "wav-int16", "--bad-images", "skip", "--max-bad-percent", "5"});
  INFO(skipped.err);
  CHECK(skipped.code == 0);
  fs::remove(bench.dir / "sounds/train/b/none.wav");

  // MP3's length is known when it is written: 64 are tried, with room for twice the longest of them, and what is longer is cut.
  const test::ProcessResult cut = trained({"--encoding", "mp3"});
  INFO(cut.err);
  if (cut.code == 4) return test::skip("no encoder of MP3");
  REQUIRE(cut.code == 0);
  CHECK_THAT(cut.err, Contains("contents decide how long files get"));
  CHECK(json::parse(test::read_text(bench.dir / "run/manifest.json")).at("model").at("positions") == "truncated");
  CHECK(bench.run({"--predict", "sounds/train/a/102x.wav", "--from", "run"}).code == 0);
  CHECK(bench.run({"--predict", "sounds/train/a/102x.wav", "--from", "run", "--longer-files", "refuse"}).code == 3);
  for (const test::ProcessResult& by_tokens : {trained({"--encoding", "mp3", "--batch-tokens", "600"}), bench.run({"--evaluate", "--data", "sounds/val", "--from", "run", "--batch-tokens", "600"})}) {
    CHECK(by_tokens.code == 2);
    CHECK_THAT(by_tokens.err, Contains("--batch-tokens: with encoding mp3 contents decide how long files get"));
  }
}
