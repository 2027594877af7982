// Which bytes an answer hangs on: against differences by hand, and by the tool on files of which one chunk tells the class.
#include <ATen/ATen.h>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <functional>
#include <numeric>

#include "byteformer-train/saliency.h"
#include "byteformer-train/saliency_page.h"
#include "bytes/byte_transforms.h"
#include "checkpoint/byte_classifier.h"
#include "random/stream.h"
#include "tests/support/expect_error.h"
#include "tests/support/image_files.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

using namespace fettle;
using namespace fettle::byteformer;
using Catch::Contains;
using test::write_text;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

using Words = std::vector<std::string>;

at::Tensor named(ByteFormer& model, const std::string& name) {
  for (const auto& [own, tensor] : named_tensors(model)) {
    if (own == name) return tensor;
  }
  FAIL("no " << name);
  std::abort();
}

std::shared_ptr<ByteFormer> network(const json& overrides, uint64_t seed = 3) {
  json all = {{"width", 16}, {"num_layers", 3}, {"num_heads", 2}, {"ffn_width", 32}, {"kernel", 4}, {"windows", 6}, {"merges", {1}}, {"max_tokens", 64}};
  all.update(overrides);
  auto model = make_byteformer(byteformer_description("bf_custom", 4, all), seed);
  const at::NoGradGuard no_grad;
  named(*model, "embeddings.weight").mul_(3);
  named(*model, "classifier.weight").mul_(5);
  model->eval();
  return model;
}

std::vector<uint8_t> bytes_of(size_t count) {
  std::vector<uint8_t> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<uint8_t>(i * 37 + 11);  // no two are equal
  return bytes;
}

// The integral for one byte by central differences: the embeddings of all bytes scaled by s, and that of its own value, which no other byte has,
// a little more or less.
double by_differences(ByteFormer& model, const std::vector<uint8_t>& bytes, size_t which, const Saliency& of, int64_t points) {
  const at::NoGradGuard no_grad;
  const at::Tensor embeddings = named(model, "embeddings.weight"), kept = embeddings.clone();
  const at::Tensor packed = at::tensor(at::ArrayRef<uint8_t>(bytes.data(), bytes.size()), at::kByte);
  constexpr double kStep = 0.02;
  double sum = 0;
  for (int64_t i = 0; i < points; ++i) {
    const double s = (static_cast<double>(i) + 0.5) / static_cast<double>(points);
    for (const double sign : {-1.0, 1.0}) {
      embeddings.copy_(kept * s);
      embeddings[bytes[which]].copy_(kept[bytes[which]] * (s + sign * kStep));
      const at::Tensor logits = model.forward({packed, {0, packed.numel()}})[0];
      sum += sign * (logits[of.answer] - logits[of.runner_up]).item<double>() / (2 * kStep);
    }
  }
  embeddings.copy_(kept);
  return sum / static_cast<double>(points);
}

// WAV files whose 'note' chunk tells the class by its 16 bytes; the rest is the same noise for all.
constexpr int64_t kNoteBytes = 16;
const std::vector<std::string> kClasses = {"low <i>", "middle", "high"};
std::string file_of(int label, int64_t index) {
  RandomStream stream(5, "explained files", label, index);
  const auto noise = [&](int64_t count, int64_t low, int64_t values) {
    std::string bytes;
    for (; count > 0; --count) bytes.push_back(static_cast<char>(low + stream.below(values)));
    return bytes;
  };
  const std::string format = noise(16, 90, 8), note = noise(kNoteBytes, 40 + 80 * label, 8), samples = noise(100, 90, 8);
  const std::string chunks = "WAVE" + test::riff_chunk("fmt ", format) + test::riff_chunk("note", note) + test::riff_chunk("data", samples);
  return "RIFF" + test::little_endian(chunks.size(), 4) + chunks;
}

struct Trained {
  test::TempDir dir;

