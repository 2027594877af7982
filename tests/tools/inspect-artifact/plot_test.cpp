#include "inspect-artifact/plot.h"

#include <catch2/catch.hpp>

#include <cmath>
#include <cstdlib>

#include "inspect-artifact/gnuplot.h"
#include "tests/support/expect_error.h"
#include "tests/support/process.h"
#include "tests/support/skip.h"
#include "tests/support/temp_dir.h"
#include "tests/tools/inspect-artifact/made_up.h"

using namespace fettle;
using namespace fettle::inspect_artifact;
using Catch::Contains;
using fettle::test::expect_error;
namespace fs = std::filesystem;

namespace {

RunCurves run_of(const std::string& log, const Json& metrics = Json::object()) {
  return {.name = "r", .log = parse_metrics_log(log, "m"), .metrics = split_metrics(metrics)};
}

std::vector<std::string> labels(const std::vector<Panel>& panels) {
  std::vector<std::string> text;
  for (const Panel& panel : panels) text.push_back(panel.y_label + " | " + panel.x_label);
  return text;
}

}  // namespace

TEST_CASE("plot: loss, validation by compute, and the metrics by size of a finished run") {
  const std::vector<Panel> panels = panels_of({run_of(test::metrics_log(3), test::classifier().metrics), run_of(test::metrics_log(1))}, {});
  CHECK(labels(panels) == std::vector<std::string>{"training loss | steps", "validation top-1 (%) | compute spent (trillion multiply-adds)",
                                                   "validation top-1 (%) | test size (pixels)",
                                                   "validation calibration error (ECE) | test size (pixels)"});
  REQUIRE(panels[0].curves.size() == 2);
  CHECK(panels[0].curves[0].points.size() == 6);
  CHECK(panels[0].curves[1].run == 1);
  CHECK(panels[1].curves[0].points.back().x == 3);  // 3e12
  CHECK(panels[1].curves[0].points.back().y == 82);
  REQUIRE(panels[2].curves.size() == 1);
  CHECK(panels[2].curves[0].points[0].x == 16);
  CHECK(panels[2].curves[0].points[0].y == 74.9);
}

TEST_CASE("plot: validation goes by epochs when a run does not tell its compute") {
  const std::vector<Panel> panels =
      panels_of({run_of("{\"event\":\"epoch\",\"epoch\":0,\"val_top1_percent\":50}\n"), run_of(test::metrics_log(2))}, {});
  const auto found = std::find_if(panels.begin(), panels.end(), [](const Panel& p) { return p.x_label == "epochs"; });
  REQUIRE(found != panels.end());
  CHECK(found->curves[0].points[0].x == 1);
  CHECK(found->curves[1].points[1].x == 2);
}

TEST_CASE("plot: while a run goes on its calibration error goes by epochs; without any point there is no panel") {
  CHECK(labels(panels_of({run_of(test::metrics_log(1))}, {})) ==
        std::vector<std::string>{"training loss | steps", "validation top-1 (%) | compute spent (trillion multiply-adds)",
                                 "validation calibration error (ECE) | compute spent (trillion multiply-adds)"});
  CHECK(panels_of({run_of("{\"event\":\"train\",\"step\":1,\"loss\":\"nan\"}\n")}, {}).empty());
  CHECK(panels_of({run_of("")}, {}).empty());
}

TEST_CASE("plot: metrics that are asked for, and none else") {
  const std::vector<RunCurves> runs = {run_of(test::metrics_log(2), test::classifier().metrics)};
  CHECK(labels(panels_of(runs, {"val_nll", "val_ece"})) ==
        std::vector<std::string>{"training loss | steps", "validation negative log-likelihood | compute spent (trillion multiply-adds)",
                                 "validation calibration error (ECE) | compute spent (trillion multiply-adds)",
                                 "validation calibration error (ECE) | test size (pixels)"});
  expect_error(ExitCode::kUsage, "none of these runs has 'val_nl'; the nearest is 'val_nll'", [&] { panels_of(runs, {"val_nl"}); });
}

