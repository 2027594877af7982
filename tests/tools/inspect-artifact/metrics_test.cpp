#include <catch2/catch.hpp>

#include "inspect-artifact/metric_names.h"
#include "inspect-artifact/metrics_log.h"
#include "tests/support/expect_error.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/inspect-artifact/made_up.h"

using namespace fettle;
using namespace fettle::inspect_artifact;
using fettle::test::expect_error;

TEST_CASE("metric names: _at_N makes a curve, and the mean goes with it") {
  CHECK(parse_sized_name("val_ece_at_16")->stem == "val_ece");
  CHECK(parse_sized_name("val_ece_at_16")->size == 16);
  for (const char* plain : {"val_ece", "_at_16", "a_at_", "a_at_x", "a_at_-1", "a_at_16x", "a_at_99999999999999999999"})
    CHECK_FALSE(parse_sized_name(plain).has_value());

  const SplitMetrics split = split_metrics({{"a", 1}, {"a_mean", 2}, {"b_at_8", 3.5}, {"b_at_16", 4}, {"b_mean", 5}});
  CHECK(split.scalars == std::map<std::string, double>{{"a", 1}, {"a_mean", 2}});
  CHECK(split.by_size == std::map<std::string, std::map<int64_t, double>>{{"b", {{8, 3.5}, {16, 4}}}});
  CHECK(split.means == std::map<std::string, double>{{"b", 5}});
}

TEST_CASE("metric names: percentages first; of names that differ in a number the smallest") {
  CHECK(in_reading_order({"val_ece", "val_top5_percent", "best_epoch", "val_top1_percent"}) ==
        std::vector<std::string>{"val_top1_percent", "val_top5_percent", "best_epoch", "val_ece"});
  CHECK(without_variants({"val_top5_percent", "val_top1_percent", "val_ece", "val_top10_percent"}) ==
        std::vector<std::string>{"val_top1_percent", "val_ece"});
  CHECK(without_variants({"a-1", "99999999999999999999"}).size() == 2);
}

TEST_CASE("metric names: values and differences read as their unit says") {
  CHECK(metric_text("train_multiply_adds", 3.05e12) == "3.05 T");
  CHECK(metric_text("wall_s", 125) == "2 min 05 s");
  CHECK(metric_text("samples_per_s", 812.25) == "812.2500");
  CHECK(metric_text("peak_bytes", 2048) == "2.00 KiB");
  CHECK(metric_text("peak_bytes", -1) == "-1");
  CHECK(metric_text("val_top1_percent", 90) == "90.00");
  CHECK(metric_text("val_ece", 0.0213) == "0.0213");
  CHECK(metric_text("val_ece", 2.13e-5) == "2.13e-05");
  CHECK(metric_text("best_epoch", 3) == "3");

  CHECK(difference_text("val_top1_percent", 33.6, 74.9) == "+41.30");
  CHECK(difference_text("val_ece", 0.2756, 0.1104) == "-0.1652");
  CHECK(difference_text("train_multiply_adds", 4e12, 3e12) == "-25.0 %");
  CHECK(difference_text("wall_s", 0, 3).empty());
  CHECK(difference_text("best_epoch", 1, 3) == "+2");
}

TEST_CASE("metric names: labels for axes") {
  CHECK(metric_label("val_top1_percent") == "validation top-1 (%)");
  CHECK(metric_label("val_ece") == "validation calibration error (ECE)");
  CHECK(metric_label("loss") == "loss");
  CHECK(metric_label("top_topology") == "top topology");
}

TEST_CASE("metrics log: the numbers of each event, joined by line") {
  const MetricsLog log = parse_metrics_log(
      "{\"event\":\"train\",\"step\":50,\"loss\":1.5}\n{\"event\":\"train\",\"step\":100}\n{\"event\":\"other\",\"step\":1}\n"
      "{\"event\":\"train\",\"loss\":9}\n{\"event\":\"train\",\"step\":150,\"loss\":0.5,\"note\":\"x\",\"list\":[1]}\n",
      "m.jsonl");
  const std::vector<Point> points = log.at("train").points("step", "loss");
  REQUIRE(points.size() == 2);
  CHECK((points[0].x == 50 && points[0].y == 1.5));
  CHECK((points[1].x == 150 && points[1].y == 0.5));
  CHECK(log.at("train").columns() == std::vector<std::string>{"loss", "step"});
  CHECK(log.at("train").points("step", "absent").empty());
  CHECK(parse_metrics_log("", "m.jsonl").empty());
}

TEST_CASE("metrics log: a last line cut off by a kill is ignored, any other broken line is named") {
  const std::string whole = test::metrics_log(2);
  for (size_t cut = 1; cut < 60; ++cut) {
    const MetricsLog log = parse_metrics_log(std::string_view(whole).substr(0, whole.size() - cut), "m.jsonl");
    CHECK(log.at("train").points("step", "loss").size() == 4);
    CHECK(log.at("epoch").points("epoch", "val_ece").size() == (cut == 1 ? 2 : 1));  // without its line end it is whole all the same
  }
  const auto refused = [](const std::string& part, const std::string& text) {
    expect_error(ExitCode::kInput, part, [&] { parse_metrics_log(text, "m.jsonl"); });
  };
  const std::string good = "{\"event\":\"a\"}\n";
  refused("m.jsonl, line 2: not valid JSON", good + "{\"event\": \n" + good);
  refused("m.jsonl, line 3: not valid JSON", good + good + "\n" + good);
  refused("line 1: expected an object with an \"event\"", "[1]\n");
  refused("line 1: expected an object with an \"event\"", "3");
  refused("line 2: expected an object with an \"event\"", good + "{\"step\": 1}\n");
  refused("line 1: expected an object with an \"event\"", "{\"event\": 1}\n");
  refused("line 1: not valid JSON", "{\"event\":\"a\",\"loss\":1e999}\n");
  refused("line 1: nested deeper", std::string(100'000, '[') + "\n");
  refused("line 1: not valid JSON", "{\"event\":\"a\",\"loss\":NaN}\n");
}

TEST_CASE("metrics log: a directory without one has no curves") {
  const test::TempDir dir;
  CHECK(read_metrics_log(dir.path()).empty());
  test::write_text(dir / "metrics.jsonl", test::metrics_log(1));
  CHECK(read_metrics_log(dir.path()).size() == 2);
}