  explicit Trained(const Words& more = {}) {
    for (int label : {0, 1, 2}) {
      for (int64_t i = 0; i < 264; ++i) {
        const fs::path folder = dir / (i < 256 ? "data/train" : "data/val") / kClasses[static_cast<size_t>(label)];
        fs::create_directories(folder);
        write_text(folder / (std::to_string(i) + ".wav"), file_of(label, i));
      }
    }
    Words words = {"--data", "data", "--arch", "bf_custom", "--arch-options", R"({"width": 16, "num_layers": 2, "num_heads": 2, "kernel": 4, "windows": 8, "merges": [0]})", "--batch-size", "16",
                   "--epochs", "8", "--lr", "0.01", "--label-smoothing", "0", "--seed", "3", "--device", "cpu", "--threads", "1", "--precision", "fp32", "--out", "run", "--require", "val_top1_percent>=95"};
    words.insert(words.end(), more.begin(), more.end());
    const test::ProcessResult trained = run(words);
    INFO(trained.err);
    REQUIRE(trained.code == 0);
  }

  test::ProcessResult run(Words arguments, const std::string& input = "") const {
    arguments.insert(arguments.begin(), FETTLE_BYTEFORMER_TRAIN);
    if (input.empty()) return test::run_process(arguments, {}, dir.path());
    std::string line;
    for (const std::string& word : arguments) line += "'" + word + "' ";
    return test::run_process({"/bin/sh", "-c", line + "< " + input}, {}, dir.path());
  }

  json explain(const std::string& file, const Words& more = {}, const std::string& input = "") const {
    Words words = {"--explain", file, "--from", "run", "--json", "--seed", "3", "--device", "cpu", "--threads", "1"};
    words.insert(words.end(), more.begin(), more.end());
    const test::ProcessResult result = run(words, input);
    INFO(result.err);
    REQUIRE(result.code == 0);
    return json::parse(result.out);
  }
};

const json& region(const json& answer, const std::string& name) {
  for (const json& one : answer.at("regions")) {
    if (one.at("name") == name) return one;
  }
  FAIL("no region " << name << " in " << answer.dump());
  std::abort();
}