TEST_CASE("plot: thinning keeps the ends of every stretch's range") {
  std::vector<Point> points;
  for (int i = 0; i < 100'000; ++i)
    points.push_back({static_cast<double>(i), i == 77'777 ? 50.0 : i == 77'780 ? -50.0 : std::sin(i * 0.001)});
  const std::vector<Point> kept = thinned(points, 1000);
  CHECK(kept.size() <= 1000);
  CHECK(std::is_sorted(kept.begin(), kept.end(), [](const Point& a, const Point& b) { return a.x < b.x; }));
  for (const double x : {77'777.0, 77'780.0}) CHECK(std::any_of(kept.begin(), kept.end(), [&](const Point& p) { return p.x == x; }));
  CHECK(thinned(points, 1'000'000).size() == points.size());
}

TEST_CASE("plot: a name is a gnuplot string whatever is in it") {
  CHECK(gnuplot_string("it's") == "'it’s'");
  CHECK(gnuplot_string("a\nsystem('x')") == "'a\\x0asystem(’x’)'");
  CHECK(gnuplot_string("\xff") == "'\\xff'");
}

TEST_CASE("plot: an unfinished run is legal, a directory with neither curves nor manifest is not") {
  const test::TempDir dir;
  fs::create_directory(dir / "run");
  expect_error(ExitCode::kInput, "not a complete artifact", [&] { read_run(dir / "run", "run"); });
  test::write_text(dir / "run/metrics.jsonl", test::metrics_log(1));
  CHECK(read_run(dir / "run", "run").metrics.by_size.empty());
  test::write_artifact(dir / "run", test::classifier());
  CHECK(read_run(dir / "run", "run").metrics.by_size.size() == 2);
  fs::remove(dir / "run/metrics.jsonl");
  CHECK(labels(panels_of({read_run(dir / "run", "run")}, {})).size() == 2);
}

TEST_CASE("gnuplot: the picture is well-formed, self-contained, and carries names without obeying them") {
  if (test::run_process({"/bin/sh", "-c", "command -v gnuplot"}).code != 0) return test::skip("no gnuplot");
  const test::TempDir dir;
  const std::string hostile = "'; <b>&amp; `id` \"@x a_b {/Bold c}";
  std::vector<RunCurves> runs(12, run_of(test::metrics_log(3), test::classifier().metrics));
  std::vector<std::string> names = {hostile, "größe", "\xff\x1b\x00z"};
  while (names.size() < runs.size()) names.push_back("run-" + std::to_string(names.size()));
  const std::string svg = run_gnuplot(plot_script(names, panels_of(runs, {})));
  test::write_text(dir / "a.svg", svg);

  const auto has = [&](const char* part) { return svg.find(part) != std::string::npos; };
  for (const char* part : {"training loss", "validation top-1 (%)", "test size (pixels)", "compute spent (trillion multiply-adds)", "größe",
                           "run-11", "\\xff\\x1b", "a_b {/Bold c}", "&lt;b>&amp;amp; `id`"}) {
    INFO(part);
    CHECK(has(part));
  }
  for (const char* part : {"<script", "<image", "href=\"http", "url("}) {
    INFO(part);
    CHECK_FALSE(has(part));
  }
  const test::ProcessResult lint =
      test::run_process({"/bin/sh", "-c", "command -v xmllint >/dev/null || exit 99; xmllint --noout \"$0\"", (dir / "a.svg").string()});
  if (lint.code == 99) return test::skip("no xmllint: not checked for well-formedness");
  INFO(lint.err);
  CHECK(lint.code == 0);
}

TEST_CASE("gnuplot: names that begin or end with quotes stay names") {
  if (test::run_process({"/bin/sh", "-c", "command -v gnuplot"}).code != 0) return test::skip("no gnuplot");
  const test::TempDir dir;
  const std::string touch = "system('touch " + (dir / "owned").string() + "')";
  for (const std::string& name : {"';" + touch + ";'", "'';" + touch + ";''", "'" + touch, "\";" + touch + ";\"", "\\';" + touch,
                                  "'.`touch " + (dir / "owned").string() + "`.'"}) {
    INFO(name);
    CHECK_THAT(run_gnuplot(plot_script({name}, panels_of({run_of(test::metrics_log(1))}, {}))), Contains("</svg>"));
    CHECK_FALSE(fs::exists(dir / "owned"));
  }
}

TEST_CASE("gnuplot: its failure is the machine's, with what it said") {
  if (test::run_process({"/bin/sh", "-c", "command -v gnuplot"}).code != 0) return test::skip("no gnuplot");
  expect_error(ExitCode::kMachine, "gnuplot ended with code", [] { run_gnuplot("plot nonsense(\n"); });
}
