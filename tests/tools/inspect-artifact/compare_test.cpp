#include "inspect-artifact/compare.h"

#include <catch2/catch.hpp>

#include "inspect-artifact/show.h"
#include "tests/tools/inspect-artifact/made_up.h"

using namespace fettle;
using namespace fettle::inspect_artifact;
using Catch::Contains;

namespace {

Manifest fixed_size() {
  Manifest manifest = test::classifier();
  manifest.options["sampler"] = "ssc-fbs";
  manifest.tool.dirty = true;
  manifest.metrics["val_top1_percent"] = 91.1;
  manifest.metrics["val_top1_percent_at_16"] = 33.6;
  manifest.metrics["val_top1_percent_at_40"] = 87.6;
  manifest.metrics["train_multiply_adds"] = 4e12;
  manifest.run["wall_s"] = 161.2;
  return manifest;
}

Comparison fixed_against_vbs() { return compare({"runs/fixed", "fixed", fixed_size()}, {"runs/vbs", "vbs", test::classifier()}); }

}  // namespace

TEST_CASE("compare: what differs, and by how much") {
  const Comparison c = fixed_against_vbs();
  CHECK(comparison_text(c) ==
        "                                 fixed         vbs     diff\n"
        "tool.git             abc1234, modified     abc1234\n"
        "sampler                        ssc-fbs     msc-vbs\n"
        "val_top1_percent                 91.10       89.50    -1.60\n"
        "train_multiply_adds             4.00 T      3.05 T  -23.8 %\n"
        "wall_s                      2 min 41 s  2 min 05 s  -22.5 %\n"
        "equal: 3 options, 2 metrics; diff is vbs less fixed\n"
        "\n"
        "        val_top1_percent        val_ece\n"
        "  at    fixed    vbs    diff     fixed     vbs     diff\n"
        "  16    33.60  74.90  +41.30    0.1100  0.1100  +0.0000\n"
        "  28    89.50  89.50   +0.00    0.0210  0.0210  +0.0000\n"
        "  40    87.60      -                 -       -\n"
        "mean    82.20  82.20   +0.00         -       -\n");
}

TEST_CASE("compare: equal artifacts differ in nothing") {
  const Comparison c = compare({"a", "a", test::classifier()}, {"b", "b", test::classifier()});
  CHECK(c.facts.empty());
  CHECK_THAT(comparison_text(c), Contains("equal: 4 options, 5 metrics"));
}

TEST_CASE("compare: inputs differ by identity, not by place; kind, model and missing options are facts") {
  Manifest a = test::classifier(), b = test::classifier();
  a.inputs = {{"data", "../d", "sha256:" + std::string(64, 'a')}, {"init", "../w", "sha256:" + std::string(64, 'b')}};
  b.inputs = {{"data", "/mnt/d", "sha256:" + std::string(64, 'a')}, {"init", "../w", "sha256:" + std::string(64, 'c')}};
  b.kind = "detector";
  b.model["arch"] = "resnet32";
  b.options.erase("lr");
  const Comparison c = compare({"a", "a", a}, {"b", "b", b});
  std::vector<std::string> names;
  for (const Fact& fact : c.facts) names.push_back(fact.name);
  CHECK(names == std::vector<std::string>{"kind", "inputs.init", "model.arch", "options.lr"});
  CHECK(c.facts[3].b.is_null());
  CHECK_THAT(comparison_text(c), Contains("../w (bbbbbbbb)") && Contains("../w (cccccccc)"));
}

TEST_CASE("compare: JSON holds both values and the difference of each metric") {
  const Json json = comparison_json(fixed_against_vbs());
  CHECK(json["a"]["path"] == "runs/fixed");
  CHECK(json["b"]["id"] == manifest_id(test::classifier()));
  CHECK(json["differences"]["options.sampler"] == Json({{"a", "ssc-fbs"}, {"b", "msc-vbs"}}));
  CHECK(json["metrics"]["val_top1_percent_at_16"]["difference"].get<double>() == Approx(41.3));
  CHECK(json["metrics"]["val_top1_percent_at_40"]["b"].is_null());
  CHECK(json["metrics"]["val_top1_percent_at_40"]["difference"].is_null());
  CHECK(json["metrics"]["wall_s"]["a"] == 161.2);
}

TEST_CASE("compare: too many metrics for one band lose their variants first, then go below each other") {
  Manifest a = test::classifier();
  for (const char* stem : {"val_top5_percent", "val_nll"}) a.metrics[std::string(stem) + "_at_16"] = 0.5;
  const std::string three = comparison_text(compare({"a", "fixed-size", a}, {"b", "variable-batch", a}));
  CHECK_THAT(three, Contains("val_nll") && !Contains("val_top5_percent"));
  for (int i = 0; i < 5; ++i) a.metrics[std::string(1, static_cast<char>('a' + i)) + "_loss_at_16"] = i;
  const std::string many = comparison_text(compare({"a", "a", a}, {"b", "b", a}));
  for (const char* stem : {"val_top1_percent", "a_loss", "e_loss", "val_nll"}) CHECK_THAT(many, Contains(stem));
  size_t widest = 0;
  for (size_t begin = 0; begin < many.size(); begin = many.find('\n', begin) + 1) widest = std::max(widest, many.find('\n', begin) - begin);
  CHECK(widest <= 100);
}

TEST_CASE("show: all that a manifest says, drawn options marked, metrics by size in a table") {
  Manifest manifest = test::classifier();
  manifest.inputs = {{"data", "../d", "sha256:" + std::string(64, 'a')}};
  manifest.files = {{"model.safetensors", 2048, std::string(64, 'b')}};
  manifest.extra["notes"] = "later";
  manifest.options["title"] = "x\x1b[2J";
  const std::string text = show_text("runs/a", manifest);
  CHECK_THAT(text, Contains("runs/a  classifier\n") && Contains(manifest_id(manifest)) && Contains("multiscale-train 0.1.0 (abc1234)"));
  CHECK_THAT(text, Contains("2026-01-02T03:04:05Z, took 2 min 05 s, on cpu, out runs/a\n"));
  CHECK_THAT(text, Contains("7 (drawn)") && Contains("resnet20") && Contains("later") && Contains("x\\x1b[2J"));
  CHECK_THAT(text, Contains("data  ../d  sha256:aaaa") && Contains("model.safetensors  2.00 KiB  bbbb"));
  CHECK_THAT(text, Contains("    at  val_top1_percent  val_ece\n    16             74.90   0.1100\n    28             89.50   0.0210\n  "
                            "mean             82.20        -\n"));

  const Json json = show_json("runs/a", manifest);
  CHECK(json["id"] == manifest_id(manifest));
  CHECK(json["manifest"] == to_json(manifest));
}

TEST_CASE("show: a bare manifest, and facts of the run in unexpected types") {
  Manifest manifest;
  manifest.kind = "x";
  CHECK_THAT(show_text("a", manifest), !Contains("options") && !Contains("metrics"));
  manifest.run = {{"started_utc", 3}, {"wall_s", "long"}, {"device", Json::array()}};
  CHECK_THAT(show_text("a", manifest), Contains("started_utc 3") && Contains("wall_s long") && Contains("device []"));
}