// Most of the attribution is the note's, unless the answer is the same without bytes, when there is nothing to tell.
void check_note_tells(const json& answer, double least_share) {
  INFO(answer.dump(1));
  const bool told = answer.at("class") != answer.at("baseline_class");
  CHECK(region(answer, "note").at("begin") == 36);
  CHECK(region(answer, "note").at("end") == 60);
  CHECK(region(answer, "note").at("share_of_file").get<double>() < 0.15);
  if (told) {
    CHECK(region(answer, "note").at("share_of_attribution").get<double>() > least_share);
    CHECK(region(answer, "note").at("attribution").get<double>() > 0);
  }
  double sum = 0, shares = 0, shares_of_file = 0;
  for (const json& one : answer.at("regions")) {
    sum += one.at("attribution").get<double>();
    shares += one.at("share_of_attribution").get<double>();
    shares_of_file += one.at("share_of_file").get<double>();
  }
  const double wanted = answer.at("margin").get<double>() - answer.at("baseline_margin").get<double>();
  CHECK(sum - wanted == Approx(answer.at("completeness_gap").get<double>()).margin(1e-9));
  CHECK(std::abs(sum - wanted) <= std::max(0.02 * std::abs(wanted), 2e-3));
  CHECK(shares == Approx(1));
  CHECK(shares_of_file == Approx(1));
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("explain: each byte's integral is what differences give, and all of them sum up to the margin's change") {
  const std::vector<std::pair<json, size_t>> cases = {{json::object(), 61}, {{{"masks", "reference"}}, 61}, {{{"kernel", 8}}, 40}, {{{"positions", "interpolated"}, {"max_tokens", 10}}, 40}};
  for (const auto& [overrides, length] : cases) {
    INFO(overrides.dump() << ", " << length << " bytes");
    const auto model = network(overrides);
    const std::vector<uint8_t> bytes = bytes_of(length);
    const Saliency saliency = integrated_gradients(*model, bytes, "file", {.relative_gap = 1e-4, .absolute_gap = 0});
    REQUIRE(saliency.of_bytes.size() == length);
    const double wanted = saliency.margin - saliency.baseline_margin;
    CHECK(std::abs(saliency.completeness_gap) <= 2e-4 * std::abs(wanted) + 1e-5);
    CHECK(std::accumulate(saliency.of_bytes.begin(), saliency.of_bytes.end(), 0.0) - wanted == Approx(saliency.completeness_gap).margin(1e-9));
    CHECK(saliency.probability >= saliency.runner_up_probability);
    const double largest = *std::max_element(saliency.of_bytes.begin(), saliency.of_bytes.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
    for (const size_t which : {size_t{1}, size_t{13}, length - 1}) {
      INFO(which);
      CHECK(saliency.of_bytes[which] == Approx(by_differences(*model, bytes, which, saliency, 27)).epsilon(0.02).margin(0.01 * std::abs(largest)));
    }
  }
}

TEST_CASE("explain: more points are taken until the sum is right") {
  const auto model = network(json::object());
  const std::vector<uint8_t> bytes = bytes_of(61);
  const auto with = [&](double gap, int64_t most) { return integrated_gradients(*model, bytes, "file", {.relative_gap = gap, .absolute_gap = 0, .max_points = most}); };
  const Saliency coarse = with(0, 8), fine = with(1e-3, 1000);
  CHECK(coarse.points == 8);
  CHECK(fine.points > 8);
  CHECK(fine.points < 1000);
  CHECK(std::abs(fine.completeness_gap) <= 3e-3 * std::abs(fine.margin - fine.baseline_margin));
  CHECK(std::abs(fine.completeness_gap) < std::abs(coarse.completeness_gap));
  CHECK(with(1e6, 1000).points == 8);
  CHECK(with(0, 200).points <= 200);
  std::vector<int64_t> heard;
  const Saliency followed = integrated_gradients(*model, bytes, "file", {}, [&](int64_t points) { heard.push_back(points); });
  CHECK(heard.back() == followed.points);

  // Of one class, the logit is the margin.
  const auto one = make_byteformer(byteformer_description("bf_custom", 1, {{"width", 16}, {"num_layers", 1}, {"num_heads", 2}, {"kernel", 4}, {"max_tokens", 64}}), 5);
  one->eval();
  const Saliency alone = integrated_gradients(*one, bytes, "file");
  CHECK(alone.runner_up == -1);
  CHECK(alone.probability == 1);
}

TEST_CASE("explain: numbers that are none end with their exit code") {
  const auto model = network(json::object());
  {
    const at::NoGradGuard no_grad;
    named(*model, "classifier.bias").fill_(std::nan(""));
  }
  test::expect_error(ExitCode::kNumbers, "file", [&] { integrated_gradients(*model, bytes_of(30), "file"); });
}

TEST_CASE("byteformer-train: --explain finds the chunk that tells the class") {
  const Trained trained;
  int told = 0;
  for (const std::string& name : kClasses) {
    const json answer = trained.explain("data/val/" + name + "/260.wav");
    CHECK(answer.at("format") == "RIFF");
    CHECK(answer.at("bytes") == 168);
    CHECK(answer.at("bytes_read") == 168);
    CHECK(answer.at("class") == name);
    CHECK(answer.at("probability").get<double>() > 0.5);
    check_note_tells(answer, 0.6);
    const bool same = answer.at("baseline_class") == name;
    told += same ? 0 : 1;
    const test::ProcessResult warned = trained.run({"--explain", "data/val/" + name + "/260.wav", "--from", "run", "--device", "cpu"});
    CHECK((warned.err.find("without any bytes the network answers") != std::string::npos) == same);
  }
  CHECK(told == 2);
  const json piped = trained.explain("-", {}, "data/val/high/256.wav"), named_file = trained.explain("data/val/high/256.wav");
  CHECK(piped.at("file") == "-");
  CHECK(piped.at("regions") == named_file.at("regions"));

  const test::ProcessResult people = trained.run({"--explain", "data/val/high/256.wav", "--from", "run"});
  CHECK_THAT(people.out, Contains("RIFF, 168 bytes") && Contains("rather than") && Contains("note"));

  // The page: names that are markup, nothing from outside.
  fs::copy(trained.dir / "data/val/high/256.wav", trained.dir / "a<script>'&.wav");
  CHECK(trained.explain("a<script>'&.wav", {"--report", "page.html"}).at("report") == "page.html");
  const std::string page = test::read_text(trained.dir / "page.html");
  CHECK_THAT(page, Contains("a&lt;script&gt;&#39;&amp;.wav") && Contains("low &lt;i&gt;") && !Contains("<script") && !Contains("href") && !Contains("src=") && !Contains("url("));
  CHECK(count_of(page, "<rect ") == piped.at("regions").size());
  CHECK(count_of(page, "<tr>") == piped.at("regions").size() + 1);
  CHECK(count_of(page, "<svg ") == 1);

  const auto fails = [&](int code, const std::string& part, const Words& words, const std::string& input = "") {
    const test::ProcessResult result = trained.run(words, input);
    INFO(result.err);
    CHECK(result.code == code);
    CHECK_THAT(result.err, Contains(part));
  };
  const std::string one = "data/val/high/256.wav";
  fails(2, "--from is needed: the artifact to explain with", {"--explain", one});
  fails(2, "exclude each other", {"--explain", one, "--predict", one, "--from", "run"});
  fails(2, "exclude each other", {"--explain", one, "--evaluate", "--data", "data", "--from", "run"});
  fails(2, "not --data", {"--explain", one, "--data", "data", "--from", "run"});
  fails(2, "--report goes with --explain", {"--predict", one, "--report", "x.html", "--from", "run"});
  fails(2, "makes no artifact", {"--explain", one, "--from", "run", "--out", "x"});
  fails(2, "fp32", {"--explain", one, "--from", "run", "--precision", "bf16"});
  fails(3, "has 8", {"--explain", "data/val/high", "--from", "run"});
  fails(3, "absent", {"--explain", "absent", "--from", "run"});
  fails(3, "is empty", {"--explain", "-", "--from", "run"}, "/dev/null");
  fails(4, "page.html", {"--explain", one, "--from", "run", "--report", "run/manifest.json/page.html"});
}

TEST_CASE("byteformer-train: --explain takes attributions back to where the bytes were before an order, a mask, noise and a substitution") {
  struct Case {
    Words flags;
    std::function<std::vector<int64_t>()> sources;  // by hand, for 168 bytes
  };
  const auto strided = [] {
    std::vector<int64_t> sources;
    for (int64_t first = 0; first < 5; ++first) {
      for (int64_t i = first; i < 168; i += 5) sources.push_back(i);
    }
    return sources;
  };
  const auto reversed_and_kept = [] {
    std::vector<int64_t> sources;
    for (const int32_t kept : kept_positions({.fraction = 0.6}, 168)) sources.push_back(167 - kept);
    return sources;
  };
  const auto cut = [] {
    std::vector<int64_t> sources(80);
    std::iota(sources.begin(), sources.end(), 0);
    return sources;
  };
  for (const Case& one : {Case{{"--reorder", "stride", "--reorder-stride", "5", "--noise", "-2:2"}, strided}, Case{{"--reorder", "reverse", "--keep", "0.6", "--phi"}, reversed_and_kept}, Case{{"--max-bytes", "80"}, cut}}) {
    INFO(one.flags[0] << " " << one.flags[1]);
    const Trained trained(one.flags);
    const ByteClassifier classifier = open_byte_classifier((trained.dir / "run").string(), "");
    const std::vector<int64_t> sources = one.sources();
    int told = 0;
    for (const std::string& name : kClasses) {
      const std::string path = "data/val/" + name + "/260.wav";
      const json answer = trained.explain(path);
      CHECK(answer.at("bytes") == 168);
      CHECK(answer.at("bytes_read") == sources.size());

      const std::string file = test::read_text(trained.dir / path);
      std::vector<uint8_t> read(file.begin(), file.end());
      if (classifier.input.max_bytes > 0) read.resize(80);
      ByteTransformer(classifier.input.transforms).apply(read, {.seed = 3}, "file");
      const Saliency saliency = integrated_gradients(*classifier.model, read, "file");
      REQUIRE(saliency.of_bytes.size() == sources.size());
      for (const json& region : answer.at("regions")) {
        double sum = 0;
        for (size_t i = 0; i < sources.size(); ++i) {
          if (sources[i] >= region.at("begin").get<int64_t>() && sources[i] < region.at("end").get<int64_t>()) sum += saliency.of_bytes[i];
        }
        INFO(region.dump());
        CHECK(region.at("attribution").get<double>() == Approx(sum).epsilon(1e-3).margin(1e-4));
      }
      if (answer.at("baseline_class") == name) continue;
      // Noise among the bytes that tell is part of their tokens here, but none has as much a byte as they.
      ++told;
      for (const json& region : answer.at("regions")) {
        INFO(answer.dump(1));
        if (region.at("name") != "note") CHECK(region.at("attribution_per_byte").get<double>() < 0.5 * ::region(answer, "note").at("attribution_per_byte").get<double>());
      }
    }
    CHECK(told == 2);
  }
}

TEST_CASE("explain: pages of tiny and of large files are bounded") {
  for (const size_t size : {size_t{1}, size_t{20}, size_t{3'000'000}}) {
    Explanation e{.model_id = "sha256:0", .file = "f", .format = "unknown format", .class_names = {"a", "b"}, .bytes_read = static_cast<int64_t>(size)};
    for (size_t i = 0; i < std::min<size_t>(size, kMaxRegions); ++i) e.regions.push_back({"r", RegionKind::kData, i * size / kMaxRegions, (i + 1) * size / kMaxRegions});
    if (size < kMaxRegions) e.regions = {{"r", RegionKind::kData, 0, size}};
    for (size_t i = 0; i < size; ++i) e.of_bytes.push_back(i % 3 == 0 ? -1e-6 : 2e-6);
    e.saliency.runner_up = 1;
    const std::string page = to_html(e);
    CHECK(page.size() < 200'000);
    CHECK(count_of(page, "<svg ") == (size > 2000 ? 2 : 1));
    CHECK_THAT(page, !Contains("nan") && !Contains("inf"));
    e.of_bytes.assign(size, 0);  // a network that looks at nothing
    CHECK_THAT(to_html(e), !Contains("nan") && !Contains("inf"));
  }
}

TEST_CASE("byteformer-train: --explain explains the file that the network reads, which is not the one on disk") {
  const test::TempDir dir;
  for (int label : {0, 1}) {
    for (int i = 0; i < 8; ++i) {
      const fs::path folder = dir / (i < 6 ? "data/train" : "data/val") / (label == 0 ? "a" : "b");
      fs::create_directories(folder);
      write_text(folder / (std::to_string(i) + ".jpg"), test::encode_jpeg(test::test_picture(20, 26, static_cast<uint32_t>(100 * label + i))));
    }
  }
  const auto run = [&](Words words) {
    words.insert(words.begin(), FETTLE_BYTEFORMER_TRAIN);
    words.insert(words.end(), {"--device", "cpu", "--threads", "1", "--seed", "3"});
    const test::ProcessResult result = test::run_process(words, {}, dir.path());
    INFO(result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  struct Expected {
    const char *encoding, *format;
    int64_t bytes;  // 0: contents decide
  };
  for (const Expected& expected : {Expected{"tiff", "TIFF", 12 * 12 * 3 + 140}, Expected{"png", "PNG", 0}, Expected{"jpeg", "JPEG", 0}, Expected{"fhwc", "fhwc", 12 * 12 * 3}}) {
    INFO(expected.encoding);
    run({"--data", "data", "--encoding", expected.encoding, "--size", "12", "--reorder", "reverse", "--arch", "bf_custom", "--arch-options",
         R"({"width": 16, "num_layers": 2, "num_heads": 2, "kernel": 4, "windows": 8, "merges": [0]})", "--batch-size", "4", "--epochs", "1", "--precision", "fp32", "--out", "run", "--overwrite"});
    const json answer = json::parse(run({"--explain", "data/val/a/7.jpg", "--from", "run", "--json", "--report", "page.html"}));
    CHECK(answer.at("format") == expected.format);
    if (expected.bytes > 0) CHECK(answer.at("bytes") == expected.bytes);
    CHECK(answer.at("bytes_read") == answer.at("bytes"));
    int64_t end = 0;
    double sum = 0;
    for (const json& one : answer.at("regions")) {
      CHECK(one.at("begin") == end);
      end = one.at("end");
      sum += one.at("attribution").get<double>();
    }
    CHECK(end == answer.at("bytes"));
    CHECK(sum == Approx(answer.at("margin").get<double>() - answer.at("baseline_margin").get<double>() + answer.at("completeness_gap").get<double>()).margin(1e-4));
    const json predicted = json::parse(run({"--predict", "data/val/a/7.jpg", "--from", "run", "--precision", "fp32"}));
    CHECK(answer.at("class") == predicted.at("top").at(0).at("class"));
    CHECK(answer.at("probability").get<double>() == Approx(predicted.at("top").at(0).at("probability").get<double>()).margin(1e-4));
  }
}
